"""Everything a host learns about the server before it calls a tool; as a script, writes it to surface.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from pydantic import BaseModel

from chargehand.server.app import build_app
from chargehand.server.cli import own_services

SNAPSHOT = Path(__file__).with_name("surface.json")


async def surface(client: Client) -> dict[str, Any]:
    return {
        "tools": _plain((await client.list_tools()).tools),
        "prompts": _plain((await client.list_prompts()).prompts),
        "resources": _plain((await client.list_resources()).resources),
        "templates": _plain((await client.list_resource_templates()).resource_templates),
        "instructions": client.instructions,
    }


async def _surface_of_this_checkout() -> dict[str, Any]:
    async with Client(build_app(own_services)) as client:
        return await surface(client)


def _plain(listed: Sequence[BaseModel]) -> list[Any]:
    return [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in listed]


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(anyio.run(_surface_of_this_checkout), indent=1) + "\n", encoding="utf-8")
