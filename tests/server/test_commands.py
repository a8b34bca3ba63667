"""The `chargehand` command line, run as a user runs it."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from command_line import CommandResult, run_command
from mcp import Client, StdioServerParameters
from open_peer import OpenAICompatiblePeer, OpenModel
from rename_task import RENAME
from running_server import Script, fenced
from server_process import COMMAND

from chargehand.evaluation.peers.reply import Reply, Stall
from chargehand.evaluation.peers.serving import serving
from chargehand.evaluation.peers.vendors import QWEN, vendors
from chargehand.memory_store.index.exact_choice import ChoiceFile, ExactChoice
from chargehand.profiles.price import in_dollars
from chargehand.server.wiring import INDEX_FOLDER

pytestmark = pytest.mark.anyio


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = {"HOME": str(tmp_path), "CHARGEHAND_HOME": str(tmp_path / "data")}
    return {"PATH": os.environ["PATH"], "COLUMNS": "300", "OLLAMA_HOST": "http://127.0.0.1:9", **home}


async def test_doctor_lists_remedies_and_exits_1_when_no_model_can_generate(environment: dict[str, str]):
    result = await run_command(environment, "doctor")

    assert result.code == 1
    for remedy in ("ollama serve", "ANTHROPIC_API_KEY", "CEREBRAS_API_KEY", "CHARGEHAND_ROOTS"):
        assert remedy in result.out
    assert "escape probe" in result.out


@pytest.mark.parametrize("command", [("usage",), ("doctor",), ("profiles", "list"), ("route", RENAME)])
async def test_an_inaccessible_data_folder_is_named_with_a_remedy(
    environment: dict[str, str], tmp_path: Path, command: tuple[str, ...]
):
    home = tmp_path / ("x" * 300)  # too long to exist; another user's folder fails in the same way

    result = await run_command(environment | {"CHARGEHAND_HOME": str(home)}, *command)

    assert (result.code, result.out) == (1, "")
    assert f"the ledger {home}/ledger.sqlite3 cannot be used" in result.error.replace("\n", "")
    assert "CHARGEHAND_HOME to another folder" in " ".join(result.error.split())
    assert "Traceback" not in result.error


@pytest.mark.parametrize("damage", ["a file in its place", "a damaged plan"])
async def test_unusable_undo_journals_are_named_and_do_not_stop_usage(
    environment: dict[str, str], tmp_path: Path, damage: str
):
    task_id, folder = "a" * 32, tmp_path / "data" / "undo"
    place = folder if damage == "a file in its place" else folder / task_id / "plan.json"
    place.parent.mkdir(parents=True)
    place.write_text("{")

    usage = await run_command(environment, "usage")
    undone = await run_command(environment, "undo", task_id)

    assert (usage.code, undone.code) == (0, 1)
    for result in (usage, undone):
        assert f"{place} cannot be used" in " ".join(result.error.split())
        assert "Make it readable and writable for you, or delete it." in " ".join(result.error.split())


async def test_an_unreadable_index_is_named_with_a_remedy(environment: dict[str, str], tmp_path: Path):
    index = tmp_path / "data" / INDEX_FOLDER
    index.parent.mkdir()
    index.write_text("")

    result = await run_command(environment, "memory", "rebuild")

    assert result.code == 1
    assert f"the index in {index} cannot be used" in " ".join(result.error.split())
    assert "Make the folder writable" in " ".join(result.error.split())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("command", "redirection", "message"),
    [
        (("usage",), ">/dev/full", "it cannot be written (No space left on device)"),
        (("instructions",), ">/dev/full", "it cannot be written (No space left on device)"),
        (("memory", "export", "-"), ">/dev/full", "it cannot be written (No space left on device)"),
        (("--help",), ">/dev/full", "it cannot be written (No space left on device)"),
        (("usage", "--json"), ">&-", "it is closed"),
        (("--version",), ">&-", "it is closed"),
        (("usage",), ">&9", "it cannot be written (Broken pipe)"),
    ],
)
async def test_unwritable_standard_output_is_reported_in_one_line(
    environment: dict[str, str], tmp_path: Path, command: tuple[str, ...], redirection: str, message: str
):
    # Descriptor 9 is a pipe whose read end is closed.
    shell = f'mkfifo pipe; exec 8<>pipe 9>pipe 8<&-; "$@" {redirection}'
    with anyio.fail_after(60):
        completed = await anyio.run_process(
            ["sh", "-c", shell, "sh", sys.executable, "-m", "chargehand.server", *command],
            check=False,
            env=environment,
            cwd=tmp_path,
        )

    assert (completed.returncode, completed.stderr.decode()) == (1, f"standard output: {message}.\n")


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no /dev/stdout")
async def test_an_export_to_dev_stdout_appends_to_the_redirected_file(environment: dict[str, str], tmp_path: Path):
    (tmp_path / "kept").write_text("precious\n")
    shell = '"$@" memory export /dev/stdout >>kept'
    with anyio.fail_after(60):
        completed = await anyio.run_process(
            ["sh", "-c", shell, "sh", sys.executable, "-m", "chargehand.server"],
            check=False,
            env=environment,
            cwd=tmp_path,
        )

    first, header = (tmp_path / "kept").read_text().splitlines()
    assert (completed.returncode, first, json.loads(header)["tasks"]) == (0, "precious", 0)


async def test_doctor_exits_0_with_one_usable_model_and_names_the_build(environment: dict[str, str]):
    async with vendors(Script(), installed=(replace(QWEN, name=f"{QWEN.name}-mlx"),)) as peers:
        result = await run_command(environment | {"OLLAMA_HOST": peers.environment["OLLAMA_HOST"]}, "doctor", "--json")

    diagnosis = result.json
    assert (result.code, diagnosis["can_generate"]) == (0, True)
    assert {"what": "role local", "health": "ok", "finding": "qwen3-30b-a3b"} in diagnosis["lines"]
    named = "127.0.0.1: qwen3-30b-a3b (qwen3:30b-a3b-mlx)"
    assert {"what": "ollama", "health": "ok", "finding": named} in diagnosis["lines"]


async def test_remote_vendors_are_not_reported_as_reachable_under_local_only(environment: dict[str, str]):
    async with vendors(Script()) as peers:
        local_only = environment | peers.environment | {"CHARGEHAND_LOCAL_ONLY": "true"}
        result = await run_command(local_only, "doctor", "--json")
        listed = await run_command(local_only, "profiles", "list", "--json")

    lines = {line["what"]: (line["health"], line["finding"]) for line in result.json["lines"]}
    reason = "not asked: CHARGEHAND_LOCAL_ONLY keeps everything on this machine"
    assert lines["anthropic"] == lines["cerebras"] == ("missing", reason)
    assert lines["role economy"] == ("missing", f"claude-haiku-5-5: {reason}")
    assert lines["role local"] == ("ok", "qwen3-30b-a3b")
    assert [profile["id"] for profile in listed.json if profile["reachable"]] == ["qwen3-30b-a3b"]


async def test_doctor_reports_that_memory_is_searched_exactly(environment: dict[str, str]):
    choice = ExactChoice("lexical-256-1", "chromadb 1", vectors=400, misses=9, looked_for=50)
    await ChoiceFile(Path(environment["CHARGEHAND_HOME"]) / INDEX_FOLDER, choice.embedder).write(choice)

    result = await run_command(environment, "doctor", "--json")

    (line,) = (line for line in result.json["lines"] if line["what"] == "memory")
    assert (line["health"], line["finding"]) == ("ok", f"lexical-256-1: {choice.as_text()}")


@pytest.mark.parametrize("embedder", ["ollama:", "ollama", "chroma:"])
async def test_an_embedder_setting_without_a_model_name_is_refused_with_an_example(
    environment: dict[str, str], embedder: str
):
    result = await run_command(environment | {"CHARGEHAND_EMBEDDER": embedder}, "doctor")

    kind = embedder.rstrip(":")
    assert result.code == 1
    assert result.error.startswith(f"CHARGEHAND_EMBEDDER: {kind} needs a name, such as {kind}:")


async def test_doctor_reports_an_unreachable_chroma_server(environment: dict[str, str]):
    url = "http://127.0.0.1:9"

    result = await run_command(environment | {"CHARGEHAND_CHROMA_URL": f"{url}/"}, "doctor", "--json")

    (line,) = (line for line in result.json["lines"] if line["what"] == "memory")
    assert line["health"] == "broken"
    assert line["finding"].startswith(f"the Chroma server {url} cannot be used (")
    assert line["finding"].endswith(
        "Start it with `chroma run`, or unset CHARGEHAND_CHROMA_URL to use the built-in index."
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:99999", "Write it as http://HOST:PORT, without a user name."),
        ("http://[::1", "Write it as http://HOST:PORT, without a user name."),
        ("http://me:hunter2@127.0.0.1:8000", "Write it as http://HOST:PORT, without a user name."),
        ("127.0.0.1:8000", "must begin with https:// or http://"),
        ("ftp://localhost", "must begin with https:// or http://"),
        ("http://example.com:8000", "http://example.com:8000 is not on this machine"),
    ],
)
async def test_an_unusable_chroma_url_is_refused_without_disclosing_its_password(
    environment: dict[str, str], url: str, message: str
):
    result = await run_command(environment | {"CHARGEHAND_CHROMA_URL": url}, "doctor")

    assert result.code == 1
    assert result.error.startswith("CHARGEHAND_CHROMA_URL")
    assert message in result.error
    assert "hunter2" not in result.error


async def test_doctor_reports_the_probed_sandbox_and_its_python_environment(
    environment: dict[str, str], tmp_path: Path
):
    (tmp_path / "data").mkdir()
    venv.create(tmp_path / "env", symlinks=True)
    (tmp_path / "data" / "config.toml").write_text(f'[sandbox]\npython = "{tmp_path}/env/bin/python"\n')
    result = await run_command(environment, "doctor", "--json")

    (sandbox,) = [line for line in result.json["lines"] if line["what"] == "sandbox"]
    assert sandbox["health"] == "ok"
    proved = rf"bubblewrap [\d.]+ works; its escape probe got nothing out; tests have the packages of {tmp_path}/env"
    assert re.fullmatch(proved, sandbox["finding"])


async def test_doctor_tests_the_keys_without_disclosing_them(environment: dict[str, str]):
    async with vendors(Script()) as peers:
        wrong = environment | peers.environment | {"ANTHROPIC_API_KEY": "sk-ant-wrong"}
        result = await run_command(wrong, "doctor", "--json")

    lines = {line["what"]: line for line in result.json["lines"]}
    assert (lines["anthropic"]["health"], lines["cerebras"]["health"]) == ("broken", "ok")
    assert "ANTHROPIC_API_KEY" in lines["anthropic"]["finding"]
    director = lines["role director"]
    assert (director["health"], director["finding"]) == ("missing", "claude-opus-5-5: see anthropic")
    assert "sk-ant-wrong" not in result.out + result.error


async def test_doctor_judges_each_set_of_headers_at_one_address_and_nothing_shows_their_values(
    environment: dict[str, str],
):
    peer = OpenAICompatiblePeer(Script(), [OpenModel("org/Mine")])
    profiles = Path(environment["CHARGEHAND_HOME"]) / "profiles"
    profiles.mkdir(parents=True)
    async with serving(peer.app) as url:
        for team in ("one", "two"):
            (profiles / f"{team}.yaml").write_text(
                f"""
