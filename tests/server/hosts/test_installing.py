"""`chargehand install`, `uninstall` and `doctor --host`: their effects on a host's configuration file."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from chargehand.server.cli import main
from chargehand.server.hosts.installing import BACKUP, own_command
from chargehand.server.hosts.jsonc import parse
from chargehand.server.hosts.known import HOSTS

HOST = pytest.mark.parametrize("host", HOSTS)
FOREIGN_CONFIG = """\
{
  // mine
  "mcpServers": {
    "other": {"command": "/bin/other", "env": {"KEY": "theirs"}}
  },
  "theme": "dark"
}
"""
FOREIGN_TOML = """\
# mine
model = "gpt-6.1"  # the good one
notify = [
  ["[mcp_servers.chargehand]"],
]

[mcp_servers.other]
command = "/bin/other"
env = { KEY = "theirs" }

# for work
[profiles.work]
instructions = '''
[mcp_servers]
'''
"""
FOREIGN_YAML = """\
# mine
active_provider: anthropic
extensions:
  # my own
  other:
    cmd: /bin/other  # theirs
    envs: {KEY: theirs}

notes: |
  extensions:
    chargehand: none
"""
FOREIGN = {"JSON": FOREIGN_CONFIG, "TOML": FOREIGN_TOML, "YAML": FOREIGN_YAML}
KEY = "sk-ant-canary-0123456789"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def content(file: Path, host: str) -> dict[str, Any]:
    return HOSTS[host].format.editor.content(file.read_text())


def entry(file: Path, host: str) -> dict[str, Any]:
    return content(file, host)[HOSTS[host].key]["chargehand"]


@HOST
def test_each_host_gets_an_absolute_command_and_an_env_block(file: Path, tmp_path: Path, host: str):
    assert run("install", host, "--config", file, "--roots", tmp_path, "--env", "OLLAMA_HOST=http://box:1") == 0

    installed = entry(file, host)
    command, environment = HOSTS[host].command_in(installed), HOSTS[host].environment_in(installed)
    assert tuple(command) == own_command()
    assert os.access(command[0], os.X_OK)
    assert Path(command[0]).is_absolute()
    assert Path(command[0]).name == "chargehand"
    assert environment["CHARGEHAND_ROOTS"] == str(tmp_path)
    assert environment["OLLAMA_HOST"] == "http://box:1"
    assert environment.items() >= HOSTS[host].environment.items()
    assert {name: installed[name] for name in HOSTS[host].form} == dict(HOSTS[host].form)
    if HOSTS[host].format.name == "JSON":
        assert json.loads(file.read_text()), "a file that we make is strict JSON"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("claude-desktop", ".config/Claude/claude_desktop_config.json"),
        ("claude-code", ".claude.json"),
        ("codex", ".codex/config.toml"),
        ("cursor", ".cursor/mcp.json"),
        ("kimi", ".kimi-code/mcp.json"),
        ("opencode", ".config/opencode/opencode.jsonc"),
        ("vscode", ".config/Code/User/mcp.json"),
        ("zed", ".config/zed/settings.json"),
    ],
)
def test_without_config_the_hosts_own_file_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, place: str
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.platform", "linux")
    file = tmp_path / "home" / place
    file.parent.mkdir(parents=True)

    assert run("install", host) == 0

    assert HOSTS[host].environment_in(entry(file, host))
    assert run("uninstall", host) == 0
    assert "chargehand" not in file.read_text()


def test_the_folder_and_the_name_that_the_user_chose_for_a_hosts_file_are_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "opencode").mkdir()
    (tmp_path / "opencode/opencode.json").write_text("{}")

    assert [run("install", host) for host in ("codex", "opencode")] == [0, 0]

    assert entry(tmp_path / "config.toml", "codex")
    assert entry(tmp_path / "opencode/opencode.json", "opencode")


def test_a_path_with_letters_beyond_ascii_is_written_readably(file: Path, tmp_path: Path):
    roots = tmp_path / "Jürgens Projekt"
    roots.mkdir()

    run("install", "cursor", "--config", file, "--roots", roots)

    assert f'"CHARGEHAND_ROOTS": "{roots}"' in file.read_text(encoding="utf-8")


def test_uninstalling_from_a_missing_file_changes_nothing(file: Path, capsys: pytest.CaptureFixture[str]):
    assert run("uninstall", "cursor", "--config", file) == 0

    assert not file.exists()
    assert "chargehand is not configured there" in capsys.readouterr().out


def test_a_list_of_inputs_that_is_not_an_array_is_left_unchanged(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "400")
    written = '{"inputs": {}, "servers": {}}'
    file.write_text(written)

    assert run("install", "vscode", "--config", file) == 1

    assert file.read_text() == written
    assert f"{file}: inputs is not an array, so it cannot be changed from here" in capsys.readouterr().err


@HOST
def test_install_and_uninstall_keep_foreign_content_and_make_a_backup(file: Path, host: str):
    foreign = FOREIGN[HOSTS[host].format.name].replace("mcpServers", HOSTS[host].key)
    file.write_text(foreign)
    file.chmod(0o640)

    run("install", host, "--config", file)

    after = file.read_text()
    assert [line for line in foreign.splitlines() if line.rstrip(",") not in after] == []
    assert file.with_name(file.name + BACKUP).read_text() == foreign
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    run("uninstall", host, "--config", file)
    removed = content(file, host)
    if HOSTS[host].prompts_for_keys:
        assert removed.pop("inputs") == []
    assert removed == HOSTS[host].format.editor.content(foreign)
    assert ("// mine" if HOSTS[host].format.name == "JSON" else foreign) in file.read_text()


@HOST
def test_installing_again_changes_nothing(file: Path, host: str, capsys: pytest.CaptureFixture[str]):
    file.write_text(FOREIGN[HOSTS[host].format.name])
    run("install", host, "--config", file)
    before = file.read_text()
    capsys.readouterr()

    assert run("install", host, "--config", file) == 0

    assert file.read_text() == before
    assert "nothing to change" in capsys.readouterr().out


def test_installing_again_keeps_additions_to_the_entry(file: Path):
    run("install", "claude-code", "--config", file)
    written = json.loads(file.read_text())
    edited_entry = written["mcpServers"]["chargehand"]
    edited_env = {"CHARGEHAND_RESULTS": "structured", "CHARGEHAND_POLICY": "reference"}
    edited_entry |= {"timeout": 5, "alwaysLoad": True, "env": edited_entry["env"] | edited_env}
    file.write_text(json.dumps(written))
    before = file.read_text()

    assert run("install", "claude-code", "--config", file) == 0

    assert file.read_text() == before


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ('mcp_servers = { chargehand = { command = "x" } }', "mcp_servers is written inline, in braces"),
        ('[mcp_servers]\nchargehand = { command = "x" }', "mcp_servers.chargehand is written inline, in braces"),
        ("mcp_servers = []", "mcp_servers is not a table"),
        ("[mcp_servers", "it is not valid TOML"),
    ],
)
def test_a_toml_file_that_cannot_be_changed_is_left_unchanged(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], written: str, why: str
):
    monkeypatch.setenv("COLUMNS", "400")
    file.write_text(written)

    assert run("install", "codex", "--config", file) == 1

    assert file.read_text() == written
    assert why in capsys.readouterr().err


def test_a_file_that_is_not_valid_json_is_left_unchanged(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text('{"mcpServers": {')

    assert run("install", "claude-desktop", "--config", file) == 1

    assert file.read_text() == '{"mcpServers": {'
    assert list(file.parent.glob(f"*{BACKUP}")) == []
    assert "it is not valid JSON" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", [("install", "claude-desktop"), ("doctor", "--host", "claude-desktop")])
def test_a_file_that_is_nested_too_deeply_is_refused_with_the_position(
    file: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
):
    file.write_text('{"a": ' + "[" * 5_000 + "]" * 5_000 + "}")

    assert run(*command, "--config", file) == 1

    assert "line 1, column 106: it is nested more than 100 levels deep" in " ".join(capsys.readouterr().err.split())


def test_a_list_of_servers_that_is_not_an_object_is_left_unchanged(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text('{"mcpServers": []}')

    assert run("install", "claude-desktop", "--config", file) == 1

    assert file.read_text() == '{"mcpServers": []}'
    assert "mcpServers is not an object" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", ["install", "uninstall", "doctor"])
def test_a_fifo_as_configuration_file_is_neither_read_nor_replaced(
    file: Path, capsys: pytest.CaptureFixture[str], command: str
):
    os.mkfifo(file)

    assert run(command, *(["--host"] if command == "doctor" else []), "cursor", "--config", file) == 1

    assert "It is a device or a pipe, not a file" in " ".join(capsys.readouterr().err.split())
    assert stat.S_ISFIFO(file.stat().st_mode)


def test_a_blank_file_gets_the_entry(file: Path):
    file.write_text(" \n\n")

    assert run("install", "cursor", "--config", file) == 0

    assert entry(file, "cursor")["command"] == own_command()[0]


def test_installing_for_a_host_that_was_never_started_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("install", "zed", "--config", tmp_path / "nowhere" / "settings.json") == 1

    assert "Zed was never started here" in " ".join(capsys.readouterr().err.split())


def test_a_missing_folder_of_a_hosts_file_is_created_once_the_host_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    before = run("install", "kiro")
    (tmp_path / ".kiro").mkdir()

    assert (before, run("install", "kiro")) == (1, 0)

    assert entry(tmp_path / ".kiro/settings/mcp.json", "kiro")
    assert run("install", "kiro", "--config", tmp_path / "nowhere/mcp.json") == 1


def test_installing_through_a_symlink_keeps_the_symlink(tmp_path: Path, file: Path):
    (tmp_path / "dotfiles").mkdir()
    target = tmp_path / "dotfiles" / "mcp.json"
    target.write_text("{}")
    file.symlink_to(target)

    run("install", "cursor", "--config", file)

    assert file.is_symlink()
    assert entry(target, "cursor")


def test_keys_are_written_only_on_request_and_never_printed(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    run("install", "claude-desktop", "--config", file)
    without = file.read_text()
    run("install", "claude-desktop", "--config", file, "--with-keys")
    printed = capsys.readouterr()

    assert KEY not in without
    assert entry(file, "claude-desktop")["env"]["ANTHROPIC_API_KEY"] == KEY
    assert "ANTHROPIC_API_KEY" in printed.out
    assert KEY not in printed.out + printed.err


@pytest.mark.parametrize("host", ["claude-desktop", "codex", "vscode"])
def test_variables_of_profiles_and_headers_are_written_as_keys_are(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
):
    monkeypatch.setenv("CHARGEHAND_HOME", str(tmp_path / "data"))
    secrets = {"ROUTER_KEY": KEY, "GATEWAY_TOKEN": KEY, "ANTHROPIC_CUSTOM_HEADERS": f"x-gateway-key: {KEY}"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    profiles = tmp_path / "data" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "mine.yaml").write_text(
        """
