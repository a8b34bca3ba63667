"""Loads the profiles shipped with Chargehand and the user's own, and reports every error."""

import os
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from .catalogue import Catalogue
from .errors import InvalidProfile
from .model import ModelProfile
from .overlay import FOLDER as MEASURED_FOLDER
from .overlay import InForce, facts_in_force
from .routing_rules import RoutingRules
from .yaml_text import parse_yaml

ROUTING_FILE = "routing.yaml"

_Schema = TypeVar("_Schema", bound=BaseModel)


def load_catalogue(user_folder: Path | None = None) -> Catalogue:
    """The catalogue of all valid profiles, with a problem for each invalid file.

    user_folder: a folder of `*.yaml` files that override fields of known ids or add profiles, and optionally a
    `routing.yaml`. Its subfolder `measured`, written by `chargehand profiles update`, overrides the shipped facts
    and is overridden by the user's files. None or missing: only the shipped profiles. A shipped profile stays in
    effect when the user's file for it is invalid.
    Raises InvalidProfile only when the shipped routing rules are invalid.
    """
    reading = _Reading()
    reading.add_folder(files(__name__.rpartition(".")[0]))
    reading.own = {}
    if user_folder is not None and os.path.isdir(user_folder):  # noqa: PTH112 - Path.is_dir raises where it may not look
        reading.add_measured(facts_in_force(user_folder / MEASURED_FOLDER))
        reading.add_folder(user_folder)
    elif user_folder is not None and os.path.lexists(user_folder):
        message = f"{user_folder}: is not a folder. Replace it with a folder of profiles, or remove it."
        reading.reject(InvalidProfile(message, "", "it is not a folder"))
    return reading.catalogue()


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` overridden by `above`: mappings merge recursively, other values are replaced."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            merged[key] = _merge(cast(dict[str, Any], under), cast(dict[str, Any], value))
        else:
            merged[key] = value
    return merged


class _Reading:
    """Accumulates the layers of facts as they are read."""

    def __init__(self) -> None:
        self.own: dict[str, dict[str, Any]] = {}
        """Facts from the layer being read, by profile id."""
        self._facts: dict[str, dict[str, Any]] = {}
        self._profiles: dict[str, ModelProfile] = {}
        self._routing: dict[str, Any] = {}
        self._rules: RoutingRules | None = None
        self._problems: list[InvalidProfile] = []

    def add_folder(self, folder: Traversable) -> None:
        try:
            folder_files = _yaml_files(folder)
        except OSError as error:
            message = f"{folder}: cannot be listed ({error.strerror}). Make it a readable folder."
            self._problems.append(InvalidProfile(message, "", "it cannot be listed"))
            return
        for file in folder_files:
            try:
                data = _read(file)
                if file.name == ROUTING_FILE:
                    self._rules = _validated(RoutingRules, file.name, _merge(self._routing, data))
                    self._routing = _merge(self._routing, data)
                else:
                    name = _id(file, data)
                    merged = _merge(self._facts.get(name, {}), data)
                    self._profiles[name] = _validated(ModelProfile, file.name, merged)
                    self._facts[name] = merged
                    self.own[name] = _merge(self.own.get(name, {}), data)
            except InvalidProfile as problem:
                self._problems.append(problem)

    def reject(self, problem: InvalidProfile) -> None:
        self._problems.append(problem)

    def add_measured(self, measured: InForce) -> None:
        self._problems += [InvalidProfile(problem) for problem in measured.problems]
        for name, facts in measured.facts.items():
            below = self._facts.get(name)
            if below is None and "provider" not in facts:
                self._facts[name] = dict(facts)  # the user's own file adds this profile
                continue
            merged = _merge(below or {}, _still_newest(facts, below or {}))
            try:
                self._profiles[name] = _validated(ModelProfile, f"{MEASURED_FOLDER}, {name}", merged)
                self._facts[name] = merged
            except InvalidProfile as problem:
                self._problems.append(InvalidProfile(f"{problem} `chargehand profiles undo` reverts the update."))

    def catalogue(self) -> Catalogue:
        if self._rules is None:
            raise InvalidProfile(
                f"{ROUTING_FILE}: the file that ships with Chargehand cannot be used: {self._problems}"
            )
        for name in self._facts.keys() - self._profiles.keys():
            self._problems.append(
                InvalidProfile(
                    f"{MEASURED_FOLDER}, {name}: was measured, but no file adds such a profile any more. Restore the"
                    " file, or revert the update with `chargehand profiles undo`."
                )
            )
        return Catalogue(
            profiles=self._profiles, rules=self._rules, problems=tuple(self._problems), own=self.own, facts=self._facts
        )


def _still_newest(measured: Mapping[str, Any], shipped: Mapping[str, Any]) -> dict[str, Any]:
    """Drop announced facts that are older than the shipped ones, since an upgrade may ship newer facts."""
    return {
        key: group
        for key, group in measured.items()
        if key not in _ANNOUNCED or not _seen(group) or _seen(group) >= _seen(shipped.get(key))
    }


def _seen(group: object) -> str:
    """The `seen` date of a group of facts as sortable text; empty when it has none."""
    return str(cast(dict[str, Any], group).get("seen", "")) if isinstance(group, dict) else ""


def _yaml_files(folder: Traversable) -> list[Traversable]:
    return sorted((f for f in folder.iterdir() if f.name.endswith((".yaml", ".yml"))), key=lambda f: f.name)


def _read(file: Traversable) -> dict[str, Any]:
    try:
        data: object = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file.name}: cannot be read ({error}). Make it a readable UTF-8 file."
        raise InvalidProfile(message, file.name, "it cannot be read") from error
    except yaml.YAMLError as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        fault = "it is not YAML" if mark is None else f"line {mark.line + 1} is not YAML"
        raise InvalidProfile(f"{file.name}: not YAML: {error}. Fix that line.", file.name, fault) from error
    if not isinstance(data, dict):
        message = f"{file.name}: must hold fields (`id: …`), but holds {type(data).__name__}."
        raise InvalidProfile(message, file.name, "it holds no fields")
    return cast(dict[str, Any], data)


def _id(file: Traversable, data: Mapping[str, Any]) -> str:
    name = data.get("id")
    if not isinstance(name, str):
        message = f"{file.name}: id: missing, or not text. Add `id: NAME`, the name the model is called by."
        raise InvalidProfile(message, file.name, "it has no id")
    return name


def _validated(schema: type[_Schema], name: str, data: Mapping[str, Any]) -> _Schema:
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file as a whole"
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        shows_value = first["loc"] and first["type"] != "missing" and not _MAY_HOLD_A_SECRET.search(field)
        got = f", got {first['input']!r}"[:120] if shows_value else ""
        raise InvalidProfile(
            f"{name}: {field}: {first['msg'].removeprefix('Value error, ')}{got}{more}. {_remedy(first['type'])}",
            name,
            _fault(schema, first["loc"]),
        ) from error


def _fault(schema: type[BaseModel], place: Sequence[str | int]) -> str:
    """A short description that leaves out names the user typed, since one may be a misplaced API key."""
    if not place:
        return "its fields do not go together"
    return f"its {place[0]} is wrong" if place[0] in schema.model_fields else "it has a field that is unknown"


def _remedy(kind: str) -> str:
    if kind == "extra_forbidden":
        return "Remove the field or correct its spelling; profiles/model.py lists them all."
    if kind == "missing":
        return "Add the field; profiles/model.py says what it holds."
    return "Correct the value; profiles/model.py gives unit and range."


# An API key may have been pasted here by mistake, so the value is not repeated.
_MAY_HOLD_A_SECRET = re.compile(r"headers?\b|(key|key_env|token|secret|password|url)$", re.IGNORECASE)

_ANNOUNCED = ("lifecycle", "price")
