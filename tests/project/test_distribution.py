"""What registries and hosts are told of the package is what the package is."""

import functools
import hashlib
import json
import operator
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client

from chargehand.server.app import build_app
from chargehand.server.cli import own_services
from chargehand.server.settings import facts_of_fields

PROJECT = Path(__file__).parents[2]
VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


SCHEMA = PROJECT / "packaging" / "registry-schema" / "server.schema.json"
SCHEMA_OF_THE_REGISTRY = json.loads(SCHEMA.read_text(encoding="utf-8"))


def told(name: str) -> dict[str, Any]:
    return json.loads((PROJECT / "packaging" / name).read_text(encoding="utf-8"))


def problems(entry: object) -> list[str]:
    """What the registry's schema has against an entry."""
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA_OF_THE_REGISTRY).iter_errors(entry)]


def test_every_place_names_the_same_version():
    server, bundle = told("server.json"), told("manifest.json")

    assert {server["version"], bundle["version"], *(p["version"] for p in server["packages"])} == {VERSION}


def test_the_registrys_schema_is_the_one_that_was_taken():
    told_of_it = (SCHEMA.parent / "README.md").read_text(encoding="utf-8")

    assert hashlib.sha256(SCHEMA.read_bytes()).hexdigest() in told_of_it
    assert told("server.json")["$schema"] == SCHEMA_OF_THE_REGISTRY["$id"]


def test_the_registrys_schema_takes_the_entry():
    assert problems(told("server.json")) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("name",), "chargehand"),
        (("description",), "x" * 101),
        (("version",), 1),
        (("title",), ""),
        (("packages", 0, "transport", "type"), "pipe"),
        (("packages", 0, "version"), "latest"),
        (("packages", 0, "environmentVariables", 0, "format"), "path"),
        (("packages", 0, "environmentVariables", 0, "isSecret"), "yes"),
    ],
)
def test_the_registrys_schema_refuses_a_wrong_entry(place: tuple[str | int, ...], value: object):
    entry: Any = told("server.json")
    *outer, last = place
    functools.reduce(operator.getitem, outer, entry)[last] = value

    assert problems(entry)


def test_the_entry_has_no_field_that_the_registry_does_not_know():
    """The schema lets unknown fields pass, and the registry drops them."""
    entry, forms = told("server.json"), SCHEMA_OF_THE_REGISTRY["definitions"]
    of_a_variable = {*forms["Input"]["properties"], "name", "variables"}

    assert set(entry) <= set(forms["ServerDetail"]["properties"])
    for package in entry["packages"]:
        assert set(package) <= set(forms["Package"]["properties"])
        assert all(set(variable) <= of_a_variable for variable in package["environmentVariables"])


def test_every_variable_that_is_offered_is_a_setting_and_keys_are_secret():
    variables = {v["name"]: v for package in told("server.json")["packages"] for v in package["environmentVariables"]}
    bundle = told("manifest.json")

    assert set(variables) <= set(facts_of_fields())
    assert {name for name, v in variables.items() if v.get("isSecret")} == {"ANTHROPIC_API_KEY", "CEREBRAS_API_KEY"}
    environment = bundle["server"]["mcp_config"]["env"]
    assert set(environment) <= set(facts_of_fields())
    for name, value in environment.items():
        field = bundle["user_config"][value.removeprefix("${user_config.").removesuffix("}")]
        assert field.get("sensitive", False) == name.endswith("_API_KEY")


def test_no_option_of_the_bundle_that_is_left_blank_reaches_the_server_as_a_placeholder():
    """Claude Desktop leaves `${user_config.…}` as it is where an option has neither a value nor a default."""
    options = told("manifest.json")["user_config"]

    assert {name for name, option in options.items() if "default" not in option} == set()


@pytest.mark.anyio
async def test_the_bundle_lists_the_tools_that_there_are():
    async with Client(build_app(own_services)) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]

    assert [tool["name"] for tool in told("manifest.json")["tools"]] == tools


def test_the_image_runs_as_nobody_in_particular_and_gets_its_signals_itself():
    lines = (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines()

    assert "USER 10001" in lines
    assert lines[-1] == 'ENTRYPOINT ["chargehand"]'
