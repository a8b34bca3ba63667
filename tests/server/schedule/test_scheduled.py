"""`chargehand evaluate --scheduled`: one evaluation per week, and the conditions under which it is skipped."""

import datetime as dt
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
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
from chargehand.server.command.evaluating import EvaluateArguments, evaluate_from_shell
from chargehand.server.schedule.scheduled import LOG_FILE, run_scheduled
from chargehand.tools.errors import BadArgument

pytestmark = pytest.mark.anyio

LOCAL, LOCAL_WIRE = "qwen3-30b-a3b", "qwen3:30b-a3b"
HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"
KIND = "repair"
"""A few tasks that are quick to check."""
IDLE = (False, 0.1)
CONTINUED = "a later run of this week continues it, or `chargehand evaluate --resume`"
ARGUMENTS = EvaluateArguments(models=(LOCAL,), kinds=(KIND,))


class WrongModels:
    """Every model gives a wrong answer, or the fault that is set."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.fault: Fault | None = None

    def __call__(self, ask: Ask) -> Reply | Fault:
        self.asked.append(ask)
        return self.fault or Reply("```python\npass\n```\n")


@pytest.fixture
def home() -> Path:
    return Path(os.environ["CHARGEHAND_HOME"])


def use_vendors(monkeypatch: pytest.MonkeyPatch, peers: Vendors) -> None:
    for name, value in peers.environment.items():
        monkeypatch.setenv(name, value)


def log(home: Path) -> list[str]:
    """The lines of the log without their timestamps."""
    return [line.partition(" ")[2] for line in (home / LOG_FILE).read_text().splitlines()]


async def run(measures=IDLE, arguments: EvaluateArguments = ARGUMENTS) -> int:
    home = Path(os.environ["CHARGEHAND_HOME"])
    return await run_scheduled(own_services, arguments, home, read_machine=lambda: measures)


async def test_a_week_is_evaluated_once(monkeypatch: pytest.MonkeyPatch, home: Path):
    answer = WrongModels()
    async with vendors(answer) as peers:
        use_vendors(monkeypatch, peers)
        first = await run()
        asked = len(answer.asked)
        second = await run()

    assert (first, second) == (0, 0)
    assert asked == len(answer.asked) > 0
    assert log(home) == ["begun", "finished", "skipped: this week's evaluation is done"]


async def test_an_evaluation_with_fewer_repetitions_does_not_count_for_the_week(
    monkeypatch: pytest.MonkeyPatch, home: Path
):
    answer = WrongModels()
    async with vendors(answer) as peers:
        use_vendors(monkeypatch, peers)
        await run()
        await run(arguments=EvaluateArguments(models=(LOCAL,), kinds=(KIND,), repeat=2))

    assert log(home) == ["begun", "finished"] * 2


@pytest.mark.parametrize(
    ("measures", "reason"),
    [((True, 0.0), "the machine is running on battery"), ((None, 0.9), "the processors are busy")],
)
async def test_a_run_on_battery_or_a_busy_machine_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, home: Path, measures, reason: str
):
    answer = WrongModels()
    async with vendors(answer) as peers:
        use_vendors(monkeypatch, peers)
        assert await run(measures) == 0

    assert answer.asked == []
    (line,) = log(home)
    assert line.startswith(f"skipped: {reason}")


async def test_a_run_is_not_skipped_when_power_and_load_are_unknown(monkeypatch: pytest.MonkeyPatch, home: Path):
    async with vendors(WrongModels()) as peers:
        use_vendors(monkeypatch, peers)
        await run((None, None))

    assert log(home)[0] == "begun"


def expires_in(peer: OllamaPeer, span: dt.timedelta) -> None:
    peer.loaded[LOCAL_WIRE] = 4096
    # As Go formats it: nanoseconds, and the server's time zone.
    expiry = (dt.datetime.now(dt.UTC) + span).astimezone(dt.timezone(dt.timedelta(hours=-7)))
    peer.expires_at = expiry.strftime("%Y-%m-%dT%H:%M:%S.123456789-07:00")


async def test_a_run_is_skipped_while_the_local_model_is_in_use(monkeypatch: pytest.MonkeyPatch, home: Path):
    answer = WrongModels()
    async with vendors(answer) as peers:
        use_vendors(monkeypatch, peers)
        expires_in(peers.ollama, dt.timedelta(minutes=4))
        await run()

    assert answer.asked == []
    assert log(home) == [f"skipped: {LOCAL_WIRE} was used recently, and is still in Ollama's memory"]


async def test_a_run_is_not_skipped_because_a_model_is_kept_loaded_forever(monkeypatch: pytest.MonkeyPatch, home: Path):
    async with vendors(WrongModels()) as peers:
        use_vendors(monkeypatch, peers)
        expires_in(peers.ollama, dt.timedelta(days=90_000))
        await run()

    assert log(home)[0] == "begun"


async def test_a_run_is_skipped_while_another_process_has_a_running_task(monkeypatch: pytest.MonkeyPatch, home: Path):
    async with vendors(WrongModels()) as peers, own_services() as services:
        use_vendors(monkeypatch, peers)
        other = await Owner.enter(home)
        task = NewTask(
            id="t1", kind="delegation", text="x", task_type="other", complexity=1.0, local_only=False, owner=other.id
        )
        await services.ledger.begin_task(task)
        await run()
        await other.leave()
        await run()

    assert log(home) == ["skipped: 1 task(s) are running in other processes", "begun", "finished"]


async def test_a_run_is_skipped_while_another_process_runs_an_evaluation(monkeypatch: pytest.MonkeyPatch, home: Path):
    answer = WrongModels()
    async with vendors(answer) as peers, own_services() as services:
        use_vendors(monkeypatch, peers)
        other = await Owner.enter(home)
        row = NewEvaluation("e1", OWN_SUITE, 1, None, EvaluationTerms(OWN_SUITE, 1, (LOCAL,)).as_json())
        await claim_evaluation(services.ledger, other, row, 0.0)
        exit_code = await run()
        await other.leave()

    assert (exit_code, answer.asked) == (0, [])
    assert log(home)[-1].startswith("skipped: evaluation e1 is already running")


async def test_an_evaluation_that_a_vendor_failed_is_continued_within_its_first_budget(
    monkeypatch: pytest.MonkeyPatch, home: Path
):
    answer = WrongModels()
    answer.fault = HttpFault(401)
    arguments = EvaluateArguments(models=(LOCAL, HAIKU), kinds=(KIND,), budget_usd=0.5)
    async with vendors(answer) as peers:
        use_vendors(monkeypatch, peers)
        failed = await run(arguments=arguments)
        answer.fault = None
        done = await run(arguments=replace(arguments, budget_usd=0.7))
        async with own_services() as services:
            rows = await services.ledger.rows("SELECT budget_usd, finished_at IS NULL FROM evaluations")

    assert (failed, done) == (1, 0)
    assert rows == [(0.5, 0)]


async def test_an_unavailable_model_does_not_stop_the_others_from_being_continued(
    monkeypatch: pytest.MonkeyPatch, home: Path
):
    answer = WrongModels()
    answer.fault = HttpFault(400)
    arguments = EvaluateArguments(kinds=(KIND,))
    async with vendors(answer) as peers:
        use_vendors(monkeypatch, peers)
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
    assert log(home) == [
        "begun",
        f"nothing was measured: raise --budget-usd if the budget is too small; otherwise {CONTINUED}",
        "begun",
        f"not finished: {CONTINUED}",
    ]


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[EvaluateArguments]:
    """The arguments of each evaluation, recorded instead of evaluated."""
    recorded: list[EvaluateArguments] = []

    async def evaluate(_: object, arguments: EvaluateArguments, **__: object) -> int:
        recorded.append(arguments)
        return 0

    monkeypatch.setattr("chargehand.server.schedule.scheduled.evaluate_from_shell", evaluate)
    return recorded


async def record_manual_evaluation(arguments: EvaluateArguments, *, is_finished: bool) -> None:
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
        EvaluateArguments(models=(LOCAL,), kinds=(KIND,), repeat=2, budget_usd=0.5),
    ],
    ids=["other models", "more money", "other tasks", "more repetitions"],
)
async def test_a_manual_evaluation_with_other_terms_is_not_continued(
    monkeypatch: pytest.MonkeyPatch, evaluations: list[EvaluateArguments], other: EvaluateArguments
):
    async with vendors(WrongModels()) as peers:
        use_vendors(monkeypatch, peers)
        await record_manual_evaluation(other, is_finished=False)
        await run(arguments=replace(ARGUMENTS, budget_usd=0.5, in_batches=True))

    assert [(o.models, o.kinds, o.budget_usd, o.continued) for o in evaluations] == [((LOCAL,), (KIND,), 0.5, None)]


async def test_a_continued_evaluation_keeps_its_budget_and_uses_batches(
    monkeypatch: pytest.MonkeyPatch, evaluations: list[EvaluateArguments]
):
    async with vendors(WrongModels()) as peers:
        use_vendors(monkeypatch, peers)
        await record_manual_evaluation(replace(ARGUMENTS, budget_usd=0.25), is_finished=False)
        await run(arguments=replace(ARGUMENTS, budget_usd=0.5, in_batches=True))

    (continued,) = evaluations
    assert continued.continued is not None
    assert (continued.continued.models, continued.continued.budget_usd, continued.in_batches) == ((LOCAL,), 0.25, True)


async def test_a_manual_evaluation_of_one_model_does_not_count_for_all_models(
    monkeypatch: pytest.MonkeyPatch, evaluations: list[EvaluateArguments]
):
    async with vendors(WrongModels()) as peers:
        use_vendors(monkeypatch, peers)
        await record_manual_evaluation(replace(ARGUMENTS, budget_usd=0.5), is_finished=True)
        await run(arguments=EvaluateArguments(kinds=(KIND,)))
        await run()

    (evaluation,) = evaluations
    assert HAIKU in evaluation.models
    assert LOCAL not in evaluation.models


async def test_a_model_that_appears_during_the_week_is_measured_alone_with_the_rest_of_the_weeks_budget(
    monkeypatch: pytest.MonkeyPatch, home: Path
):
    answer = WrongModels()
    arguments = EvaluateArguments(models=(HAIKU,), kinds=(KIND,), budget_usd=0.5)
    async with vendors(answer) as peers:
        use_vendors(monkeypatch, peers)
        await run(arguments=arguments)
        asked = len(answer.asked)
        await run(arguments=replace(arguments, models=(HAIKU, SONNET)))
        async with own_services() as services:
            rows = await services.ledger.rows(
                "SELECT e.budget_usd, GROUP_CONCAT(DISTINCT m.model), TOTAL(m.cost_usd) FROM evaluations e"
                " JOIN measurements m ON m.evaluation_id = e.id GROUP BY e.id ORDER BY e.rowid"
            )

    (first, of_haiku, spent_usd), (second, of_sonnet, _) = rows
    assert (of_haiku, of_sonnet) == (HAIKU, SONNET)
    assert (first, second) == (0.5, pytest.approx(0.5 - spent_usd))
    assert len(answer.asked) == 2 * asked


async def test_answers_left_with_a_vendor_are_fetched_by_the_next_weeks_run_before_its_own(
    monkeypatch: pytest.MonkeyPatch, home: Path
):
    answer = WrongModels()
    arguments = EvaluateArguments(models=(HAIKU,), kinds=(KIND,), budget_usd=2.0)
    last_week = seed_of_week(dt.datetime.now().astimezone().date() - dt.timedelta(days=7))
    async with vendors(answer) as peers:
        use_vendors(monkeypatch, peers)
        batches = peers.anthropic.batches
        batches.ends_at_poll = 0
        monkeypatch.setattr("chargehand.evaluation.batching._GATHER_S", 0.1)
        before = replace(arguments, seed=last_week, in_batches=True)
        async with anyio.create_task_group() as group:
            group.start_soon(partial(evaluate_from_shell, own_services, before, as_json=True, page=None))
            with anyio.fail_after(60):
                await batches.was_polled.wait()
            group.cancel_scope.cancel()
        batches.ends_at_poll = 1
        code = await run(arguments=arguments)
        async with own_services() as services:
            rows = await services.ledger.rows(
                "SELECT e.seed, COUNT(*), COUNT(m.passed) FROM evaluations e"
                " JOIN measurements m ON m.evaluation_id = e.id WHERE e.finished_at NOT NULL"
                " GROUP BY e.id ORDER BY e.seed"
            )

    (old_seed, old, old_judged), (_, new, new_judged) = rows
    assert (code, old_seed) == (0, last_week)
    assert (old_judged, new_judged) == (old, new)
    assert [len(batch.requests) for batch in batches.batches.values()] == [old]
    assert len(answer.asked) == old + new
    assert log(home) == [f"begun (week {last_week})", "finished", "begun", "finished"]


def test_the_environment_overrides_the_variables_in_schedule_env(
    monkeypatch: pytest.MonkeyPatch, home: Path, capsys: pytest.CaptureFixture[str]
):
    home.mkdir()
    file = home / "schedule.env"
    file.touch(0o600)
    monkeypatch.setenv("CHARGEHAND_LOG_LEVEL", "ERROR")
    monkeypatch.setenv("CHARGEHAND_POLICY", "")  # so that monkeypatch restores it after the test
    monkeypatch.delenv("CHARGEHAND_POLICY")
    file.write_text("# mine\nCHARGEHAND_LOG_LEVEL=nonsense\n\nCHARGEHAND_POLICY='no policy'\n")

    assert main(["evaluate", "--scheduled", str(home)]) == 1

    printed = " ".join(capsys.readouterr().err.split())
    assert "CHARGEHAND_POLICY" in printed
    assert "CHARGEHAND_LOG_LEVEL" not in printed


def test_path_in_schedule_env_overrides_the_schedulers_path(monkeypatch: pytest.MonkeyPatch, home: Path):
    home.mkdir()
    (home / "schedule.env").touch(0o600)
    (home / "schedule.env").write_text("PATH=/opt/node/bin:/usr/bin\n")
    monkeypatch.setenv("PATH", "/usr/bin")

    main(["evaluate", "--scheduled", str(home), "--models", "nobody"])

    assert os.environ["PATH"] == "/opt/node/bin:/usr/bin"


@pytest.mark.parametrize(
    ("mode", "text", "message"),
    [
        (0o644, "ANTHROPIC_API_KEY=sk-canary\n", "other users can read it"),
        (0o600, "# fine\nsk-canary\n", "line 2: it is not NAME=value"),
    ],
)
def test_an_unusable_schedule_env_is_reported_without_its_content(
    home: Path, mode: int, text: str, message: str, capsys: pytest.CaptureFixture[str]
):
    home.mkdir()
    (home / "schedule.env").write_text(text)
    (home / "schedule.env").chmod(mode)

    assert main(["evaluate", "--scheduled", str(home)]) == 1

    printed = " ".join(capsys.readouterr().err.split())
    for text in (printed, *log(home)):
        assert message in text
        assert "sk-canary" not in text


def test_a_moved_data_folder_is_not_recreated_at_its_old_path(home: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "--scheduled", str(home)]) == 1

    assert "run `chargehand evaluate --install-schedule` again" in " ".join(capsys.readouterr().err.split())
    assert not home.exists()


@pytest.mark.parametrize(("config", "reason"), [("policy = 'none'", "policy"), ("", "nobody")])
def test_the_log_says_why_a_run_could_not_start(home: Path, config: str, reason: str):
    home.mkdir()
    (home / "config.toml").write_text(config)

    assert main(["evaluate", "--scheduled", str(home), "--models", "nobody"]) == 1

    (line,) = log(home)
    assert line.startswith("failed: ")
    assert reason in line


async def test_the_log_says_why_a_started_run_failed(home: Path):
    page = Path("/nowhere/page.html")

    with pytest.raises(BadArgument):
        await run_scheduled(own_services, ARGUMENTS, home, page=page, read_machine=lambda: IDLE)

    assert log(home) == [
        "begun",
        f"failed: --html: {page} cannot be written (No such file or directory). Name another file.",
    ]
