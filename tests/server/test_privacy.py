"""What must stay on the machine stays there: by call, setting, path, or because a secret is in it."""

import base64
import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from house import House, OpenHouse, Script, fenced, text_of
from planted import AWS_KEY, drawn
from rename_task import RENAME, RIGHT, STILL_WRONG, TESTS, WRONG
from starlette.responses import JSONResponse

from chargehand.evaluation.peers.reply import Ask, Reply
from chargehand.evaluation.peers.vendors import QWEN

pytestmark = pytest.mark.anyio

LOCAL, FAST, ECONOMY, VALIDATOR, DIRECTOR = (
    "qwen3:30b-a3b", "gpt-oss-120b", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5",
)  # fmt: skip

PASS = Reply('{"verdict": "pass", "findings": []}')
SECRET = AWS_KEY.removeprefix("AKIA")


def sent_to_clouds(house: House) -> str:
    """All that the peers in the cloud received: bodies, headers and paths."""
    exchanges = [*house.vendors.anthropic.journal.exchanges, *house.vendors.cerebras.journal.exchanges]
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


def put(project: Path, name: str, text: str) -> str:
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return name


async def test_a_secret_in_a_context_file_keeps_the_task_local_and_the_receipt_says_where(
    open_house: OpenHouse, project: Path
):
    put(project, "settings.py", f'REGION = "eu"\nKEY = "{AWS_KEY}"\n')
    async with open_house(Script({LOCAL: [WRONG, STILL_WRONG]})) as house:
        receipt = await house.call(
            "delegate_generation", task=RENAME, tests=TESTS, context_files=["settings.py"], max_attempts=20
        )

    assert {attempt["model"] for attempt in receipt["attempts"]} == {"qwen3-30b-a3b"}
    assert any("settings.py:2 holds what looks like a secret (aws-access-key)" in note for note in receipt["notes"])
    assert SECRET not in json.dumps(receipt)
    assert sent_to_clouds(house) == ""


async def test_an_encoded_secret_keeps_the_task_local_too(open_house: OpenHouse, project: Path):
    hidden = base64.b64encode(f"key: {AWS_KEY}\n".encode()).decode()
    put(project, "secret.yaml", f"kind: Secret\ndata:\n  config: {hidden}\n")
    async with open_house(Script({LOCAL: [RIGHT]})) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["secret.yaml"])

    assert {attempt["model"] for attempt in receipt["attempts"]} == {"qwen3-30b-a3b"}
    said = "secret.yaml:3 holds what looks like a secret (aws-access-key-in-base64)"
    assert any(said in note for note in receipt["notes"])
    assert hidden not in json.dumps(receipt)
    assert sent_to_clouds(house) == ""


@pytest.mark.parametrize("argument", ["task", "context", "tests"])
async def test_a_secret_in_an_argument_keeps_the_task_local(open_house: OpenHouse, argument: str):
    arguments = {"task": RENAME, "context": "Some words.", "tests": TESTS}
    arguments[argument] += f"\n# {AWS_KEY}"
    async with open_house(Script({ECONOMY: [RIGHT]}), installed=()) as house:
        receipt = await house.call("delegate_generation", **arguments)

    assert receipt["status"] == "refused"
    assert any(f"{argument}:2 holds what looks like a secret" in note for note in receipt["notes"])
    assert any('on_secret = "redact"' in note for note in receipt["notes"])
    assert receipt["egress"] == []
    assert sent_to_clouds(house) == ""


async def test_a_pinned_model_elsewhere_is_refused_a_text_with_a_secret(open_house: OpenHouse, project: Path):
    put(project, "a.py", f'KEY = "{AWS_KEY}"\n')
    async with open_house(Script({ECONOMY: [RIGHT]})) as house:
        receipt = await house.call("delegate_generation", task=RENAME, context_files=["a.py"], model="haiku")

    assert receipt["status"] == "refused"
    assert sent_to_clouds(house) == ""


async def test_what_only_looks_like_a_secret_goes_where_all_goes(open_house: OpenHouse, project: Path):
    put(project, "a.py", 'password = "changeme"\nkey = os.environ["API_KEY"]\n# <your-key>\n')
    async with open_house(Script({ECONOMY: [RIGHT]}), installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["a.py"])

    assert receipt["status"] == "succeeded"
    assert "changeme" in sent_to_clouds(house)