id: mine
name: Mine
provider: openai_compatible
api_model: org/Mine
base_url: https://gateway.example/v1
api_key_env: ROUTER_KEY
headers:
  X-Team-Auth: Bearer ${GATEWAY_TOKEN}
lifecycle: {status: active, source: me, seen: 2026-11-30}
""",
        encoding="utf-8",
    )

    run("install", host, "--config", file)
    without = entry(file, host)
    run("install", host, "--config", file, "--with-keys")
    with_keys = entry(file, host)
    run("uninstall", host, "--config", file)

    assert KEY not in str(without)
    if host == "codex":  # it passes on what is in its own environment
        assert with_keys["env_vars"] == without["env_vars"]
        assert secrets.keys() <= set(without["env_vars"])
    if host == "vscode":  # it asks its user
        assert secrets.keys() <= without["env"].keys()
        assert KEY not in str(with_keys)
    else:
        assert secrets.items() <= with_keys["env"].items()
    assert "chargehand" not in file.read_text()


@pytest.mark.parametrize("host", ["claude-desktop", "zed"])
def test_after_uninstall_the_backup_is_the_original_file_and_no_file_has_a_key(
    file: Path, monkeypatch: pytest.MonkeyPatch, host: str
):
    file.write_text(FOREIGN_CONFIG)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)

    run("install", host, "--config", file, "--with-keys")
    run("install", host, "--config", file, "--env", "OLLAMA_HOST=http://box:1")
    run("uninstall", host, "--config", file)

    assert file.with_name(file.name + BACKUP).read_text() == FOREIGN_CONFIG
    assert [path for path in file.parent.iterdir() if path.is_file() and KEY in path.read_text()] == []


def test_a_manual_chargehand_entry_is_removed_from_the_backup(file: Path):
    backup = file.with_name(file.name + BACKUP)
    manual = json.dumps({"mcpServers": {"chargehand": {"command": "old", "env": {"ANTHROPIC_API_KEY": KEY}}}})
    file.write_text(manual)

    run("install", "cursor", "--config", file)
    first = json.loads(backup.read_text())
    backup.write_text(manual)
    run("uninstall", "cursor", "--config", file)

    assert first == json.loads(backup.read_text()) == {"mcpServers": {}}


def test_a_later_install_backs_up_the_file_as_it_is_then(file: Path):
    file.write_text(FOREIGN_CONFIG)
    run("install", "cursor", "--config", file)
    run("uninstall", "cursor", "--config", file)
    file.write_text('{"theme": "light"}')

    run("install", "cursor", "--config", file)

    assert file.with_name(file.name + BACKUP).read_text() == '{"theme": "light"}'


def test_a_relative_data_folder_is_installed_as_an_absolute_path(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARGEHAND_HOME", "./data")

    run("install", "cursor", "--config", file)

    assert entry(file, "cursor")["env"]["CHARGEHAND_HOME"] == str(tmp_path / "data")


def test_missing_roots_are_refused_by_name(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    missing = tmp_path / "nowhere"
    monkeypatch.setenv("COLUMNS", "400")

    assert run("install", "cursor", "--config", file, "--roots", tmp_path, missing) == 1

    assert not file.exists()
    assert f"--roots: {missing}: there is no such folder." in capsys.readouterr().err


@pytest.mark.parametrize("flags", [(), ("--with-keys",)])
def test_addresses_and_local_only_are_written_with_or_without_keys(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
):
    variables = {
        "CHARGEHAND_LOCAL_ONLY": "true",
        "OLLAMA_HOST": "http://box:11434",
        "ANTHROPIC_BASE_URL": "https://gateway.corp.example",
        "CEREBRAS_BASE_URL": "https://other.corp.example",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    run("install", "claude-desktop", "--config", file, *flags)

    assert variables.items() <= entry(file, "claude-desktop")["env"].items()
    printed = capsys.readouterr().out
    assert all(name in printed for name in variables)


def test_a_manual_key_entry_for_vs_code_is_not_replaced_by_an_input(file: Path):
    file.write_text('{"servers": {"chargehand": {"env": {"ANTHROPIC_API_KEY": "${env:MINE}"}}}}')

    run("install", "vscode", "--config", file)

    installed = entry(file, "vscode")["env"]
    assert installed["ANTHROPIC_API_KEY"] == "${env:MINE}"
    assert installed["CEREBRAS_API_KEY"] == "${input:chargehand-cerebras-api-key}"
    input_ids = [question["id"] for question in parse(file.read_text()).value["inputs"]]
    assert input_ids == ["chargehand-cerebras-api-key"]


def test_vs_code_is_asked_for_the_open_folder_only_in_a_projects_own_file(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    of_project = tmp_path / ".vscode" / "mcp.json"

    assert [run("install", "vscode", "--config", one) for one in (of_project, file)] == [0, 0]

    assert entry(of_project, "vscode")["env"]["CHARGEHAND_ROOTS"] == "${workspaceFolder}"
    assert "CHARGEHAND_ROOTS" not in entry(file, "vscode")["env"]
    told = capsys.readouterr().out
    assert told.count("name your folders with --roots") == 1
    assert f"`chargehand doctor --host vscode --config {of_project}`" in told


@pytest.mark.parametrize("flags", [(), ("--with-keys",)])
def test_vs_code_gets_one_input_per_key_and_uninstall_removes_them(
    file: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    file.write_text('{"inputs": [{"type": "promptString", "id": "theirs"}], "servers": {}}')

    for _ in range(2):
        run("install", "vscode", "--config", file, *flags)
    text = file.read_text()
    run("uninstall", "vscode", "--config", file)

    assert KEY not in text
    input_ids = [question["id"] for question in parse(text).value["inputs"]]
    assert input_ids == ["theirs", "chargehand-anthropic-api-key", "chargehand-cerebras-api-key"]
    assert parse(text).value["servers"]["chargehand"]["env"]["ANTHROPIC_API_KEY"] == (
        "${input:chargehand-anthropic-api-key}"
    )
    assert parse(file.read_text()).value == {"inputs": [{"type": "promptString", "id": "theirs"}], "servers": {}}


def test_an_env_without_a_value_is_refused(file: Path, capsys: pytest.CaptureFixture[str]):
    assert run("install", "cursor", "--config", file, "--env", "OLLAMA_HOST") == 1

    assert not file.exists()
    assert "'OLLAMA_HOST' is not of the form NAME=VALUE" in " ".join(capsys.readouterr().err.split())


def test_doctor_checks_the_environment_of_the_host_instead_of_the_shells(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CEREBRAS_API_KEY", KEY)  # set in the shell, whose environment Claude Desktop does not see
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    roots = tmp_path / "project"
    roots.mkdir()
    run("install", "claude-desktop", "--config", file, "--roots", roots, "--env", "OLLAMA_HOST=http://127.0.0.1:9")
    capsys.readouterr()

    code = run("doctor", "--host", "claude-desktop", "--config", file, "--json")
    printed = capsys.readouterr().out
    lines = {line["what"]: line for line in json.loads(printed)["lines"]}

    assert code == 1, "nothing can generate there"
    assert lines["env"]["finding"] == "CHARGEHAND_ROOTS, CHARGEHAND_HOME, OLLAMA_HOST"
    assert (lines["command"]["health"], lines["roots"]["finding"]) == ("ok", str(roots))
    assert lines["cerebras"]["health"] == "missing"
    assert KEY not in printed


def test_doctor_reports_a_missing_entry_or_program(file: Path, capsys: pytest.CaptureFixture[str]):
    assert run("doctor", "--host", "cursor", "--config", file, "--json") == 1
    without_entry = json.loads(capsys.readouterr().out)["lines"]
    file.write_text(json.dumps({"mcpServers": {"chargehand": {"command": "/nowhere/chargehand"}}}))
    assert run("doctor", "--host", "cursor", "--config", file, "--json") == 1
    without_program = json.loads(capsys.readouterr().out)["lines"]

    assert "`chargehand install cursor` adds one" in without_entry[0]["finding"]
    assert without_program[-1] == {
        "what": "command",
        "health": "broken",
        "finding": "/nowhere/chargehand: no such program was found, or it is not executable",
    }


REMOTE = {"type": "http", "url": f"http://me:{KEY}@127.0.0.1:9/mcp?key={KEY}"}


def test_an_entry_with_a_url_is_left_unchanged_until_it_is_uninstalled(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "400")
    written = json.dumps({"mcpServers": {"chargehand": REMOTE}})
    file.write_text(written)

    assert run("install", "claude-code", "--config", file) == 1

    assert file.read_text() == written
    printed = capsys.readouterr().err
    assert (
        "its entry for chargehand connects to http://127.0.0.1:9/mcp. Run `chargehand uninstall claude-code`" in printed
    )
    assert KEY not in printed
    assert run("uninstall", "claude-code", "--config", file) == 0
    assert run("install", "claude-code", "--config", file) == 0


@pytest.mark.parametrize(("host", "name"), [("gemini", "httpUrl"), ("windsurf", "serverUrl")])
def test_an_entry_with_a_url_under_the_hosts_own_name_is_left_unchanged(file: Path, host: str, name: str):
    written = json.dumps({"mcpServers": {"chargehand": {name: "http://127.0.0.1:9/mcp"}}})
    file.write_text(written)

    assert run("install", host, "--config", file) == 1

    assert file.read_text() == written


def test_doctor_reports_that_no_server_answers_at_the_url_of_an_entry(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(json.dumps({"mcpServers": {"chargehand": REMOTE}}))

    assert run("doctor", "--host", "claude-code", "--config", file, "--json") == 1

    printed = capsys.readouterr().out
    assert json.loads(printed)["lines"][-1] == {
        "what": "server",
        "health": "broken",
        "finding": "http://127.0.0.1:9/mcp: nothing answers there; start it with `chargehand serve --http`",
    }
    assert KEY not in printed


@pytest.mark.parametrize(
    ("broken", "finding"),
    [
        ({"command": "x", "env": ["A=1"]}, '{file}: "env" is not an object of names and values'),
        ({"command": "x", "args": "serve"}, '{file}: "args" is not a list'),
        ({"args": []}, 'the entry has neither a "command" nor a "url"'),
    ],
)
def test_doctor_names_the_fault_of_an_invalid_entry(
    file: Path, capsys: pytest.CaptureFixture[str], broken: dict[str, Any], finding: str
):
    file.write_text(json.dumps({"mcpServers": {"chargehand": broken}}))

    assert run("doctor", "--host", "cursor", "--config", file, "--json") == 1

    assert json.loads(capsys.readouterr().out)["lines"][-1]["finding"] == finding.format(file=file)


def test_doctor_names_an_entry_that_is_not_an_object(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "400")
    file.write_text('{"mcpServers": {"chargehand": "x"}}')

    assert run("doctor", "--host", "cursor", "--config", file) == 1

    assert "mcpServers.chargehand is not an object. Remove it" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_a_duplicate_entry_is_left_unchanged_and_its_line_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
):
    monkeypatch.setenv("COLUMNS", "400")
    written = '{"mcpServers": {\n"chargehand": {"env": {}},\n"chargehand": {"command": "x"}}}'
    file.write_text(written)

    assert run(command, "cursor", "--config", file) == 1

    assert file.read_text() == written
    assert f"{file}, line 3: 'chargehand' stands twice. Leave only one there" in capsys.readouterr().err
