"""`chargehand evaluate --scheduled`: what a week's evaluation waits for, and that there is one."""

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.evaluation.peers.ollama import OllamaPeer
from chargehand.evaluation.peers.reply import Ask, Fault, HttpFault, Reply
from chargehand.evaluation.peers.vendors import Vendors, vendors
from chargehand.evaluation.terms import OWN_SUITE, EvaluationTerms, seed_of_week
from chargehand.memory_store.evaluation_runs import claim_evaluation
from chargehand.memory_store.evaluations import NewEvaluation, finish_evaluation
from chargehand.memory_store.ownership import Owner
from chargehand.memory_store.records import NewTask
from chargehand.server.cli import main, own_services
from chargehand.server.command.evaluating import EvaluateArguments
from chargehand.server.schedule.scheduled import LOG_FILE, run_scheduled

pytestmark = pytest.mark.anyio

LOCAL, LOCAL_WIRE, HAIKU = "qwen3-30b-a3b", "qwen3:30b-a3b", "claude-haiku-5-5"
KIND = "repair"
"""Few tasks, and quickly checked."""
IDLE = (False, 0.1)
ARGUMENTS = EvaluateArguments(models=(LOCAL,), kinds=(KIND,))


class Wrong:
    """Everybody gives an answer that cannot be right."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.fault: Fault | None = None

    def __call__(self, ask: Ask) -> Reply | Fault:
        self.asked.append(ask)
        return self.fault or Reply("```python\npass\n```\n")


@pytest.fixture
def home() -> Path:
    return Path(os.environ["CHARGEHAND_HOME"])


def known_to(monkeypatch: pytest.MonkeyPatch, peers: Vendors) -> None:
    for name, value in peers.environment.items():
        monkeypatch.setenv(name, value)


def log(home: Path) -> list[str]:
    """What each line says after its time."""
    return [line.partition(" ")[2] for line in (home / LOG_FILE).read_text().splitlines()]


async def run(measures=IDLE, arguments: EvaluateArguments = ARGUMENTS) -> int:
    home = Path(os.environ["CHARGEHAND_HOME"])
    return await run_scheduled(own_services, arguments, home, read_machine=lambda: measures)


async def test_a_week_is_evaluated_once(monkeypatch: pytest.MonkeyPatch, home: Path):
    answer = Wrong()
    async with vendors(answer) as peers:
        known_to(monkeypatch, peers)
        first = await run()
        asked = len(answer.asked)
        second = await run()

    assert (first, second) == (0, 0)
    assert asked == len(answer.asked) > 0
    assert log(home) == ["begun", "finished", "skipped: this week's evaluation is done"]


async def test_what_was_evaluated_by_hand_with_less_does_not_count(monkeypatch: pytest.MonkeyPatch, home: Path):
    answer = Wrong()
    async with vendors(answer) as peers:
        known_to(monkeypatch, peers)
        await run()
        await run(arguments=EvaluateArguments(models=(LOCAL,), kinds=(KIND,), repeat=2))

    assert log(home) == ["begun", "finished"] * 2


@pytest.mark.parametrize(
    ("measures", "why"),
    [((True, 0.0), "the machine is running on battery"), ((None, 0.9), "the processors are busy")],
)
async def test_it_waits_and_says_why(monkeypatch: pytest.MonkeyPatch, home: Path, measures, why: str):
    answer = Wrong()
    async with vendors(answer) as peers:
        known_to(monkeypatch, peers)
        assert await run(measures) == 0

    assert answer.asked == []
    (line,) = log(home)
    assert line.startswith(f"skipped: {why}")


async def test_what_a_system_does_not_say_is_no_reason_to_wait(monkeypatch: pytest.MonkeyPatch, home: Path):
    async with vendors(Wrong()) as peers:
        known_to(monkeypatch, peers)
        await run((None, None))

    assert log(home)[0] == "begun"


def expires_in(peer: OllamaPeer, span: dt.timedelta) -> None:
    peer.loaded[LOCAL_WIRE] = 4096
    # As Go writes it: nanoseconds, and the zone of the server.
    at = (dt.datetime.now(dt.UTC) + span).astimezone(dt.timezone(dt.timedelta(hours=-7)))
    peer.expires_at = at.strftime("%Y-%m-%dT%H:%M:%S.123456789-07:00")


async def test_it_waits_while_somebody_uses_the_local_model(monkeypatch: pytest.MonkeyPatch, home: Path):
    answer = Wrong()
    async with vendors(answer) as peers:
        known_to(monkeypatch, peers)
        expires_in(peers.ollama, dt.timedelta(minutes=4))
        await run()

    assert answer.asked == []
    assert log(home) == [f"skipped: {LOCAL_WIRE} was used recently, and is still in Ollama's memory"]


async def test_a_model_that_is_kept_loaded_for_good_does_not_keep_it_waiting(
    monkeypatch: pytest.MonkeyPatch, home: Path
):
    async with vendors(Wrong()) as peers:
        known_to(monkeypatch, peers)
        expires_in(peers.ollama, dt.timedelta(days=90_000))
        await run()

    assert log(home)[0] == "begun"


async def test_it_waits_while_another_process_has_a_task_under_way(monkeypatch: pytest.MonkeyPatch, home: Path):
    async with vendors(Wrong()) as peers, own_services() as services:
        known_to(monkeypatch, peers)
        other = await Owner.enter(home)
        task = NewTask(
            id="t1", kind="delegation", text="x", task_type="other", complexity=1.0, local_only=False, owner=other.id
        )
        await services.ledger.begin_task(task)
        await run()
        await other.leave()
        await run()

    assert log(home) == ["skipped: 1 task(s) are running in other processes", "begun", "finished"]


async def test_what_a_vendor_left_undone_is_gone_on_with_within_the_same_budget(
    monkeypatch: pytest.MonkeyPatch, home: Path
):
    answer = Wrong()
    answer.fault = HttpFault(401)
    arguments = EvaluateArguments(models=(LOCAL, HAIKU), kinds=(KIND,), budget_usd=0.5)
    async with vendors(answer) as peers:
        known_to(monkeypatch, peers)
        failed = await run(arguments=arguments)
        answer.fault = None
        done = await run(arguments=replace(arguments, budget_usd=0.7))
        async with own_services() as services:
            rows = await services.ledger.rows("SELECT budget_usd, finished_at IS NULL FROM evaluations")

    assert (failed, done) == (1, 0)
    assert rows == [(0.5, 0)]


async def test_a_model_that_went_away_does_not_keep_the_others_from_being_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, home: Path
):
    answer = Wrong()
    answer.fault = HttpFault(400)
    arguments = EvaluateArguments(kinds=(KIND,))
    async with vendors(answer) as peers:
        known_to(monkeypatch, peers)
        monkeypatch.delenv("CEREBRAS_API_KEY")
        await run(arguments=arguments)
        answer.fault = None
        monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
        code = await run(arguments=arguments)
        async with own_services() as services:
            rows = await services.ledger.rows(
                "SELECT model, COUNT(DISTINCT evaluation_id) FROM measurements WHERE passed IS NOT NULL"
                " AND model IN (?, ?) GROUP BY model",
                (LOCAL, HAIKU),
            )

    assert code == 3
    assert rows == [(HAIKU, 1)]
    assert log(home) == ["begun", "failed (exit code 1)", "begun", "not finished: the next run continues it"]


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[EvaluateArguments]:
    """What would be evaluated, in place of evaluating it."""
    given: list[EvaluateArguments] = []

    async def evaluate(_: object, arguments: EvaluateArguments, **__: object) -> int:
        given.append(arguments)
        return 0

    monkeypatch.setattr("chargehand.server.schedule.scheduled.evaluate_from_shell", evaluate)
    return given


async def evaluated_by_hand(arguments: EvaluateArguments, *, is_finished: bool) -> None:
    async with own_services() as services:
        terms = EvaluationTerms(
            OWN_SUITE,
            seed_of_week(services.clock().astimezone().date()),
            arguments.models,
            arguments.kinds,
            arguments.repeat,
            arguments.budget_usd,
        )
        row = NewEvaluation("e1", OWN_SUITE, terms.seed, arguments.budget_usd, terms.as_json())
        await claim_evaluation(services.ledger, services.owner, row, 0.0)
        if is_finished:
            await finish_evaluation(services.ledger, "e1", 1.0)


@pytest.mark.parametrize(
    "other",
    [
        EvaluateArguments(models=(HAIKU,), kinds=(KIND,), budget_usd=0.5),
        EvaluateArguments(models=(LOCAL,), kinds=(KIND,), budget_usd=4),
        EvaluateArguments(models=(LOCAL,), budget_usd=0.5),
    ],
    ids=["other models", "more money", "other tasks"],
)
async def test_what_somebody_began_by_hand_is_left_to_them(
    monkeypatch: pytest.MonkeyPatch, evaluated: list[EvaluateArguments], other: EvaluateArguments
):
    async with vendors(Wrong()) as peers:
        known_to(monkeypatch, peers)
        await evaluated_by_hand(other, is_finished=False)
        await run(arguments=replace(ARGUMENTS, budget_usd=0.5, in_batches=True))

    assert [(o.models, o.kinds, o.budget_usd, o.continued) for o in evaluated] == [((LOCAL,), (KIND,), 0.5, None)]


async def test_what_is_gone_on_with_is_asked_in_batches_as_before(
    monkeypatch: pytest.MonkeyPatch, evaluated: list[EvaluateArguments]
):
    async with vendors(Wrong()) as peers:
        known_to(monkeypatch, peers)
        await evaluated_by_hand(replace(ARGUMENTS, budget_usd=0.25), is_finished=False)
        await run(arguments=replace(ARGUMENTS, budget_usd=0.5, in_batches=True))

    (only,) = evaluated
    assert only.continued is not None
    assert (only.continued.models, only.continued.budget_usd, only.in_batches) == ((LOCAL,), 0.25, True)


async def test_one_model_that_was_evaluated_by_hand_is_not_all_of_them(
    monkeypatch: pytest.MonkeyPatch, evaluated: list[EvaluateArguments]
):
    async with vendors(Wrong()) as peers:
        known_to(monkeypatch, peers)
        await evaluated_by_hand(replace(ARGUMENTS, budget_usd=0.5), is_finished=True)
        await run(arguments=EvaluateArguments(kinds=(KIND,)))
        await run()

    assert [o.models for o in evaluated] == [()]


def test_variables_come_from_the_file_and_the_environment_goes_before_it(
    monkeypatch: pytest.MonkeyPatch, home: Path, capsys: pytest.CaptureFixture[str]
):
    home.mkdir()
    file = home / "schedule.env"
    file.touch(0o600)
    monkeypatch.setenv("CHARGEHAND_LOG_LEVEL", "ERROR")
    monkeypatch.setenv("CHARGEHAND_POLICY", "")  # so that it is put back, whatever is set here
    monkeypatch.delenv("CHARGEHAND_POLICY")
    file.write_text("# mine\nCHARGEHAND_LOG_LEVEL=nonsense\n\nCHARGEHAND_POLICY='no policy'\n")

    assert main(["evaluate", "--scheduled", str(home)]) == 1

    said = " ".join(capsys.readouterr().err.split())
    assert "CHARGEHAND_POLICY" in said
    assert "CHARGEHAND_LOG_LEVEL" not in said


def test_a_path_in_the_file_goes_before_the_schedulers_own(monkeypatch: pytest.MonkeyPatch, home: Path):
    home.mkdir()
    (home / "schedule.env").touch(0o600)
    (home / "schedule.env").write_text("PATH=/opt/node/bin:/usr/bin\n")
    monkeypatch.setenv("PATH", "/usr/bin")

    main(["evaluate", "--scheduled", str(home), "--models", "nobody"])

    assert os.environ["PATH"] == "/opt/node/bin:/usr/bin"


@pytest.mark.parametrize(
    ("mode", "text", "complaint"),
    [
        (0o644, "ANTHROPIC_API_KEY=sk-canary\n", "other users can read it"),
        (0o600, "# fine\nsk-canary\n", "line 2: it is not NAME=value"),
    ],
)
def test_a_file_of_variables_that_cannot_be_used_is_named_without_its_content(
    home: Path, mode: int, text: str, complaint: str, capsys: pytest.CaptureFixture[str]
):
    home.mkdir()
    (home / "schedule.env").write_text(text)
    (home / "schedule.env").chmod(mode)

    assert main(["evaluate", "--scheduled", str(home)]) == 1

    said = " ".join(capsys.readouterr().err.split())
    for text in (said, *log(home)):
        assert complaint in text
        assert "sk-canary" not in text


def test_a_data_folder_that_was_moved_is_not_begun_anew_in_its_old_place(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["evaluate", "--scheduled", str(home)]) == 1

    assert "run `chargehand evaluate --install-schedule` again" in " ".join(capsys.readouterr().err.split())
    assert not home.exists()


@pytest.mark.parametrize(("config", "why"), [("policy = 'none'", "policy"), ("", "nobody")])
def test_the_log_says_what_kept_a_run_from_its_beginning(home: Path, config: str, why: str):
    home.mkdir()
    (home / "config.toml").write_text(config)

    assert main(["evaluate", "--scheduled", str(home), "--models", "nobody"]) == 1

    (line,) = log(home)
    assert line.startswith("failed: ")
    assert why in line


async def test_the_log_says_what_kept_a_run_that_had_begun_from_its_work(home: Path):
    page = Path("/nowhere/page.html")

    code = await run_scheduled(own_services, ARGUMENTS, home, page=page, read_machine=lambda: IDLE)

    assert code == 1
    assert log(home) == [
        "begun",
        f"failed: --html: {page} cannot be written (No such file or directory). Name another file.",
    ]
