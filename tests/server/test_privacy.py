"""What must stay local is never sent: because of an argument, a setting, a path or a secret in the text."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from opened_ledger import opened_ledger
from planted import AWS_KEY, random_text
from rename_task import RENAME, RIGHT, STILL_WRONG, TESTS, WRONG
from running_server import OpenServer, RunningServer, Script, fenced, text_of
from starlette.responses import JSONResponse

from chargehand.evaluation.peers.reply import Ask, Reply
from chargehand.evaluation.peers.vendors import QWEN

pytestmark = pytest.mark.anyio

LOCAL, FAST, ECONOMY, VALIDATOR, DIRECTOR = (
    "qwen3:30b-a3b", "gpt-oss-120b", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5",
)  # fmt: skip

PASS = Reply('{"verdict": "pass", "findings": []}')
SECRET = AWS_KEY.removeprefix("AKIA")


def sent_to_remote_vendors(server: RunningServer) -> str:
    """Everything the remote vendors received: paths, headers and bodies."""
    exchanges = [*server.vendors.anthropic.journal.exchanges, *server.vendors.cerebras.journal.exchanges]
    return "\n".join(json.dumps([e.path, dict(e.headers), e.body], ensure_ascii=False) for e in exchanges)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def configure(tmp_path: Path):
    def write(toml: str) -> None:
        home = tmp_path / "chargehand-home"
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(toml, encoding="utf-8")

    return write


def write_file(project: Path, name: str, text: str) -> str:
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return name


async def test_a_secret_in_a_context_file_keeps_the_task_local_and_the_receipt_says_where(
    open_server: OpenServer, project: Path
):
    write_file(project, "settings.py", f'REGION = "eu"\nKEY = "{AWS_KEY}"\n')
    async with open_server(Script({LOCAL: [WRONG, STILL_WRONG]})) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, tests=TESTS, context_files=["settings.py"], max_attempts=20
        )

    assert {attempt["model"] for attempt in receipt["attempts"]} == {"qwen3-30b-a3b"}
    assert any("settings.py:2 holds what looks like a secret (aws-access-key)" in note for note in receipt["notes"])
    assert SECRET not in json.dumps(receipt)
    assert sent_to_remote_vendors(server) == ""


async def test_a_base64_encoded_secret_keeps_the_task_local(open_server: OpenServer, project: Path):
    encoded = base64.b64encode(f"key: {AWS_KEY}\n".encode()).decode()
    write_file(project, "secret.yaml", f"kind: Secret\ndata:\n  config: {encoded}\n")
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["secret.yaml"])

    assert {attempt["model"] for attempt in receipt["attempts"]} == {"qwen3-30b-a3b"}
    expected = "secret.yaml:3 holds what looks like a secret (aws-access-key-in-base64)"
    assert any(expected in note for note in receipt["notes"])
    assert encoded not in json.dumps(receipt)
    assert sent_to_remote_vendors(server) == ""


@pytest.mark.parametrize("argument", ["task", "context", "tests"])
async def test_a_secret_in_an_argument_is_refused_when_only_remote_models_are_available(
    open_server: OpenServer, argument: str
):
    arguments = {"task": RENAME, "context": "Some words.", "tests": TESTS}
    arguments[argument] += f"\n# {AWS_KEY}"
    async with open_server(Script({ECONOMY: [RIGHT]}), installed=()) as server:
        receipt = await server.call("delegate_generation", **arguments)

    assert receipt["status"] == "refused"
    assert any(f"{argument}:2 holds what looks like a secret" in note for note in receipt["notes"])
    assert any('on_secret = "redact"' in note for note in receipt["notes"])
    assert receipt["egress"] == []
    assert sent_to_remote_vendors(server) == ""


async def test_a_secret_is_refused_for_a_pinned_remote_model(open_server: OpenServer, project: Path):
    write_file(project, "a.py", f'KEY = "{AWS_KEY}"\n')
    async with open_server(Script({ECONOMY: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, context_files=["a.py"], model="haiku")

    assert receipt["status"] == "refused"
    assert sent_to_remote_vendors(server) == ""


async def test_placeholder_credentials_do_not_keep_a_task_local(open_server: OpenServer, project: Path):
    write_file(project, "a.py", 'password = "changeme"\nkey = os.environ["API_KEY"]\n# <your-key>\n')
    async with open_server(Script({ECONOMY: [RIGHT]}), installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["a.py"])

    assert receipt["status"] == "succeeded"
    assert "changeme" in sent_to_remote_vendors(server)


async def test_redaction_sends_remote_models_placeholders_and_local_models_the_secret(
    open_server: OpenServer, project: Path, configure
):
    configure('[privacy]\non_secret = "redact"')
    write_file(project, "a.py", f'KEY = "{AWS_KEY}"\nREGION = "eu"\n')
    script = Script({LOCAL: [WRONG, STILL_WRONG], ECONOMY: [RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["a.py"])

    assert receipt["status"] == "succeeded"
    assert script.models == [LOCAL, LOCAL, ECONOMY]
    assert AWS_KEY in script.asked[0].messages[-1][1]
    assert 'KEY = "AKIA<redacted:aws-access-key>"\nREGION = "eu"' in script.asked[2].messages[-1][1]
    assert SECRET not in sent_to_remote_vendors(server)
    assert any("Replaced by placeholders in what leaves this machine: a.py:1" in note for note in receipt["notes"])


async def test_a_note_warns_when_the_answer_contains_a_placeholder(open_server: OpenServer, project: Path, configure):
    configure('[privacy]\non_secret = "redact"')
    write_file(project, "a.py", f'KEY = "{AWS_KEY}"\n')
    rewritten = Reply(fenced('KEY = "AKIA<redacted:aws-access-key>"\n\ndef double(count):\n    return 2 * count'))
    async with open_server(Script({ECONOMY: [rewritten]}), installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["a.py"])

    assert any("Put the secret back before you use it" in note for note in receipt["notes"])


async def test_a_secret_in_a_models_answer_is_redacted_in_the_repair_prompt(open_server: OpenServer, configure):
    configure('[privacy]\non_secret = "redact"')
    leaking = Reply(fenced(f'KEY = "{AWS_KEY}"\n\ndef double(count):\n    return count ** 3'), thinking="A key.")
    script = Script({DIRECTOR: [leaking, RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, model="opus")

    assert (receipt["status"], script.models) == ("succeeded", [DIRECTOR, DIRECTOR])
    assert "<redacted:aws-access-key>" in json.dumps(script.asked[1].messages)
    assert SECRET not in sent_to_remote_vendors(server)


async def test_a_secret_in_a_models_answer_is_not_sent_back_to_it(open_server: OpenServer):
    leaking = Reply(fenced(f'KEY = "{AWS_KEY}"\n\ndef double(count):\n    return count ** 3'))
    script = Script({ECONOMY: [leaking, RIGHT]})
    async with open_server(script, installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert (receipt["status"], script.models) == ("failed", [ECONOMY])
    where = "line 4 of an earlier answer holds what looks like a secret (aws-access-key)."
    assert f"This task stays on this machine: {where}" in receipt["notes"]
    assert SECRET not in sent_to_remote_vendors(server)


async def test_test_output_with_a_secret_is_not_sent_for_repair_or_review(open_server: OpenServer):
    # The answer assembles the secret at run time, so that no prompt contains it.
    leaking = f'def double(count):\n    raise ValueError("AK" + "IA" + "{SECRET}")'
    script = Script({ECONOMY: [Reply(fenced(leaking)), RIGHT]})
    async with open_server(script, installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)
        review = await server.call("validate_code", task_id=receipt["task_id"], depth="review")

    assert script.models == [ECONOMY]
    assert receipt["status"] == "failed"
    assert review["status"] == "refused"
    assert any("a check's output holds what looks like a secret" in note for note in receipt["notes"])
    assert any(note.startswith("No model on this machine can continue with it. ") for note in receipt["notes"])
    assert AWS_KEY not in sent_to_remote_vendors(server)


KEY_LINES = [base64.b64encode(hashlib.sha384(bytes([number])).digest()).decode() for number in range(50)]
"""Lines of a 3,072-bit private key. The leaking answer computes them, so no prompt contains them."""
LEAKING_A_KEY = """import base64, hashlib
def double(count):
    lines = [base64.b64encode(hashlib.sha384(bytes([number])).digest()).decode() for number in range(50)]
    begins, ends = ("-----%s PRIVATE KEY-----" % word for word in ("BEGIN", "END"))
    return "\\n".join([". " * 700, begins, *lines, ends, ". " * 50])