id: {team}
name: Mine
provider: openai_compatible
api_model: org/Mine
base_url: {url}/v1
headers:
  X-Team-Auth: Bearer ${{TEAM_{team.upper()}}}
lifecycle: {{status: active, source: me, seen: 2026-11-30}}
""",
                encoding="utf-8",
            )
        own = environment | {"TEAM_ONE": "tok-0123456789"}
        result = await run_command(own, "doctor", "--json")
        shown = await run_command(own, "profiles", "show", "one")

    assert peer.journal.exchanges[0].headers["x-team-auth"] == "Bearer tok-0123456789"
    lines = [line for line in result.json["lines"] if line["what"] == "openai_compatible"]
    assert [line["health"] for line in lines] == ["ok", "missing"]
    assert "the header X-Team-Auth of the profile two: set TEAM_TWO in" in lines[1]["finding"]
    assert "X-Team-Auth: Bearer ${TEAM_ONE}" in shown.out
    assert "tok-0123456789" not in result.out + result.error + shown.out + shown.error


@pytest.mark.parametrize(
    ("variable", "address", "message"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "ALL_PROXY names a SOCKS proxy"),
        ("https_proxy", "ftp://somebody:pa55word@127.0.0.1:9", "HTTPS_PROXY is not the address of a proxy"),
        ("HTTPS_PROXY", "http://somebody:pa55word@127.0.0.1:9", "Check the network, the proxy in HTTPS_PROXY"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE names /nowhere/ca.pem, which cannot be read"),
        ("SSL_CERT_FILE", __file__, "cannot be read as certificates (no certificate or crl found)"),
    ],
)
async def test_doctor_names_an_unusable_proxy_or_certificate_file_and_ollama_stays_usable(
    environment: dict[str, str], variable: str, address: str, message: str
):
    async with vendors(Script()) as peers:
        here = {"OLLAMA_HOST": peers.environment["OLLAMA_HOST"], "CEREBRAS_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
        result = await run_command(environment | here | {variable: address}, "doctor", "--json")

    assert result.code == 0, result.error
    lines = {line["what"]: line for line in json.loads(result.out)["lines"]}
    assert lines["ollama"]["health"] == "ok"
    assert all(message in lines[vendor]["finding"] for vendor in ("cerebras", "anthropic"))
    assert "pa55word" not in result.out


async def test_a_local_ollama_answers_whatever_the_environment_says_of_proxies_and_certificates(
    environment: dict[str, str],
):
    script = Script({"qwen3:30b-a3b": [Reply(fenced("def one():\n    return 1"))]})
    async with vendors(script) as peers:
        address = peers.environment["OLLAMA_HOST"].removeprefix("http://")
        unusable = {
            "OLLAMA_HOST": f"'{address}'",  # in quotes, which its Python package refuses, as it does ::1
            "ALL_PROXY": "socks5://127.0.0.1:9",
            "SSL_CERT_FILE": "/nowhere/ca.pem",
        }
        result = await run_command(environment | unusable, "delegate", "Write one()", "--model", "qwen3-30b-a3b")

    assert "def one():" in result.out, result.error


async def test_doctor_says_how_to_give_a_proxy_its_password(environment: dict[str, str]):
    async def ask_for_a_password(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(ask_for_a_password, "127.0.0.1", 0) as proxy:
        address = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        here = environment | {"ANTHROPIC_API_KEY": "k", "HTTPS_PROXY": address}
        result = await run_command(here, "doctor", "--json")

    finding = next(line["finding"] for line in result.json["lines"] if line["what"] == "anthropic")
    assert finding.startswith("The proxy in HTTPS_PROXY does not let requests to Anthropic pass (407")
    assert "http://USER:PASSWORD@HOST:PORT" in finding


async def test_doctor_summarizes_the_privacy_settings(environment: dict[str, str], tmp_path: Path):
    (tmp_path / "data").mkdir()
    settings = tmp_path / "data" / "config.toml"
    before = await run_command(environment, "doctor")
    settings.write_text('[privacy]\nlocal_only = ["src/billing/**"]\nsecrets = {badge = "ACME-[0-9]{4}"}\n')
    result = await run_command(environment, "doctor", "--json")
    settings.write_text('[privacy]\nsecrets = {badge = "(x+)+"}\n')
    refused = await run_command(environment, "doctor")

    assert "[privacy]" in before.out
    line = next(line for line in result.json["lines"] if line["what"] == "privacy")
    assert "files under src/billing/** stay on this machine" in line["finding"]
    assert "kinds and 1 of yours) keeps its task on this machine" in line["finding"]
    assert "privacy.secrets" in refused.out + refused.error


async def test_doctor_reports_remote_roles_as_missing_under_local_only(environment: dict[str, str]):
    async with vendors(Script()) as peers:
        local = environment | peers.environment | {"CHARGEHAND_LOCAL_ONLY": "true"}
        result = await run_command(local, "doctor", "--json")

    lines = {line["what"]: line["health"] for line in result.json["lines"]}
    assert (lines["role local"], lines["role director"]) == ("ok", "missing")
    assert peers.ollama.journal.exchanges != []


async def test_doctor_names_the_file_field_and_value_of_an_invalid_profile(environment: dict[str, str], tmp_path: Path):
    (tmp_path / "data" / "profiles").mkdir(parents=True)
    (tmp_path / "data" / "profiles" / "mine.yaml").write_text("id: qwen3-14b\ncontext_tokens: -1\n")
    result = await run_command(environment, "doctor")

    assert "mine.yaml: context_tokens" in result.out
    assert "-1" in result.out


async def test_route_prints_the_chosen_model_as_a_table_or_as_json(environment: dict[str, str]):
    async with vendors(Script()) as peers:
        table = await run_command(environment | peers.environment, "route", "Fix the typo in recieve")
        answer = await run_command(environment | peers.environment, "route", "Fix the typo in recieve", "--json")

    assert (table.code, answer.code) == (0, 0)
    assert "qwen3-30b-a3b" in table.out
    assert answer.json["model"] == "qwen3-30b-a3b"


async def test_empty_and_oversized_tasks_are_refused_and_not_counted_in_usage(environment: dict[str, str]):
    empty = await run_command(environment, "route", "")
    blank = await run_command(environment, "route", "   ")
    long = await run_command(environment, "route", "-", input=b"x" * 200_001)
    usage = await run_command(environment, "usage", "--json")

    assert [(result.code, result.out) for result in (empty, blank, long)] == [(1, "")] * 3
    assert empty.error == blank.error == "task: it is empty. Say what to do.\n"
    assert long.error.startswith("task: String should have at most 200000 characters; got 200,001 characters.")
    assert usage.json["classes"] == []


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("command", ["route", "delegate"])
async def test_a_task_that_is_not_utf8_is_refused_with_an_explanation(
    environment: dict[str, str], command: str, locale: str
):
    piped = await run_command(environment | {"LC_ALL": locale}, command, "-", input=b"caf\xe9")
    argument = await run_command(environment | {"LC_ALL": locale}, command, b"caf\xe9")

    assert (piped.code, piped.error) == (
        1, "task: standard input is not utf-8 text. Convert it, and pipe it in again.\n"
    )  # fmt: skip
    assert argument.code == 2
    assert "'caf\\udce9' is not UTF-8 text." in argument.error
    assert "Traceback" not in argument.error


@pytest.mark.parametrize("command", ["route", "delegate"])
async def test_a_task_from_a_closed_standard_input_is_refused_with_an_explanation(environment, command: str):
    line = f'"{sys.executable}" -m chargehand.server {command} - <&-'
    with anyio.fail_after(60):
        completed = await anyio.run_process(["sh", "-c", line], check=False, env=environment, cwd=environment["HOME"])

    assert completed.returncode == 1
    assert completed.stderr.decode().startswith("task: standard input is closed.")


@pytest.mark.parametrize("days", ["nan", "-3", "inf"])
async def test_an_invalid_number_of_days_is_refused(environment: dict[str, str], days: str):
    result = await run_command(environment, "usage", f"--days={days}")

    assert (result.code, result.out) == (2, "")
    assert f"'{days}' is not a number between 0 and 100000" in result.error


async def run_as_unknown_user(environment: dict[str, str], *arguments: str) -> CommandResult:
    """Runs the command under an unknown user id without HOME; skips the test where bubblewrap cannot do that."""
    user = ("bwrap", "--dev-bind", "/", "/", "--unshare-user", "--uid", "54321", "--gid", "54321", "--unsetenv", "HOME")
    if shutil.which("bwrap") is None or (await anyio.run_process([*user, "true"], check=False)).returncode != 0:
        pytest.skip("bubblewrap is not here, or may not make users")
    with anyio.fail_after(60):
        completed = await anyio.run_process(
            [*user, sys.executable, "-m", "chargehand.server", *arguments],
            check=False,
            env=environment,
            cwd=environment["HOME"],
        )
    return CommandResult(completed.returncode, completed.stdout.decode(), completed.stderr.decode())


async def test_a_user_without_a_home_folder_needs_only_chargehand_home(environment: dict[str, str]):
    (Path(environment["HOME"]) / "pyproject.toml").touch()
    unset = {name: value for name, value in environment.items() if name != "CHARGEHAND_HOME"}

    usage = await run_as_unknown_user(environment, "usage")
    doctor = await run_as_unknown_user(environment, "doctor")
    refused = await run_as_unknown_user(unset, "usage")

    assert (usage.code, usage.error) == (0, "")
    assert environment["HOME"] in doctor.out, doctor.error
    assert (refused.code, refused.out) == (1, "")
    assert refused.error == (
        "CHARGEHAND_HOME: it is not set, and this user has no home folder to keep data in. Set it to a writable"
        " folder.\n"
    )


async def test_install_needs_config_for_a_user_without_a_home_folder(environment: dict[str, str], tmp_path: Path):
    unnamed = await run_as_unknown_user(environment, "install", "zed")
    named = await run_as_unknown_user(environment, "install", "zed", "--config", str(tmp_path / "settings.json"))

    assert unnamed.error == (
        "zed: this user has no home folder to look for its file in. Name the file with --config.\n"
    )
    assert (unnamed.code, named.code) == (1, 0), named.error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "--port", "8800"), "serve: --port goes with --http."),
        (("serve", "--scope", "use", "--issuer", "https://id.example"), "serve: --issuer, --scope goes with --http."),
        (("serve", "--http", "--scope", "use"), "serve: --scope goes with --issuer"),
        (("doctor", "--config", "mcp.json"), "doctor: --config goes with --host"),
        (("doctor", "--try", "--host", "zed"), "doctor: --try cannot go with --host"),
    ],
)
async def test_an_option_that_would_have_no_effect_is_refused(environment, arguments: tuple[str, ...], message: str):
    result = await run_command(environment, *arguments)

    assert (result.code, result.out) == (2, "")
    assert message in result.error


@pytest.mark.parametrize("port", ["abc", "-1", "65536", "8_0"])
async def test_an_invalid_port_is_refused_with_the_valid_range(environment: dict[str, str], port: str):
    result = await run_command(environment, "serve", "--http", "--port", port)

    assert result.code == 2
    assert f"--port: {port!r} is not a whole number between 0 and 65535" in result.error


async def test_usage_reports_what_the_server_recorded(environment: dict[str, str], tmp_path: Path):
    script = Script({"claude-haiku-5-5": [Reply(fenced("def double(count):\n    return 2 * count"))]})
    async with vendors(script, installed=()) as peers:
        settings = environment | peers.environment
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "chargehand.server"], env=settings, cwd=tmp_path
        )
        async with Client(server) as client:
            arguments = {"task": RENAME, "tests": "assert double(2) == 4", "model": "haiku"}
            receipt = (await client.call_tool("delegate_generation", arguments)).structured_content or {}
        result = await run_command(settings, "usage", "--json")
        shown = await run_command(settings | {"COLUMNS": "40"}, "usage")

    usage = result.json
    assert usage["tasks"] == {"succeeded": 1}
    assert usage["cost_usd"] == pytest.approx(receipt["cost_usd"], abs=1e-6)
    assert usage["saved_usd"] == pytest.approx(receipt["saved_usd"]["amount"], abs=1e-6)
    assert "claude-haiku-5-5" in shown.out
    assert in_dollars(receipt["cost_usd"]) in shown.out.partition("Delegations:")[0]


async def test_profiles_list_clips_no_id_or_price_on_a_narrow_terminal_and_nothing_in_a_pipe(
    environment: dict[str, str],
):
    profiles = json.loads((await run_command(environment, "profiles", "list", "--json")).out)
    narrow = await run_command(environment | {"COLUMNS": "60"}, "profiles", "list")
    del environment["COLUMNS"]
    piped = await run_command(environment, "profiles", "list")

    for profile in profiles:
        assert profile["id"] in narrow.out
        assert profile["price"] in narrow.out
        (line,) = (line for line in piped.out.splitlines() if f" {profile['id']} " in line)
        assert ", ".join(profile["roles"]) in line
    assert "…" not in narrow.out + piped.out


async def test_profiles_list_shows_status_and_price_and_profiles_show_accepts_an_alias(environment: dict[str, str]):
    listed = await run_command(environment, "profiles", "list", "--json")
    shown = await run_command(environment, "profiles", "show", "opus", "--json")

    profiles = {row["id"]: row for row in listed.json}
    assert profiles["glm-4.7"]["status"] == "retired"
    assert profiles["claude-haiku-5-5"]["price"] == "0.1 / 0.5"
    assert shown.json["id"] == "claude-opus-5-5"


async def test_an_unknown_profile_exits_with_code_1_and_suggests_the_nearest_id(environment: dict[str, str]):
    result = await run_command(environment, "profiles", "show", "claude-opsu-5-5")

    assert result.code == 1
    assert "claude-opus-5-5" in result.error
    assert "Traceback" not in result.error


async def test_an_invalid_setting_is_named_without_a_traceback(environment: dict[str, str]):
    result = await run_command(environment | {"CHARGEHAND_DAILY_BUDGET_USD": "lots"}, "usage")

    assert result.code == 1
    assert "CHARGEHAND_DAILY_BUDGET_USD" in result.error
    assert "Traceback" not in result.error


async def test_usage_refuses_an_unknown_baseline_model(environment: dict[str, str], tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.toml").write_text('[usage]\nbaseline_model = "gpt-99"\n')
    result = await run_command(environment, "usage")

    assert result.code == 1
    assert "baseline_model" in result.error
    assert "gpt-99" in result.error


async def test_the_demo_without_a_reachable_model_announces_and_runs_a_rehearsal(environment: dict[str, str]):
    result = await run_command(environment, "demo")

    assert result.code == 0, result.out + result.error
    assert result.out.startswith("This is a rehearsal")
    attempts = re.findall(r"│ (\d)\s+│ ([a-z]\S+)\s+│ (\w+)\s+│", result.out)
    assert attempts == [
        ("1", "qwen3-30b-a3b", "failed_check"),
        ("2", "qwen3-30b-a3b", "failed_check"),
        ("3", "claude-haiku-5-5", "passed"),
    ]
    assert "Succeeded: an executed check passed." in result.out
    assert "Delegations: 1 succeeded." in result.out


async def test_the_demo_asks_the_users_own_models_and_leaves_no_data_behind(
    environment: dict[str, str], tmp_path: Path
):
    right = Reply(fenced("def median(numbers):\n    return sorted(numbers)[len(numbers) // 2]"))
    review = Reply('{"verdict": "pass", "findings": []}')
    script = Script({"qwen3:30b-a3b": [right]})
    async with vendors(lambda ask: review if "You review" in ask.messages[0][1] else script(ask)) as peers:
        own = environment | {"OLLAMA_HOST": peers.environment["OLLAMA_HOST"]}
        result = await run_command(own, "demo")

    assert result.out.startswith("This demo asks your own models: qwen3-30b-a3b")
    assert script.models[0] == "qwen3:30b-a3b"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("limit", "config"),
    [
        ({"CHARGEHAND_LOCAL_ONLY": "true"}, None),
        ({}, "daily_budget_usd = 0\n"),
    ],
)
async def test_the_demo_respects_local_only_and_the_daily_budget(
    environment: dict[str, str], tmp_path: Path, limit: dict[str, str], config: str | None
):
    if config is not None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "config.toml").write_text(config)
    script = Script({"qwen3:30b-a3b": [Reply(fenced("def median(numbers):\n    return 0"))]})
    async with vendors(script) as peers:
        result = await run_command(environment | peers.environment | limit, "demo")

    assert result.out.startswith("This demo asks your own models: qwen3-30b-a3b. ")
    assert set(script.models) == {"qwen3:30b-a3b"}


async def test_the_demo_names_profiles_that_it_cannot_copy(environment: dict[str, str], tmp_path: Path):
    profiles = tmp_path / "data" / "profiles"
    profiles.mkdir(parents=True)
    os.mkfifo(profiles / "pipe.yaml")

    result = await run_command(environment, "demo")

    assert result.code == 1
    assert f"demo: {profiles} cannot be copied" in result.error
    assert "pipe.yaml" in result.error
    assert "Traceback" not in result.error


async def test_ctrl_c_ends_the_demo_without_a_traceback(environment: dict[str, str]):
    script = Script({"qwen3:30b-a3b": [Stall(Reply(fenced("")), anyio.Event(), after=0)]})
    async with vendors(script) as peers:
        ollama = environment | {"OLLAMA_HOST": peers.environment["OLLAMA_HOST"]}
        with anyio.fail_after(120):
            async with await anyio.open_process([*COMMAND, "demo"], env=ollama, stderr=subprocess.PIPE) as process:
                await script.was_asked.wait()
                process.send_signal(signal.SIGINT)
                assert process.stderr is not None
                errors = b"".join([piece async for piece in process.stderr]).decode()
                code = await process.wait()

    assert (code, errors) == (130, "")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("serve",), "Serve MCP over stdio, or over HTTP."),
        (("memory", "export"), "Write the remembered tasks to a file of JSON lines."),
        (("delegate",), "Python or JavaScript that must pass"),
    ],
)
async def test_help_keeps_the_capitalization_of_names(
    environment: dict[str, str], command: tuple[str, ...], message: str
):
    assert message in (await run_command(environment, *command, "--help")).out


async def test_version_prints_the_name_and_version(environment: dict[str, str]):
    result = await run_command(environment, "--version")

    assert (result.code, result.out.startswith("chargehand 0.")) == (0, True)


OWN_PROFILE = """
id: own-qwen
name: Own Qwen
provider: openai_compatible
api_model: org/own-qwen
base_url: URL/v1
roles: {local: 1}
lifecycle: {status: active, source: a test, seen: 2026-11-25}
"""


def write_profile(environment: dict[str, str], text: str, name: str = "own-qwen") -> None:
    folder = Path(environment["CHARGEHAND_HOME"]) / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


async def test_doctor_and_delegate_need_only_a_profile_to_use_a_self_hosted_server(environment: dict[str, str]):
    peer = OpenAICompatiblePeer(
        lambda _: Reply(fenced("def double(count): return 2 * count")), [OpenModel("org/own-qwen")], counts=False
    )
    async with serving(peer.app) as url:
        write_profile(environment, OWN_PROFILE.replace("URL", url))
        diagnosed = await run_command(environment, "doctor", "--json")
        delegated = await run_command(environment, "delegate", RENAME, "--json")

    lines = diagnosed.json["lines"]
    assert {"what": "openai_compatible", "health": "ok", "finding": "127.0.0.1: own-qwen"} in lines
    assert {"what": "role local", "health": "ok", "finding": "own-qwen"} in lines
    receipt = delegated.json
    assert (receipt["model"], receipt["cost_usd"]) == ("own-qwen", 0)
    estimated = "its server gives no usable token counts; those of this attempt, and their cost, are estimates."
    assert f"own-qwen: {estimated}" in receipt["notes"]
    assert receipt["egress"][0]["host"] == "127.0.0.1"


async def test_a_successor_is_listed_and_asked_in_the_roles_of_the_retired_profile(environment: dict[str, str]):
    peer = OpenAICompatiblePeer(
        lambda _: Reply(fenced("def median(numbers):\n    return 0")), [OpenModel("org/next")], counts=False
    )
    async with serving(peer.app) as url:
        retired = "lifecycle: {status: retired, successor: next, source: a test, seen: 2026-11-25}"
        write_profile(environment, re.sub("lifecycle: .*", retired, OWN_PROFILE).replace("URL", url))
        successor = OWN_PROFILE.replace("URL", url).replace("own-qwen", "next").replace("roles: {local: 1}\n", "")
        write_profile(environment, successor, "next")
        listed = await run_command(environment, "profiles", "list", "--json")
        shown = await run_command(environment, "profiles", "show", "next", "--json")
        diagnosed = await run_command(environment, "doctor", "--json")
        demo = await run_command(environment, "demo")

    assert {row["id"]: row["roles"] for row in listed.json}["next"] == ["local"]
    assert shown.json["roles"] == {"local": 1}
    assert diagnosed.json["can_generate"]
    assert demo.out.startswith("This demo asks your own models: next")


async def test_the_demo_asks_a_self_hosted_server_with_the_key_of_its_profile(environment: dict[str, str]):
    key = "own-key-of-this-test"
    peer = OpenAICompatiblePeer(
        lambda _: Reply(fenced("def median(numbers):\n    return 0")), [OpenModel("org/own-qwen")], api_key=key
    )
    async with serving(peer.app) as url:
        write_profile(environment, f"{OWN_PROFILE.replace('URL', url)}api_key_env: OWN_KEY\n")
        demo = await run_command(environment | {"OWN_KEY": key}, "demo")

    assert demo.out.startswith("This demo asks your own models: own-qwen")
    assert "own-qwen" in demo.out.partition("Attempts")[2]
    assert {exchange.status for exchange in peer.journal.exchanges} == {200}


async def test_the_cost_that_a_server_reports_overrides_the_profiles_price(environment: dict[str, str]):
    price = "price: {input_usd_per_million_tokens: 1, output_usd_per_million_tokens: 2, source: x, seen: 2026-11-25}\n"
    answer = Reply(fenced("def double(count): return 2 * count"))
    peer = OpenAICompatiblePeer(lambda _: answer, [OpenModel("org/own-qwen")], habit="openrouter", cost_usd=0.0123)
    async with serving(peer.app) as url:
        write_profile(environment, OWN_PROFILE.replace("URL", url) + price)
        delegated = await run_command(environment, "delegate", RENAME, "--model", "own-qwen", "--json")
        spent = await run_command(environment, "usage", "--json")

    assert delegated.json["cost_usd"] == 0.0123
    charged = "own-qwen: its server charges $0.0123, more than the worst case of $0.0"
    assert [note.startswith(charged) for note in delegated.json["notes"]] == [True]
    assert spent.json["cost_usd"] == 0.0123


async def test_doctor_reports_each_self_hosted_server_separately(environment: dict[str, str]):
    peer = OpenAICompatiblePeer(lambda _: Reply("x"), [OpenModel("org/own-qwen")], api_key="sk-the-one")
    async with serving(peer.app) as url:
        write_profile(environment, OWN_PROFILE.replace("URL", url) + "api_key_env: MY_KEY\n")
        dead = (
            OWN_PROFILE.replace("URL", "http://127.0.0.1:9").replace("own-qwen", "dead").replace("local: 1", "local: 2")
        )
        write_profile(environment, dead, "dead")
        right = await run_command(environment | {"MY_KEY": "sk-the-one"}, "doctor", "--json")
        wrong = await run_command(environment | {"MY_KEY": "sk-not-the-one"}, "doctor", "--json")
        without = await run_command(environment, "doctor", "--json")

    def findings(result: CommandResult) -> list[tuple[str, str]]:
        lines = result.json["lines"]
        return [(line["health"], line["finding"]) for line in lines if line["what"] == "openai_compatible"]

    assert sorted(health for health, _ in findings(right)) == ["missing", "ok"]
    assert any("127.0.0.1:9" in finding for _, finding in findings(right))
    assert any("MY_KEY" in finding for _, finding in findings(wrong))
    assert any("MY_KEY" in finding for _, finding in findings(without))
    assert (right.code, without.code) == (0, 1)
    assert "sk-not-the-one" not in wrong.out + wrong.error
