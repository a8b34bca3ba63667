"""README.md and the pages of docs/ say what the code does: settings, tools, commands, statuses, JSON, links."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import get_args

import pytest
from mcp import Client

from chargehand.server.app import build_app
from chargehand.server.cli import main, own_services
from chargehand.server.settings import facts_of_fields
from chargehand.tools.cascade.receipt import Status

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])


def settings_table() -> list[str]:
    """The rows as README.md must have them."""
    return [f"| `{name}` | {shown(default)} | {meaning} |" for name, (meaning, default) in facts_of_fields().items()]


def shown(default: object) -> str:
    if default in (None, ()):
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_settings_table_is_what_the_settings_are():
    written = re.findall(r"^\| `(?:CHARGEHAND|OLLAMA|ANTHROPIC|CEREBRAS)_\w+` \|.*\|$", README, re.MULTILINE)

    assert written == settings_table()


@pytest.mark.anyio
async def test_the_tools_and_their_arguments_are_those_of_the_server():
    async with Client(build_app(own_services)) as client:
        offered = {tool.name: list(tool.input_schema["properties"]) for tool in (await client.list_tools()).tools}

    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ((?:`\w+`(?:, )?)+) \|$", README, re.MULTILINE)
    assert {name: re.findall(r"`(\w+)`", arguments) for name, arguments in rows} == offered


def test_each_hosts_json_can_be_pasted():
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]

    servers = [entry for block in blocks for key, group in block.items() if key != "inputs" for entry in group.values()]
    assert len(servers) == 4
    for server in servers:
        assert PurePosixPath(server["command"]).is_absolute()
        assert PurePosixPath(server["command"]).name == "chargehand"
        assert {"CHARGEHAND_ROOTS", "ANTHROPIC_API_KEY", "CEREBRAS_API_KEY"} <= set(server["env"])


def test_every_status_of_a_delegation_is_explained():
    explained = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]+ \|$", README, re.MULTILINE)

    assert {status for cell in explained for status in re.findall(r"`(\w+)`", cell)} == set(get_args(Status))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_a_page_names_exists(path: Path):
    command = re.compile(r"(?:`|^|uv run )chargehand ((?:(?:bench|memory|profiles) )?\w+)", re.MULTILINE)

    named = command.findall(_text(path))

    assert [words for words in sorted(set(named)) if not _is_command(words.split())] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_of_a_page_leads_somewhere(path: Path):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", _text(path))

    for to, heading in links:
        target = (path.parent / to).resolve() if to else path
        assert target.exists(), to
        if heading:
            headings = re.findall(r"^#+ (.*)$", _text(target), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings], heading


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _is_command(words: list[str]) -> bool:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    return ended.value.code == 0


def test_the_package_is_not_said_to_be_published():
    assert "uvx" not in README