async def test_redacted_secrets_leave_as_placeholders_and_local_models_see_them_whole(
    open_house: OpenHouse, project: Path, configure
):
    configure('[privacy]\non_secret = "redact"')
    put(project, "a.py", f'KEY = "{AWS_KEY}"\nREGION = "eu"\n')
    script = Script({LOCAL: [WRONG, STILL_WRONG], ECONOMY: [RIGHT]})
    async with open_house(script) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["a.py"])

    assert receipt["status"] == "succeeded"
    assert script.models == [LOCAL, LOCAL, ECONOMY]
    assert AWS_KEY in script.asked[0].messages[-1][1]
    assert 'KEY = "AKIA<redacted:aws-access-key>"\nREGION = "eu"' in script.asked[2].messages[-1][1]
    assert SECRET not in sent_to_clouds(house)
    assert any("Replaced by placeholders in what leaves this machine: a.py:1" in note for note in receipt["notes"])


async def test_an_answer_with_a_placeholder_in_it_says_so(open_house: OpenHouse, project: Path, configure):
    configure('[privacy]\non_secret = "redact"')
    put(project, "a.py", f'KEY = "{AWS_KEY}"\n')
    rewritten = Reply(fenced('KEY = "AKIA<redacted:aws-access-key>"\n\ndef double(count):\n    return 2 * count'))
    async with open_house(Script({ECONOMY: [rewritten]}), installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["a.py"])

    assert any("Put the secret back before you use it" in note for note in receipt["notes"])


async def test_a_secret_that_a_model_wrote_goes_back_to_it_as_a_placeholder(open_house: OpenHouse, configure):
    configure('[privacy]\non_secret = "redact"')
    leaking = Reply(fenced(f'KEY = "{AWS_KEY}"\n\ndef double(count):\n    return count ** 3'), thinking="A key.")
    script = Script({DIRECTOR: [leaking, RIGHT]})
    async with open_house(script) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests=TESTS, model="opus")

    assert (receipt["status"], script.models) == ("succeeded", [DIRECTOR, DIRECTOR])
    assert "<redacted:aws-access-key>" in json.dumps(script.asked[1].messages)
    assert SECRET not in sent_to_clouds(house)


async def test_a_secret_in_a_tests_output_is_not_sent_back_for_a_repair(open_house: OpenHouse):
    # The answer prints what no prompt held: put together where it runs.
    leaking = f'def double(count):\n    raise ValueError("AK" + "IA" + "{SECRET}")'
    script = Script({ECONOMY: [Reply(fenced(leaking)), RIGHT]})
    async with open_house(script, installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests=TESTS)
        review = await house.call("validate_code", task_id=receipt["task_id"], depth="review")

    assert script.models == [ECONOMY]
    assert receipt["status"] == "failed"
    assert review["status"] == "refused"
    assert any("a check's output holds what looks like a secret" in note for note in receipt["notes"])
    assert AWS_KEY not in sent_to_clouds(house)


KEY_LINES = [base64.b64encode(hashlib.sha384(bytes([number])).digest()).decode() for number in range(50)]
"""What stands in a private key of 3,072 bits and in no prompt: the answer that leaks it computes it."""
LEAKING_A_KEY = """import base64, hashlib
def double(count):
    lines = [base64.b64encode(hashlib.sha384(bytes([number])).digest()).decode() for number in range(50)]
    begins, ends = ("-----%s PRIVATE KEY-----" % word for word in ("BEGIN", "END"))
    return "\\n".join([". " * 700, begins, *lines, ends, ". " * 50])
"""


@pytest.mark.parametrize(
    "asked",
    [
        {"tests": "raise ValueError(double(4))"},
        {"tests": "import os\nprint(double(4), flush=True)\nos._exit(1)"},
        {"checks": ["unit"]},
    ],
    ids=["raised", "printed", "by a command"],
)
@pytest.mark.parametrize("on_secret", ["local", "redact"])
async def test_a_private_key_in_an_output_too_long_to_be_told_whole_does_not_leave(
    open_house: OpenHouse, configure, project: Path, on_secret: str, asked: dict[str, object]
):
    command = 'command = ["python3", "-c", "import answer; print(answer.double(4)); exit(1)"]'
    configure(f'[privacy]\non_secret = "{on_secret}"\n[checks.unit]\n{command}\nanswer_path = "answer.py"')
    script = Script({ECONOMY: [Reply(fenced(LEAKING_A_KEY)), RIGHT]})
    async with open_house(script, installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, **asked)

    assert receipt["attempts"][0]["outcome"] == "failed_check"
    assert not any(line in sent_to_clouds(house) for line in KEY_LINES)
    assert (script.models == [ECONOMY]) is (on_secret == "local")


