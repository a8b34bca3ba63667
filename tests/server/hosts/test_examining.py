"""`chargehand doctor --host`: what it finds at an entry's address, and of an entry whose command does not start."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from chargehand.server.cli import main

pytestmark = pytest.mark.usefixtures("wide_terminal")


@pytest.fixture
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture
def diagnose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs `doctor --host` for an entry; the exit code and what it prints."""

    def run(entry: dict[str, Any], host: str = "cursor", key: str = "mcpServers", *flags: str) -> tuple[int, str]:
        file = tmp_path / "config.json"
        file.write_text(json.dumps({key: {"chargehand": entry}}))
        code = main(["doctor", "--host", host, "--config", str(file), *flags])
        return code, capsys.readouterr().out

    return run


@contextmanager
def answering(status: int) -> Generator[str]:
    """The address of a server that answers every path with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 418)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...  # pyright: ignore[reportIncompatibleMethodOverride]

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        thread.join()


def test_a_healthy_server_at_an_address_is_no_fault(diagnose):
    with answering(200) as url:
        code, printed = diagnose({"url": f"{url}/mcp"})

    assert f"{url}/mcp: it runs; `chargehand doctor` there says what it has" in printed
    assert "No model can be asked" not in printed
    assert code == 0


def test_a_server_on_another_machine_is_not_asked_and_is_no_fault(diagnose):
    code, printed = diagnose({"url": "https://team.example/mcp"}, "cursor", "mcpServers", "--json")

    diagnosis = json.loads(printed)
    assert diagnosis["lines"][-1] == {
        "what": "server",
        "health": "ok",
        "finding": "https://team.example/mcp: on another machine, and not asked; run `chargehand doctor` there",
    }
    assert (code, diagnosis["can_generate"]) == (0, None)


def test_a_server_at_an_address_that_answers_with_an_error_is_broken(diagnose):
    with answering(503) as url:
        code, printed = diagnose({"url": f"{url}/mcp"})

    assert f"{url}/mcp: /health answers 503" in printed
    assert code == 1


@pytest.mark.parametrize("entry", [{"url": "http://[::1/mcp"}, {"url": "127.0.0.1:8765/mcp"}, {"type": "http"}])
def test_an_entry_whose_url_is_missing_or_not_an_address_is_broken(diagnose, entry: dict[str, str]):
    code, printed = diagnose(entry)

    assert "config.json is not an address such as http://127.0.0.1:8765/mcp" in printed
    assert code == 1


@pytest.mark.parametrize("command", ["/bin/false", "/bin/echo"])
def test_a_command_that_is_not_chargehand_does_not_start(diagnose, command: str):
    code, printed = diagnose({"command": command})

    assert "it does not start; run its command with `doctor` appended in a shell to see why" in printed
    assert code == 1


def test_an_entry_by_hand_whose_host_shows_its_model_the_structure_is_advised_to_have_the_text(diagnose):
    _, by_hand = diagnose({"command": "/bin/false"}, "claude-code")
    _, installed = diagnose({"command": "/bin/false", "env": {"CHARGEHAND_RESULTS": "structured"}}, "claude-code")

    assert "CHARGEHAND_RESULTS=text: not set, so that Claude Code shows its model more than the text" in by_hand
    assert "not set" not in installed


def test_a_command_without_its_folder_is_found_on_the_hosts_path_and_an_absolute_one_is_advised(diagnose):
    _, printed = diagnose({"command": "false"})

    assert "false: found as " in printed
    assert "/bin/false; an absolute path is safer" in printed


def test_a_folder_that_vs_code_cannot_fill_in_is_reported(diagnose):
    code, printed = diagnose(
        {"command": "/bin/false", "env": {"CHARGEHAND_ROOTS": "${workspaceFolder}"}}, "vscode", "servers"
    )

    assert "CHARGEHAND_ROOTS: VS Code replaces ${workspaceFolder} only in a project's .vscode" in printed
    assert code == 1


def test_a_value_that_the_host_fills_in_is_named_and_not_passed_on(diagnose, tmp_path: Path):
    program = tmp_path / "program"
    program.write_text(
        '#!/bin/sh\necho "{\\"lines\\": [{\\"what\\": \\"key\\", \\"health\\": \\"ok\\", '
        '\\"finding\\": \\"$ANTHROPIC_API_KEY.$CHARGEHAND_POLICY\\"}], \\"can_generate\\": true}"\n'
    )
    program.chmod(0o755)
    environment = {"ANTHROPIC_API_KEY": "${input:chargehand-anthropic-api-key}", "CHARGEHAND_POLICY": "frugal"}

    code, printed = diagnose({"command": str(program), "env": environment}, "vscode", "servers", "--json")

    lines = {line["what"]: line["finding"] for line in json.loads(printed)["lines"]}
    assert lines["env"] == "ANTHROPIC_API_KEY, CHARGEHAND_POLICY"
    assert lines["filled in"] == "ANTHROPIC_API_KEY: by VS Code, not visible from here"
    assert lines["key"] == ".frugal"
    assert code == 0
