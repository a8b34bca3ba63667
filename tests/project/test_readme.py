"""README.md says what the code does: its table of settings, its list of tools, its commands and its JSON."""

import json
import re
from pathlib import Path, PurePosixPath

import pytest
from mcp import Client

from chargehand.server.app import build_app
from chargehand.server.cli import main, own_workshop
from chargehand.server.settings import facts_of_fields

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


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
    async with Client(build_app(own_workshop)) as client:
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


def test_every_command_it_names_exists(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    helped = capsys.readouterr().out

    assert ended.value.code == 0
    for command in set(re.findall(r"(?:`|^|uv run )chargehand (\w+)", README, re.MULTILINE)):
        assert re.search(rf"^    {command}\b", helped, re.MULTILINE), command


def test_the_package_is_not_said_to_be_published():
    assert "uvx" not in README