@pytest.mark.parametrize("asked", [{"tests": "double(4)"}, {"checks": ["unit"]}], ids=["raised", "by a command"])
async def test_a_secret_of_your_own_kind_is_not_cut_in_two_in_an_output_too_long_to_be_told_whole(
    open_house: OpenHouse, configure, asked: dict[str, object]
):
    command = 'command = ["python3", "-c", "import answer; answer.double(4)"]\nanswer_path = "answer.py"'
    configure(f'[privacy]\nsecrets = {{ badge = "ACME-[0-9]{{4}}-[a-z]{{4}}" }}\n[checks.unit]\n{command}')
    # Where a long text is cut, whole or in two, stands one of these.
    leaking = "def double(count):\n    raise ValueError(('AC' + 'ME-2026-oryx ') * 1000)"
    script = Script({ECONOMY: [Reply(fenced(leaking)), RIGHT]})
    async with open_house(script, installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, **asked)

    assert script.models == [ECONOMY]
    assert "<redacted:badge>" in json.dumps(receipt)
    assert "ACME-2026" not in json.dumps(receipt)


async def test_a_task_that_a_check_made_local_goes_on_with_a_local_model_and_is_local_in_the_books(
    open_house: OpenHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_POLICY", "reference")
    leaking = f'def double(count):\n    raise ValueError("AK" + "IA" + "{SECRET}")'
    hard = "Write a function double(count). " + "It must work for all numbers, streams, matrices and clocks. " * 40
    script = Script({model: [Reply(fenced(leaking))] for model in (FAST, ECONOMY, VALIDATOR, DIRECTOR)})
    script.answers[LOCAL] = [RIGHT]
    async with open_house(script) as house:
        receipt = await house.call("delegate_generation", task=hard, tests=TESTS, task_type="code_generation")

    with sqlite3.connect(tmp_path / "chargehand-home" / "ledger.sqlite3") as db:
        assert db.execute("SELECT local_only FROM tasks").fetchall() == [(1,)]
    assert receipt["status"] == "succeeded"
    assert len(script.models) == 2
    assert script.models[0] != LOCAL
    assert script.models[1] == LOCAL
    assert f"AKIA{SECRET}" not in sent_to_clouds(house)


async def test_a_secret_in_an_earlier_answer_is_not_shown_to_a_reviewer_elsewhere(open_house: OpenHouse):
    answer = Reply(fenced(f'KEY = "{AWS_KEY}"\n\ndef double(count):\n    return 2 * count'))
    script = Script({LOCAL: [answer], VALIDATOR: [PASS]})
    async with open_house(script) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests=TESTS)
        review = await house.call("validate_code", task_id=receipt["task_id"], depth="review")

    assert receipt["status"] == "succeeded"
    assert VALIDATOR not in script.models
    assert any("code:1 holds what looks like a secret" in note for note in review["notes"])
    assert sent_to_clouds(house) == ""


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
async def test_a_path_that_must_stay_does_whatever_spelling_leads_to_it(
    open_house: OpenHouse, project: Path, configure, spelling: str
):
    configure('[privacy]\nlocal_only = ["SRC/Billing/**"]')
    put(project, "src/billing/rates.py", "RATE = 0.19\n")
    put(project, "src/other/x.py", "")
    named = spelling.format(root=project)
    async with open_house(Script({ECONOMY: [RIGHT]}), installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, context_files=[named])
        other = await house.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["src/other/x.py"])
        sent = sent_to_clouds(house)

    assert receipt["status"] == "refused"
    assert any("lies under [privacy] local_only (SRC/Billing/**)" in note for note in receipt["notes"])
    assert any("remove its path from [privacy] local_only" in note for note in receipt["notes"])
    assert other["status"] == "succeeded"
    assert "RATE" not in sent


async def test_a_hard_link_to_a_local_file_stays_and_one_to_another_file_may_leave(
    open_house: OpenHouse, project: Path, configure
):
    configure('[privacy]\nlocal_only = ["src/billing/**"]')
    put(project, "src/billing/rates.py", "RATE = 0.19\n")
    put(project, "src/other.py", "x = 1\n")
    (project / "hard.py").hardlink_to(project / "src/billing/rates.py")
    (project / "harmless.py").hardlink_to(project / "src/other.py")
    async with open_house(Script({ECONOMY: [RIGHT]}), installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, context_files=["hard.py"])
        other = await house.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["harmless.py"])
        sent = sent_to_clouds(house)

    assert receipt["status"] == "refused"
    told = f"hard.py is a hard link to {project}/src/billing/rates.py, which lies under [privacy] local_only"
    assert any(told in note for note in receipt["notes"])
    assert other["status"] == "succeeded"
    assert "RATE" not in sent


