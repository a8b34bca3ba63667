"""README.md and the pages in docs/ match the code: settings, tools, commands, statuses, JSON, links."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import get_args

import pytest
from mcp import Client

from chargehand.server.app import build_app
from chargehand.server.cli import main, own_services
from chargehand.server.hosts.installing import install
from chargehand.server.hosts.known import HOSTS
from chargehand.server.settings import facts_of_fields
from chargehand.tools.cascade.receipt import Status

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])


def settings_table() -> list[str]:
    """The rows that README.md must have."""
    return [f"| `{name}` | {as_shown(default)} | {meaning} |" for name, (meaning, default) in facts_of_fields().items()]


def as_shown(default: object) -> str:
    if default in (None, ()):
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_settings_table_of_the_readme_matches_the_settings():
    rows = re.findall(r"^\| `(?:CHARGEHAND|OLLAMA|ANTHROPIC|CEREBRAS)_\w+` \|.*\|$", README, re.MULTILINE)

    assert rows == settings_table()


@pytest.mark.anyio
async def test_the_tools_table_of_the_readme_matches_the_server():
    async with Client(build_app(own_services)) as client:
        offered = {tool.name: list(tool.input_schema["properties"]) for tool in (await client.list_tools()).tools}

    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ((?:`\w+`(?:, )?)+) \|$", README, re.MULTILINE)
    assert {name: re.findall(r"`(\w+)`", arguments) for name, arguments in rows} == offered


def test_the_readmes_json_for_hosts_is_valid_and_complete():
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]

    servers = [entry for block in blocks for key, group in block.items() if key != "inputs" for entry in group.values()]
    assert len(servers) == 4
    for server in servers:
        assert PurePosixPath(server["command"]).is_absolute()
        assert PurePosixPath(server["command"]).name == "chargehand"
        assert {"CHARGEHAND_ROOTS", "ANTHROPIC_API_KEY", "CEREBRAS_API_KEY"} <= set(server["env"])


def test_the_readme_names_every_host_and_the_entries_on_the_page_of_hosts_are_what_install_writes(tmp_path: Path):
    line = re.search(r"^Hosts: (.*)\.$", README, re.MULTILINE)
    page = (CHECKOUT / "docs/hosts.md").read_text(encoding="utf-8")
    shown = dict(zip(("codex", "opencode"), re.findall(r"```(?:toml|json)\n(.*?)```", page, re.DOTALL), strict=True))

    assert line
    assert set(re.findall(r"`([^`]*)`", line[1])) == set(HOSTS)
    for name, text in shown.items():
        host = HOSTS[name]
        install(host, tmp_path / name, ["/home/you/.local/bin/chargehand"], host.environment)
        assert host.format.editor.content(text) == host.format.editor.content((tmp_path / name).read_text())


def test_the_readme_explains_every_status_of_a_delegation():
    explained = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]+ \|$", README, re.MULTILINE)

    assert {status for cell in explained for status in re.findall(r"`(\w+)`", cell)} == set(get_args(Status))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_all_commands_named_on_a_page_exist(path: Path):
    command = re.compile(r"(?:`|^|uv run )chargehand ((?:(?:bench|memory|profiles) )?\w+)", re.MULTILINE)

    named = command.findall(_text(path))

    assert [words for words in sorted(set(named)) if not _is_command(words.split())] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_all_relative_links_of_a_page_have_a_target(path: Path):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", _text(path))

    for link, heading in links:
        target = (path.parent / link).resolve() if link else path
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", _text(target), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings], heading


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _is_command(words: list[str]) -> bool:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    return ended.value.code == 0


def test_the_readme_does_not_mention_uvx():
    assert "uvx" not in README
