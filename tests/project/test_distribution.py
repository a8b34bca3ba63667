"""The metadata for registries and hosts matches the package."""

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
REGISTRY_SCHEMA = json.loads(SCHEMA.read_text(encoding="utf-8"))


def packaging_file(name: str) -> dict[str, Any]:
    return json.loads((PROJECT / "packaging" / name).read_text(encoding="utf-8"))


def schema_errors(entry: object) -> list[str]:
    """The registry schema's errors about an entry."""
    return [error.message for error in jsonschema.Draft7Validator(REGISTRY_SCHEMA).iter_errors(entry)]


def test_all_packaging_files_state_the_same_version():
    server, bundle = packaging_file("server.json"), packaging_file("manifest.json")

    assert {server["version"], bundle["version"], *(p["version"] for p in server["packages"])} == {VERSION}


def test_the_registry_schema_matches_its_recorded_checksum_and_id():
    readme = (SCHEMA.parent / "README.md").read_text(encoding="utf-8")

    assert hashlib.sha256(SCHEMA.read_bytes()).hexdigest() in readme
    assert packaging_file("server.json")["$schema"] == REGISTRY_SCHEMA["$id"]


def test_the_registry_entry_is_valid_against_the_schema():
    assert schema_errors(packaging_file("server.json")) == []


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
def test_the_schema_rejects_an_invalid_registry_entry(place: tuple[str | int, ...], value: object):
    entry: Any = packaging_file("server.json")
    *parents, last = place
    functools.reduce(operator.getitem, parents, entry)[last] = value

    assert schema_errors(entry)


def test_the_registry_entry_has_no_unknown_fields():
    """The schema accepts unknown fields, but the registry drops them."""
    entry, definitions = packaging_file("server.json"), REGISTRY_SCHEMA["definitions"]
    known_fields = {*definitions["Input"]["properties"], "name", "variables"}

    assert set(entry) <= set(definitions["ServerDetail"]["properties"])
    for package in entry["packages"]:
        assert set(package) <= set(definitions["Package"]["properties"])
        assert all(set(variable) <= known_fields for variable in package["environmentVariables"])


def test_all_offered_variables_are_settings_and_api_keys_are_marked_secret():
    variables = {
        v["name"]: v for package in packaging_file("server.json")["packages"] for v in package["environmentVariables"]
    }
    bundle = packaging_file("manifest.json")

    assert set(variables) <= set(facts_of_fields())
    assert {name for name, v in variables.items() if v.get("isSecret")} == {"ANTHROPIC_API_KEY", "CEREBRAS_API_KEY"}
    environment = bundle["server"]["mcp_config"]["env"]
    assert set(environment) <= set(facts_of_fields())
    for name, value in environment.items():
        field = bundle["user_config"][value.removeprefix("${user_config.").removesuffix("}")]
        assert field.get("sensitive", False) == name.endswith("_API_KEY")


def test_all_options_of_the_bundle_have_a_default():
    """Claude Desktop passes on the placeholder `${user_config.…}` when an option has neither a value nor a default."""
    options = packaging_file("manifest.json")["user_config"]

    assert {name for name, option in options.items() if "default" not in option} == set()


@pytest.mark.anyio
async def test_the_bundle_lists_the_servers_tools():
    async with Client(build_app(own_services)) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]

    assert [tool["name"] for tool in packaging_file("manifest.json")["tools"]] == tools


def test_the_image_runs_as_an_unprivileged_user_and_chargehand_is_its_entrypoint():
    lines = (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines()

    assert "USER 10001" in lines
    assert "    && mkdir --mode 1777 /data && mkdir /project" in lines  # whatever `--user` names may use it
    assert lines[-1] == 'ENTRYPOINT ["chargehand"]'