async def test_each_tool_keeps_a_local_path_local(open_house: OpenHouse, project: Path, configure):
    configure('[privacy]\nlocal_only = ["*.secret.py"]')
    put(project, "deep/down/rates.secret.py", "RATE = 0.19\n")
    file = "deep/down/rates.secret.py"
    missing = Script({})
    async with open_house(missing, installed=()) as house:
        route = await house.call("route_task", task=RENAME, context_files=[file])
        validation = await house.call("validate_code", files=[file], depth="review")
        review = await house.call("strategic_review", goal="g", progress="p", context_files=[file])

    assert route["provider"] == "ollama"
    assert any("local_only (*.secret.py)" in warning for warning in route["warnings"])
    assert validation["status"] == "refused"
    assert review["status"] == "refused"
    assert any("local_only (*.secret.py)" in note for note in [*validation["notes"], *review["notes"]])
    assert sent_to_clouds(house) == ""


async def test_a_review_of_a_local_file_is_local_and_of_its_project_in_the_books(
    open_house: OpenHouse, project: Path, configure, tmp_path: Path
):
    configure('[privacy]\nlocal_only = ["*.secret.py"]')
    put(project, "rates.secret.py", "RATE = 0.19\n")
    async with open_house(Script({LOCAL: [PASS]})) as house:
        validation = await house.call("validate_code", files=["rates.secret.py"], depth="review")

    assert validation["model"] == "qwen3-30b-a3b"
    with sqlite3.connect(tmp_path / "chargehand-home" / "ledger.sqlite3") as db:
        rows = db.execute("SELECT kind, local_only, project IS NOT NULL FROM tasks").fetchall()
    assert rows == [("validation", 1, 1)]


async def test_a_new_file_in_a_local_folder_is_written_by_nobody_elsewhere(open_house: OpenHouse, configure):
    configure('[privacy]\nlocal_only = ["billing/**"]')
    async with open_house(Script({ECONOMY: [RIGHT]}), installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, target="billing/new.py")

    assert receipt["status"] == "refused"
    assert any("billing/new.py lies under [privacy] local_only (billing/**)" in note for note in receipt["notes"])
    assert sent_to_clouds(house) == ""


async def test_tests_in_a_local_folder_keep_their_task_local(open_house: OpenHouse, project: Path, configure):
    configure('[privacy]\nlocal_only = ["billing/**"]')
    put(project, "billing/test_double.py", "from solution import double\n\ndef test_it():\n    assert double(4) == 8\n")
    async with open_house(Script({ECONOMY: [RIGHT]}), installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests="billing/test_double.py::test_it")

    assert receipt["status"] == "refused"
    assert any("test_double.py lies under [privacy] local_only (billing/**)" in note for note in receipt["notes"])
    assert sent_to_clouds(house) == ""


async def test_a_strategic_review_of_a_secret_is_refused(open_house: OpenHouse):
    async with open_house(Script({DIRECTOR: [PASS]}), installed=()) as house:
        answer = await house.call("strategic_review", goal="Ship it.", progress=f"We use {AWS_KEY} now.")

    assert answer["status"] == "refused"
    assert any("progress:1 holds what looks like a secret" in note for note in answer["notes"])
    assert sent_to_clouds(house) == ""


async def test_what_came_of_a_local_task_stays_local_in_another_server(open_house: OpenHouse, project: Path, configure):
    configure('[privacy]\nlocal_only = ["billing/**"]')
    put(project, "billing/rates.py", "RATE = 0.19\n")
    script = Script({LOCAL: [RIGHT], VALIDATOR: [PASS]})
    async with open_house(script) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests=TESTS, context_files=["billing/rates.py"])
    configure("")  # whatever the settings say by then
    async with open_house(script, installed=()) as house:
        review = await house.call("validate_code", task_id=receipt["task_id"], depth="review")
        await house.call("delegate_generation", resume=receipt["task_id"])

    assert review["status"] == "refused"
    assert any("the task it comes from" in note for note in review["notes"])
    assert sent_to_clouds(house) == ""


async def test_what_a_check_prints_beside_local_files_is_not_sent_back(open_house: OpenHouse, project: Path, configure):
    configure('[privacy]\nlocal_only = ["billing/**"]')
    put(project, "pyproject.toml", "")
    put(project, "billing/rates.py", "RATE = 'nineteen percent'\n")
    put(project, "test_double.py", "from solution import double\n\ndef test_it():\n    assert double(4) == 8\n")
    spying = "import base64, pathlib\n\ndef double(count):\n    raise ValueError(base64.b64encode(b'19'))"
    script = Script({ECONOMY: [Reply(fenced(spying))], VALIDATOR: [RIGHT], FAST: [RIGHT]})
    async with open_house(script, installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, tests="test_double.py")

    assert receipt["status"] == "succeeded"
    assert len(script.models) == 2
    assert script.models[0] != script.models[1]
    assert "MTk=" not in sent_to_clouds(house)
    assert any("not asked for a repair: its checks run beside billing/rates.py" in note for note in receipt["notes"])


