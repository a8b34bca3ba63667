"""The user's own headers for one vendor, with the values of their variables."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ...profiles.headers import fault_of, filled_in, is_of_a_secret, variables_in
from ...profiles.model import ModelProfile
from ...tools.errors import WHERE_VARIABLES_ARE_SET


@dataclass(frozen=True)
class OwnHeaders:
    values: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Name and value of each, as they are sent."""
    variables: tuple[str, ...] = ()
    """The environment variables that they come from."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values that no message may quote."""
    problem: str | None = None
    """Why they cannot be sent, with the remedy. None: they can."""


def headers_of(profile: ModelProfile, value_of: Callable[[str], str]) -> OwnHeaders:
    """The headers of a profile. value_of: returns a variable's value; empty means that it is not set."""
    headers = profile.headers or {}
    names = dict.fromkeys(variable for value in headers.values() for variable in variables_in(value))
    found = {name: value_of(name) for name in names}
    values: list[tuple[str, str]] = []
    problem: str | None = None
    for name, template in headers.items():
        missing = next((variable for variable in variables_in(template) if not found[variable]), None)
        value = filled_in(template, found.__getitem__)
        if missing is not None:
            problem = problem or (
                f"No value for the header {name} of the profile {profile.id}: set {missing} {WHERE_VARIABLES_ARE_SET}."
            )
        elif fault := fault_of(name, value):
            problem = problem or (
                f"The profile {profile.id}: the header {fault}. Correct {', '.join(variables_in(template))}"
                f" {WHERE_VARIABLES_ARE_SET}."
            )
        values.append((name, value))
    return OwnHeaders(tuple(values), tuple(names), tuple(found.values()), problem)


def headers_in(variable: str, text: str) -> OwnHeaders:
    """The headers in a variable such as ANTHROPIC_CUSTOM_HEADERS, as the vendor's SDK reads it: `name: value` lines.

    A line without a colon is ignored.
    """
    pairs = [line.partition(":") for line in text.split("\n") if ":" in line]
    values = tuple((name.strip(), value.strip()) for name, _, value in pairs)
    fault = next((fault for name, value in values if (fault := fault_of(name, value))), None)
    return OwnHeaders(
        values,
        (variable,) if values else (),
        tuple(value for name, value in values if is_of_a_secret(name)),
        None if fault is None else f"{variable}: {fault}. Correct it {WHERE_VARIABLES_ARE_SET}.",
    )