"""


@pytest.mark.parametrize(
    "check_arguments",
    [
        {"tests": "raise ValueError(double(4))"},
        {"tests": "import os\nprint(double(4), flush=True)\nos._exit(1)"},
        {"checks": ["unit"]},
    ],
    ids=["raised", "printed", "by a command"],
)
@pytest.mark.parametrize("on_secret", ["local", "redact"])
async def test_a_private_key_in_clipped_check_output_is_not_sent(
    open_server: OpenServer, configure, project: Path, on_secret: str, check_arguments: dict[str, object]
):
    command = 'command = ["python3", "-c", "import answer; print(answer.double(4)); exit(1)"]'
    configure(f'[privacy]\non_secret = "{on_secret}"\n[checks.unit]\n{command}\nanswer_path = "answer.py"')
    script = Script({ECONOMY: [Reply(fenced(LEAKING_A_KEY)), RIGHT]})
    async with open_server(script, installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, **check_arguments)

    assert receipt["attempts"][0]["outcome"] == "failed_check"
    assert not any(line in sent_to_remote_vendors(server) for line in KEY_LINES)
    assert (script.models == [ECONOMY]) is (on_secret == "local")


@pytest.mark.parametrize(
    "check_arguments",
    [{"tests": "double(4)"}, {"tests": "test_double.py"}, {"checks": ["unit"]}],
    ids=["raised", "in a test file", "by a command"],
)
async def test_clipping_check_output_never_splits_a_secret_of_a_custom_kind(
    open_server: OpenServer, configure, project: Path, check_arguments: dict[str, object]
):
    write_file(project, "test_double.py", "from solution import double\n\ndef test_it():\n    double(4)\n")
    command = 'command = ["python3", "-c", "import answer; answer.double(4)"]\nanswer_path = "answer.py"'
    configure(f'[privacy]\nsecrets = {{ badge = "ACME-[0-9]{{4}}-[a-z]{{4}}" }}\n[checks.unit]\n{command}')
    # The output repeats the secret, so any clipping falls on or next to one.
    leaking = "def double(count):\n    raise ValueError(('AC' + 'ME-2026-oryx ') * 1000)"
    script = Script({ECONOMY: [Reply(fenced(leaking)), RIGHT]})
    async with open_server(script, installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, **check_arguments)

    assert script.models == [ECONOMY]
    assert "<redacted:badge>" in json.dumps(receipt)
    assert "ACME-2026" not in json.dumps(receipt)


async def test_a_secret_in_check_output_moves_the_task_to_a_local_model_and_marks_it_local(
    open_server: OpenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_POLICY", "reference")
    leaking = f'def double(count):\n    raise ValueError("AK" + "IA" + "{SECRET}")'
    hard = "Write a function double(count). " + "It must work for all numbers, streams, matrices and clocks. " * 40
    script = Script({model: [Reply(fenced(leaking))] for model in (FAST, ECONOMY, VALIDATOR, DIRECTOR)})
    script.answers[LOCAL] = [RIGHT]
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=hard, tests=TESTS, task_type="code_generation")

    with opened_ledger(tmp_path / "chargehand-home") as db:
        assert db.execute("SELECT local_only FROM tasks").fetchall() == [(1,)]
    assert receipt["status"] == "succeeded"
    assert len(script.models) == 2
    assert script.models[0] != LOCAL
    assert script.models[1] == LOCAL
    assert f"AKIA{SECRET}" not in sent_to_remote_vendors(server)


async def test_a_secret_in_an_earlier_answer_is_not_sent_to_a_remote_reviewer(open_server: OpenServer):
    answer = Reply(fenced(f'KEY = "{AWS_KEY}"\n\ndef double(count):\n    return 2 * count'))
    script = Script({LOCAL: [answer], VALIDATOR: [PASS]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)
        review = await server.call("validate_code", task_id=receipt["task_id"], depth="review")

    assert receipt["status"] == "succeeded"
    assert VALIDATOR not in script.models
    assert any("code:1 holds what looks like a secret" in note for note in review["notes"])
    assert sent_to_remote_vendors(server) == ""


@pytest.mark.parametrize(
    "spelling",
    [
        "src/billing/rates.py",
        "./src//billing/rates.py",
        "src/other/../billing/rates.py",
        "{root}/src/billing/rates.py",
        "{root}/../project/src/billing/rates.py",
    ],
)
async def test_a_local_only_path_is_recognized_however_it_is_spelled(
    open_server: OpenServer, project: Path, configure, spelling: str
):
    configure('[privacy]\nlocal_only = ["SRC/Billing/**"]')
    write_file(project, "src/billing/rates.py", "RATE = 0.19\n")
    write_file(project, "src/other/x.py", "")
    path = spelling.format(root=project)
    async with open_server(Script({ECONOMY: [RIGHT]}), installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, context_files=[path])
        other = await server.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["src/other/x.py"])
        sent = sent_to_remote_vendors(server)

    assert receipt["status"] == "refused"
    assert any("lies under [privacy] local_only (SRC/Billing/**)" in note for note in receipt["notes"])
    assert any("remove its path from [privacy] local_only" in note for note in receipt["notes"])
    assert other["status"] == "succeeded"
    assert "RATE" not in sent


async def test_a_hard_link_to_a_local_only_file_is_refused_and_other_hard_links_are_not(
    open_server: OpenServer, project: Path, configure
):
    configure('[privacy]\nlocal_only = ["src/billing/**"]')
    write_file(project, "src/billing/rates.py", "RATE = 0.19\n")
    write_file(project, "src/other.py", "x = 1\n")
    (project / "hard.py").hardlink_to(project / "src/billing/rates.py")
    (project / "harmless.py").hardlink_to(project / "src/other.py")
    async with open_server(Script({ECONOMY: [RIGHT]}), installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, context_files=["hard.py"])
        other = await server.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["harmless.py"])
        sent = sent_to_remote_vendors(server)

    assert receipt["status"] == "refused"
    expected = f"hard.py is a hard link to {project}/src/billing/rates.py, which lies under [privacy] local_only"
    assert any(expected in note for note in receipt["notes"])
    assert other["status"] == "succeeded"
    assert "RATE" not in sent


async def test_routing_validation_and_review_keep_local_only_files_local(
    open_server: OpenServer, project: Path, configure
):
    configure('[privacy]\nlocal_only = ["*.secret.py"]')
    write_file(project, "deep/down/rates.secret.py", "RATE = 0.19\n")
    file = "deep/down/rates.secret.py"
    no_answers = Script({})
    async with open_server(no_answers, installed=()) as server:
        route = await server.call("route_task", task=RENAME, context_files=[file])
        validation = await server.call("validate_code", files=[file], depth="review")
        review = await server.call("strategic_review", goal="g", progress="p", context_files=[file])

    assert route["provider"] == "ollama"
    assert any("local_only (*.secret.py)" in warning for warning in route["warnings"])
    assert validation["status"] == "refused"
    assert review["status"] == "refused"
    assert any("local_only (*.secret.py)" in note for note in [*validation["notes"], *review["notes"]])
    assert sent_to_remote_vendors(server) == ""


async def test_a_local_only_file_is_reviewed_locally_and_recorded_with_its_project_and_process(
    open_server: OpenServer, project: Path, configure, tmp_path: Path
):
    configure('[privacy]\nlocal_only = ["*.secret.py"]')
    write_file(project, "rates.secret.py", "RATE = 0.19\n")
    async with open_server(Script({LOCAL: [PASS]})) as server:
        validation = await server.call("validate_code", files=["rates.secret.py"], depth="review")

    assert validation["model"] == "qwen3-30b-a3b"
    with opened_ledger(tmp_path / "chargehand-home") as db:
        rows = db.execute("SELECT kind, local_only, project IS NOT NULL, owner IS NOT NULL FROM tasks").fetchall()
    assert rows == [("validation", 1, 1, 1)]


async def test_a_new_file_in_a_local_only_folder_is_not_generated_remotely(open_server: OpenServer, configure):
    configure('[privacy]\nlocal_only = ["billing/**"]')
    async with open_server(Script({ECONOMY: [RIGHT]}), installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, target="billing/new.py")

    assert receipt["status"] == "refused"
    assert any("billing/new.py lies under [privacy] local_only (billing/**)" in note for note in receipt["notes"])
    assert sent_to_remote_vendors(server) == ""


async def test_tests_in_a_local_only_folder_keep_their_task_local(open_server: OpenServer, project: Path, configure):
    configure('[privacy]\nlocal_only = ["billing/**"]')
    write_file(
        project, "billing/test_double.py", "from solution import double\n\ndef test_it():\n    assert double(4) == 8\n"
    )
    async with open_server(Script({ECONOMY: [RIGHT]}), installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests="billing/test_double.py::test_it")

    assert receipt["status"] == "refused"
    assert any("test_double.py lies under [privacy] local_only (billing/**)" in note for note in receipt["notes"])
    assert sent_to_remote_vendors(server) == ""


async def test_a_strategic_review_of_a_secret_is_refused(open_server: OpenServer):
    async with open_server(Script({DIRECTOR: [PASS]}), installed=()) as server:
        answer = await server.call("strategic_review", goal="Ship it.", progress=f"We use {AWS_KEY} now.")

    assert answer["status"] == "refused"
    assert any("progress:1 holds what looks like a secret" in note for note in answer["notes"])
    assert sent_to_remote_vendors(server) == ""


@pytest.mark.parametrize("settings", ['[privacy]\nlocal_only = ["billing/**"]', "local_only = true"])
async def test_the_answer_of_a_local_task_stays_local_after_the_settings_change(
    open_server: OpenServer, project: Path, configure, settings: str
):
    configure(settings)
    write_file(project, "billing/rates.py", "RATE = 0.19\n")
    script = Script({LOCAL: [RIGHT], VALIDATOR: [PASS]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["billing/rates.py"])
    configure("")  # the settings no longer keep it local
    async with open_server(script, installed=()) as server:
        review = await server.call("validate_code", task_id=receipt["task_id"], depth="review")
        await server.call("delegate_generation", resume=receipt["task_id"])

    assert review["status"] == "refused"
    assert any("the task it comes from" in note for note in review["notes"])
    assert sent_to_remote_vendors(server) == ""


async def test_test_output_from_a_project_with_local_only_files_is_not_sent_for_repair(
    open_server: OpenServer, project: Path, configure
):
    configure('[privacy]\nlocal_only = ["billing/**"]')
    write_file(project, "pyproject.toml", "")
    write_file(project, "billing/rates.py", "RATE = 'nineteen percent'\n")
    write_file(project, "test_double.py", "from solution import double\n\ndef test_it():\n    assert double(4) == 8\n")
    leaking = "import base64, pathlib\n\ndef double(count):\n    raise ValueError(base64.b64encode(b'19'))"
    script = Script({ECONOMY: [Reply(fenced(leaking))], VALIDATOR: [RIGHT], FAST: [RIGHT]})
    async with open_server(script, installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests="test_double.py")

    assert receipt["status"] == "succeeded"
    assert len(script.models) == 2
    assert script.models[0] != script.models[1]
    assert "MTk=" not in sent_to_remote_vendors(server)
    assert any("not asked for a repair: its checks run beside billing/rates.py" in note for note in receipt["notes"])


async def test_output_of_tests_that_run_outside_a_project_with_local_only_files_is_sent_for_repair(
    open_server: OpenServer, project: Path, configure
):
    configure('[privacy]\nlocal_only = ["billing/**"]')
    write_file(project, "billing/rates.py", "RATE = 0.19\n")
    async with open_server(Script({ECONOMY: [WRONG, RIGHT]}), installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, model="claude-haiku-5-5")

    assert receipt["status"] == "succeeded", receipt["notes"]


async def test_output_of_a_user_command_beside_local_only_files_is_not_sent_for_repair(
    open_server: OpenServer, project: Path, configure
):
    configure(
        '[privacy]\nlocal_only = ["billing/**"]\n[checks.unit]\nanswer_path = "double.py"\n'
        'command = ["python3", "-c", "import base64; raise SystemExit(base64.b64encode(b\'19\'))"]\n'
    )
    write_file(project, "billing/rates.py", "RATE = 0.19\n")
    script = Script({model: [RIGHT] for model in (FAST, ECONOMY, VALIDATOR, DIRECTOR)})
    async with open_server(script, installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, checks=["unit"], max_attempts=20)

    assert receipt["status"] == "failed"
    assert "MTk=" in json.dumps(receipt["attempts"])
    assert "MTk=" not in sent_to_remote_vendors(server)
    assert len(script.models) == len(set(script.models))


async def test_a_match_of_a_custom_secret_pattern_is_refused_for_remote_models(
    open_server: OpenServer, project: Path, configure
):
    configure('[privacy]\nsecrets = {acme-badge = "ACME-[0-9]{4}-[a-z]{4,12}"}')
    write_file(project, "a.py", "BADGE = 'ACME-2026-walrus'\n")
    async with open_server(Script({ECONOMY: [RIGHT]}), installed=()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, context_files=["a.py"])

    assert receipt["status"] == "refused"
    assert any("a.py:1 holds what looks like a secret (acme-badge)" in note for note in receipt["notes"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('secrets = {a = "(x+)+y"}', "it repeats a group that can match in several ways"),
        ('secrets = {a = "("}', "is not a valid regular expression"),
        ('secrets = {a = "x*"}', "also matches an empty text"),
        ('secrets = {"a b" = "xyz"}', "is not a name for a secret"),
        ('local_only = ["/etc/**"]', "is not below a root"),
        ('local_only = ["../other/**"]', "is not below a root"),
        ('local_only = ["!src/**"]', "patterns can only add"),
        ('local_only = [""]', "names nothing"),
        ('on_secret = "ignore"', "privacy.on_secret"),
    ],
)
async def test_an_invalid_privacy_setting_is_an_error_that_names_the_file(
    open_server: OpenServer, configure, line: str, message: str
):
    configure(f"[privacy]\n{line}")
    async with open_server(Script({})) as server:
        result = await server.client.call_tool("route_task", {"task": RENAME})

    assert result.is_error
    assert message in text_of(result)
    assert "config.toml" in text_of(result)


@pytest.mark.in_process("it patches the server to take 127.0.0.1 for another machine")
async def test_a_remote_ollama_is_not_contacted_under_local_only(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    async with open_server(Script({ECONOMY: [RIGHT]})) as server:
        monkeypatch.setattr(
            "chargehand.server.providers.egress.is_local_host", lambda host, hosts=(): host != "127.0.0.1"
        )
        receipt = await server.call("delegate_generation", task=RENAME, local_only=True)
        requested_paths = [exchange.path for exchange in server.vendors.ollama.journal.exchanges]

    assert receipt["status"] == "refused"
    assert requested_paths == []


async def test_an_ollama_cloud_model_is_sent_no_secret(open_server: OpenServer):
    cloud = QWEN.__class__(**{**QWEN.__dict__, "remote_host": "https://ollama.com"})
    async with open_server(Script({LOCAL: [RIGHT]}), installed=(cloud,)) as server:
        receipt = await server.call("delegate_generation", task=f"{RENAME}\n# {random_text(3)} {AWS_KEY}")

    assert receipt["status"] == "refused"
    assert server.vendors.ollama.journal.to("/api/chat") == []


async def test_a_local_model_that_turns_into_a_cloud_model_is_sent_no_further_requests(
    open_server: OpenServer, project: Path, configure
):
    configure('[privacy]\non_secret = "redact"')
    write_file(project, "a.py", f'KEY = "{AWS_KEY}"\n')
    in_the_cloud = {"name": LOCAL, "model": LOCAL, "digest": "ab" * 32, "remote_host": "https://ollama.com"}

    def answers(ask: Ask) -> Reply:
        server.vendors.ollama.listing = JSONResponse({"models": [in_the_cloud]})
        return WRONG

    async with open_server(answers) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, tests=TESTS, context_files=["a.py"], model="qwen3-30b-a3b"
        )

    assert receipt["status"] == "failed"
    (single_request,) = server.vendors.ollama.journal.to("/api/chat")
    assert AWS_KEY in json.dumps(single_request.body)