async def test_what_a_users_command_prints_beside_local_files_is_not_sent_back(
    open_house: OpenHouse, project: Path, configure
):
    configure(
        '[privacy]\nlocal_only = ["billing/**"]\n[checks.unit]\nanswer_path = "double.py"\n'
        'command = ["python3", "-c", "import base64; raise SystemExit(base64.b64encode(b\'19\'))"]\n'
    )
    put(project, "billing/rates.py", "RATE = 0.19\n")
    script = Script({model: [RIGHT] for model in (FAST, ECONOMY, VALIDATOR, DIRECTOR)})
    async with open_house(script, installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, checks=["unit"], max_attempts=20)

    assert receipt["status"] == "failed"
    assert "MTk=" in json.dumps(receipt["attempts"])
    assert "MTk=" not in sent_to_clouds(house)
    assert len(script.models) == len(set(script.models))


async def test_a_pattern_of_the_users_own_counts_like_any_other(open_house: OpenHouse, project: Path, configure):
    configure('[privacy]\nsecrets = {acme-badge = "ACME-[0-9]{4}-[a-z]{4,12}"}')
    put(project, "a.py", "BADGE = 'ACME-2026-walrus'\n")
    async with open_house(Script({ECONOMY: [RIGHT]}), installed=()) as house:
        receipt = await house.call("delegate_generation", task=RENAME, context_files=["a.py"])

    assert receipt["status"] == "refused"
    assert any("a.py:1 holds what looks like a secret (acme-badge)" in note for note in receipt["notes"])


@pytest.mark.parametrize(
    ("line", "says"),
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
async def test_a_privacy_setting_that_cannot_work_is_an_error_with_its_place(
    open_house: OpenHouse, configure, line: str, says: str
):
    configure(f"[privacy]\n{line}")
    async with open_house(Script({})) as house:
        result = await house.client.call_tool("route_task", {"task": RENAME})

    assert result.is_error
    assert says in text_of(result)
    assert "config.toml" in text_of(result)


@pytest.mark.in_process("the server is made to take this machine for another")
async def test_an_ollama_elsewhere_is_not_even_asked_whether_it_is_there(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
):
    async with open_house(Script({ECONOMY: [RIGHT]})) as house:
        monkeypatch.setattr(
            "chargehand.server.providers.egress.is_local_host", lambda host, hosts=(): host != "127.0.0.1"
        )
        receipt = await house.call("delegate_generation", task=RENAME, local_only=True)
        asked = [exchange.path for exchange in house.vendors.ollama.journal.exchanges]

    assert receipt["status"] == "refused"
    assert asked == []


async def test_a_cloud_model_of_a_local_ollama_gets_no_secret(open_house: OpenHouse):
    cloud = QWEN.__class__(**{**QWEN.__dict__, "remote_host": "https://ollama.com"})
    async with open_house(Script({LOCAL: [RIGHT]}), installed=(cloud,)) as house:
        receipt = await house.call("delegate_generation", task=f"{RENAME}\n# {drawn(3)} {AWS_KEY}")

    assert receipt["status"] == "refused"
    assert house.vendors.ollama.journal.to("/api/chat") == []


async def test_a_local_model_that_becomes_a_cloud_model_meanwhile_is_sent_nothing_more(
    open_house: OpenHouse, project: Path, configure
):
    configure('[privacy]\non_secret = "redact"')
    put(project, "a.py", f'KEY = "{AWS_KEY}"\n')
    in_the_cloud = {"name": LOCAL, "model": LOCAL, "digest": "ab" * 32, "remote_host": "https://ollama.com"}

    def answers(ask: Ask) -> Reply:
        house.vendors.ollama.listing = JSONResponse({"models": [in_the_cloud]})
        return WRONG

    async with open_house(answers) as house:
        receipt = await house.call(
            "delegate_generation", task=RENAME, tests=TESTS, context_files=["a.py"], model="qwen3-30b-a3b"
        )

    assert receipt["status"] == "failed"
    (only,) = house.vendors.ollama.journal.to("/api/chat")
    assert AWS_KEY in json.dumps(only.body)
