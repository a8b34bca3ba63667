"""Reads the profiles that ship with Chargehand and the user's own, and reports each mistake."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from .catalogue import Catalogue
from .errors import InvalidProfile
from .model import ModelProfile
from .routing_rules import RoutingRules

ROUTING_FILE = "routing.yaml"

_Schema = TypeVar("_Schema", bound=BaseModel)


def load_catalogue(user_folder: Path | None = None) -> Catalogue:
    """The catalogue of all profiles that are right, with a problem for each file that is not.

    user_folder: a folder of `*.yaml` that override (fields of a known id) or add profiles, and may
    hold a `routing.yaml`. None or missing: only what ships. A mistake in a user's file leaves the
    shipped profile in force. Raises InvalidProfile only when the shipped routing rules are wrong.
    """
    problems: list[InvalidProfile] = []
    facts: dict[str, dict[str, Any]] = {}
    routing: dict[str, Any] = {}
    profiles: dict[str, ModelProfile] = {}
    rules: RoutingRules | None = None
    for folder in _folders(user_folder):
        try:
            folder_files = _yaml_files(folder)
        except OSError as error:
            problems.append(InvalidProfile(f"{folder}: cannot be listed ({error}). Make it a readable folder."))
            continue
        for file in folder_files:
            try:
                data = _read(file)
                if file.name == ROUTING_FILE:
                    rules = _validated(RoutingRules, file, _merged(routing, data))
                    routing = _merged(routing, data)
                else:
                    merged = _merged(facts.get(_id(file, data), {}), data)
                    profile = _validated(ModelProfile, file, merged)
                    profiles[profile.id], facts[profile.id] = profile, merged
            except InvalidProfile as problem:
                problems.append(problem)
    if rules is None:
        raise InvalidProfile(f"{ROUTING_FILE}: the file that ships with Chargehand cannot be used: {problems}")
    return Catalogue(profiles=profiles, rules=rules, problems=tuple(problems))


def _folders(user_folder: Path | None) -> Iterator[Traversable]:
    yield files(__name__.rpartition(".")[0])
    if user_folder is not None and user_folder.is_dir():
        yield user_folder


def _yaml_files(folder: Traversable) -> list[Traversable]:
    return sorted((f for f in folder.iterdir() if f.name.endswith((".yaml", ".yml"))), key=lambda f: f.name)


def _read(file: Traversable) -> dict[str, Any]:
    try:
        data: object = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - both are safe loaders
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidProfile(f"{file.name}: cannot be read ({error}). Make it a readable UTF-8 file.") from error
    except yaml.YAMLError as error:
        raise InvalidProfile(f"{file.name}: not YAML: {error}. Mend the line it names.") from error
    if not isinstance(data, dict):
        raise InvalidProfile(f"{file.name}: must hold fields (`id: …`), but holds {type(data).__name__}.")
    return cast(dict[str, Any], data)


def _id(file: Traversable, data: Mapping[str, Any]) -> str:
    name = data.get("id")
    if not isinstance(name, str):
        raise InvalidProfile(f"{file.name}: id: missing, or not text. Add `id: NAME`, the name the model is called by.")
    return name


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`: groups field by field, lists and single values whole."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            merged[key] = _merged(cast(dict[str, Any], under), cast(dict[str, Any], value))
        else:
            merged[key] = value
    return merged


def _validated(schema: type[_Schema], file: Traversable, data: Mapping[str, Any]) -> _Schema:
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file as a whole"
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        is_told = first["loc"] and first["type"] != "missing" and not _MAY_HOLD_A_SECRET.search(field)
        got = f", got {first['input']!r}"[:120] if is_told else ""
        raise InvalidProfile(
            f"{file.name}: {field}: {first['msg'].removeprefix('Value error, ')}{got}{more}. {_remedy(first['type'])}"
        ) from error


def _remedy(kind: str) -> str:
    if kind == "extra_forbidden":
        return "Remove the field or correct its spelling; profiles/model.py lists them all."
    if kind == "missing":
        return "Add the field; profiles/model.py says what it holds."
    return "Correct the value; profiles/model.py gives unit and range."


# Where a key is pasted by mistake: the value is not repeated.
_MAY_HOLD_A_SECRET = re.compile(r"(key|key_env|token|secret|password|url)$", re.IGNORECASE)

# libyaml's loader where PyYAML was built with it: the same result in a tenth of the time.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
