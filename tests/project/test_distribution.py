"""What registries and hosts are told of the package is what the package is."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from chargehand.server.app import build_app
from chargehand.server.cli import own_workshop
from chargehand.server.settings import facts_of_fields

PROJECT = Path(__file__).parents[2]
VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def told(name: str) -> dict[str, Any]:
    return json.loads((PROJECT / "packaging" / name).read_text(encoding="utf-8"))


def test_every_place_names_the_same_version_and_the_same_server():
    server, bundle = told("server.json"), told("manifest.json")

    assert {server["version"], bundle["version"], *(p["version"] for p in server["packages"])} == {VERSION}
    name = server["name"]
    assert f"mcp-name: {name} " in (PROJECT / "README.md").read_text(encoding="utf-8")
    assert f'server.name="{name}"' in (PROJECT / "Dockerfile").read_text(encoding="utf-8")


def test_the_registrys_entry_keeps_its_bounds():
    """As the schema of 2025-12-11 has them; the whole schema is the registry's, and is not kept here."""
    server = told("server.json")

    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", server["name"])
    assert 3 <= len(server["name"]) <= 200
    assert 1 <= len(server["description"]) <= 100
    assert set(server) <= {"$schema", "name", "title", "description", "version", "packages", "repository", "websiteUrl"}
    for package in server["packages"]:
        assert {"registryType", "identifier", "transport"} <= set(package)
        for variable in package["environmentVariables"]:
            assert set(variable) <= {"name", "description", "default", "format", "isSecret", "isRequired"}


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


@pytest.mark.anyio
async def test_the_bundle_lists_the_tools_that_there_are():
    async with Client(build_app(own_workshop)) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]

    assert [tool["name"] for tool in told("manifest.json")["tools"]] == tools


def test_the_image_runs_as_nobody_in_particular_and_gets_its_signals_itself():
    lines = (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines()

    assert "USER 10001" in lines
    assert lines[-1] == 'ENTRYPOINT ["chargehand"]'
