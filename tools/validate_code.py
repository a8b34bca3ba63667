"""`validate_code`: checks code, first by free checks, then by a senior model's review."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from ..memory_store.errors import BudgetExceeded
from ..memory_store.records import TaskRow
from .answers import FindingAnswer, ValidationAnswer
from .asking.consulting import price_needing_consent, within_daily_budget
from .asking.request import NotAffordable
from .cascade.receipt import CheckReceipt, Receipt
from .checking.answer_checks import AnswerChecks, FileGiven
from .checking.languages import language_to_check
from .checking.parse import UNKNOWN
from .checking.result import CheckResult, Finding
from .checking.reviewer import Review, Texts, as_one, review_code, review_request
from .checking.tests_given import TestsGiven, tests_given
from .editing.answer import Answer
from .editing.context import ContextFile
from .editing.file_form import read_text
from .editing.own_diff import DoesNotApply, apply_own_diff, is_own_diff
from .editing.prompt import Prompt
from .errors import OF_ANOTHER_PROJECT, BadArgument, NoModelAvailable, unknown_task
from .guarding.examining import examine_call
from .guarding.outgoing import MustStayLocal
from .guarding.privacy import STAYS_LOCAL
from .routing.deciding import Job, analyze, decide
from .routing.selection import Decision
from .services import Services
from .vocabulary import Depth, Verdict


@dataclass(frozen=True)
class _Piece:
    """One text to validate."""

    path: str | None
    code: str
    language: str | None
    """A language name or a fence's tag. None: detected from the code."""
    file: FileGiven | None = None
    """None: it is not a file below a root."""


async def validate_code(
    services: Services,
    *,
    code: str | None = None,
    files: Sequence[str] = (),
    task_id: str | None = None,
    task: str | None = None,
    language: str | None = None,
    tests: str | None = None,
    depth: Depth | None = None,
    local_only: bool = False,
    is_allowed: bool = False,
) -> ValidationAnswer:
    """The verdict on code given as text, as files, or as the result of an earlier delegation.

    depth: None reviews if a validator is available. A failed free check ends the validation, so that no model is paid
    to confirm it. is_allowed: whether the user has approved a cost above the limit that needs no approval: see
    `price_of_validation`. Raises a CallerError or LedgerError.
    """
    earlier = await _earlier(services, task_id) if task_id is not None else None
    pieces, task = await _pieces(services, code, files, earlier, task, language)
    given = await tests_given(tests, services.roots) if tests else None
    if given is not None and len(pieces) > 1:
        raise BadArgument("tests: they need exactly one piece of code. Give `code`, `task_id`, or one file.")
    checks, findings = await _free_checks(services, pieces, given)
    answer = ValidationAnswer(
        status="done",
        verdict=_verdict(checks),
        findings=[_as_answer(finding) for finding in findings],
        checks_run=[CheckReceipt.of(check) for check in checks],
        notes=[check.note for check in checks if check.note],
    )
    if depth == "static" or answer.verdict == "fail":
        return answer
    plan = await _plan_review(services, pieces, task, earlier, depth, local_only=local_only)
    answer = answer.model_copy(update={"notes": [*answer.notes, *plan.notes]})
    return await _reviewed(services, answer, plan, depth, is_allowed=is_allowed)


async def price_of_validation(
    services: Services,
    *,
    code: str | None = None,
    files: Sequence[str] = (),
    task_id: str | None = None,
    task: str | None = None,
    language: str | None = None,
    depth: Depth | None = None,
    local_only: bool = False,
) -> float | None:
    """The maximum cost in US dollars, if it needs the user's approval, else None. Assumes that no test fails.

    Raises a CallerError or LedgerError.
    """
    if depth == "static" or services.rules.ask_above_usd is None:
        return None
    earlier = await _earlier(services, task_id) if task_id is not None else None
    pieces, task = await _pieces(services, code, files, earlier, task, language)
    checks, _ = await _free_checks(services, pieces, None)
    if _verdict(checks) == "fail":
        return None
    plan = await _plan_review(services, pieces, task, earlier, depth, local_only=local_only)
    if _why_no_review(plan.decision, depth, services) is not None:
        return None
    return price_needing_consent(services, plan.decision.chosen, plan.prompt)


@dataclass(frozen=True)
class _ReviewPlan:
    """The prepared review and the chosen reviewer."""

    texts: Texts
    task: str | None
    language: str | None
    job: Job
    decision: Decision
    is_local: bool
    notes: tuple[str, ...]

    @property
    def prompt(self) -> Prompt:
        return review_request(self.decision.chosen, self.texts, self.task, self.language)


async def _plan_review(
    services: Services,
    pieces: Sequence[_Piece],
    task: str | None,
    earlier: TaskRow | None,
    depth: Depth | None,
    *,
    local_only: bool,
) -> _ReviewPlan:
    examined = await examine_call(
        services,
        {"task": task, "code": pieces[0].code if pieces[0].path is None else None},
        [ContextFile(piece.path, piece.code) for piece in pieces if piece.path is not None],
    )
    is_of_a_local_task = earlier is not None and earlier.local_only
    of_a_local_task = f"{STAYS_LOCAL} the task it comes from does." if is_of_a_local_task else None
    notes = [*examined.notes, *filter(None, [of_a_local_task, services.catalogue.not_in_force])]
    texts = {piece.path: piece.code for piece in pieces}
    job = analyze(task or "Review this code.", "review", (), as_one(texts))
    is_local = local_only or examined.must_stay_local or is_of_a_local_task or services.rules.local_only
    circumstances = await services.survey(local_only=is_local)
    decision = await decide(
        job, services, circumstances, checkpoint="validation", local_only=is_local, within_daily_budget=False
    )
    plan = _ReviewPlan(texts, task, pieces[0].language, job, decision, is_local, tuple(notes))
    if depth != "review":  # without it, only a model as strong as a validator is asked
        return plan
    decision = await within_daily_budget(services, decision, "validation", plan.prompt, job, circumstances)
    return replace(plan, decision=decision)


async def _earlier(services: Services, task_id: str) -> TaskRow:
    row = await services.ledger.task(task_id)
    if row is None or row.kind != "delegation":
        raise unknown_task(task_id)
    if not services.shows(row):
        raise BadArgument(f"task_id: {OF_ANOTHER_PROJECT} Or give `code` or `files`.")
    if row.status == "running":
        raise BadArgument(
            f'task_id: task {task_id} is still running. Call delegate_generation(resume="{task_id}"), which waits for'
            " it, and then validate_code again."
        )
    return row


async def _pieces(
    services: Services,
    code: str | None,
    files: Sequence[str],
    earlier: TaskRow | None,
    task: str | None,
    language: str | None,
) -> tuple[list[_Piece], str | None]:
    if sum((code is not None, bool(files), earlier is not None)) != 1:
        raise BadArgument("code, files, task_id: give exactly one of them.")
    if files:
        return await anyio.to_thread.run_sync(_read, services, files, language), task
    if earlier is not None:
        task = task or earlier.text
        return await anyio.to_thread.run_sync(_delivered, services, earlier, language), task
    if not code or not code.strip():
        raise BadArgument("code: it is empty. Give the code to check.")
    return [_Piece(None, code, language)], task


def _read(services: Services, files: Sequence[str], language: str | None) -> list[_Piece]:
    pieces: list[_Piece] = []
    for path in dict.fromkeys(files):
        text, data = services.roots.read(path, "files"), services.roots.read_bytes(path, "files")
        file = FileGiven(*services.roots.locate(path, "files"), data)
        pieces.append(_Piece(path, text, language or language_to_check(path, text), file))
    return pieces


def _delivered(services: Services, earlier: TaskRow, language: str | None) -> list[_Piece]:
    """The result of a delegation: its code, the files as written, or the files with its diff applied."""
    receipt = None if earlier.receipt is None else Receipt.model_validate_json(earlier.receipt)
    if receipt is not None and receipt.files_changed:
        return _written(services, earlier.id)
    if receipt is None or not receipt.code:
        raise BadArgument(f"task_id: task {earlier.id} delivered no code ({earlier.status}).")
    if not is_own_diff(receipt.code):
        return [_Piece(None, receipt.code, language)]
    try:
        files = apply_own_diff(receipt.code, services.roots)
    except DoesNotApply as error:
        raise BadArgument(
            f"task_id: the diff of task {earlier.id} does not fit {error} as it is now, so its id is not enough."
            " If the files already contain the change, name them in `files`; otherwise delegate the task again."
        ) from error
    pieces: list[_Piece] = []
    for file in files:
        path = file.relative.as_posix()
        given = FileGiven(file.root, file.relative, file.data)
        pieces.append(_Piece(path, file.text, language or language_to_check(path, file.text), given))
    return pieces


def _written(services: Services, task_id: str) -> list[_Piece]:
    """The files of a task as it wrote them."""
    journal = services.journals.find(task_id)
    if journal is None:
        raise BadArgument(f"task_id: what task {task_id} wrote is no longer remembered. Name its files in `files`.")
    pieces: list[_Piece] = []
    for number, entry in enumerate(journal.plan.files):
        data, root = journal.after(number), Path(entry.root)
        file = FileGiven(root, Path(entry.relative), data) if root in services.roots.folders else None
        text = read_text(data).text
        pieces.append(_Piece(entry.path, text, language_to_check(entry.path, text), file))
    return pieces


async def _free_checks(
    services: Services, pieces: Sequence[_Piece], given: TestsGiven | None
) -> tuple[list[CheckResult], list[Finding]]:
    checks: list[CheckResult] = []
    findings: list[Finding] = []
    for piece in pieces:
        runner = AnswerChecks(given, services.executor, file=piece.file)
        for ran in await runner.run(Answer(piece.code, piece.language, is_whole=True)):
            check = replace(ran, note=f"{ran.note}; name it in `language`") if ran == UNKNOWN else ran
            checks.append(check if len(pieces) == 1 else _with_path_in_messages(piece.path, check))
            findings += [_with_path(piece.path, finding) for finding in check.findings]
            if check.outcome == "failed" and not check.findings:
                severity = "warning" if check.missing_module else "error"
                message = check.first_failure or f"{check.name} failed"
                findings.append(Finding(severity, message, check.name, piece.path))
    return _merged_by_name(checks), findings


def _with_path_in_messages(path: str | None, check: CheckResult) -> CheckResult:
    """The check with the file's path prefixed to its messages."""
    failure = f"{path}: {check.first_failure}" if check.first_failure else None
    return replace(check, first_failure=failure, note=f"{path}: {check.note}" if check.note else None)


def _merged_by_name(checks: Sequence[CheckResult]) -> list[CheckResult]:
    """The worst check of each name, with the notes of all checks of that name."""
    found: dict[str, list[CheckResult]] = {}
    for check in checks:
        found.setdefault(check.name, []).append(check)
    ranks = ("passed", "not_run", "failed")
    return [
        replace(
            max(same, key=lambda check: ranks.index(check.outcome)),
            note="; ".join(dict.fromkeys(check.note for check in same if check.note)) or None,
        )
        for same in found.values()
    ]


async def _reviewed(
    services: Services,
    answer: ValidationAnswer,
    plan: _ReviewPlan,
    depth: Depth | None,
    *,
    is_allowed: bool,
) -> ValidationAnswer:
    """The answer with the review's result, or with the reason why there is none."""
    decision, is_local = plan.decision, plan.is_local
    why_not = _why_no_review(decision, depth, services)
    if why_not is not None:
        refused = depth == "review" and is_local
        notes = [*answer.notes, f"review: not run: {why_not}"]
        return answer.model_copy(update={"status": "refused" if refused else "done", "notes": notes})
    try:
        review = await review_code(
            services,
            decision.chosen,
            plan.job,
            task_id=secrets.token_hex(16),
            texts=plan.texts,
            task=plan.task,
            language=plan.language,
            local_only=is_local,
            is_allowed=is_allowed,
        )
    except MustStayLocal as error:
        status = "refused" if depth == "review" else "done"
        return answer.model_copy(update={"status": status, "notes": [*answer.notes, f"review: not run: {error}"]})
    except NoModelAvailable as error:
        return answer.model_copy(update={"notes": [*answer.notes, f"review: not run: {error}"]})
    except (NotAffordable, BudgetExceeded) as error:
        status = "over_budget" if depth == "review" else "done"
        return answer.model_copy(update={"status": status, "notes": [*answer.notes, f"review: not run: {error}"]})
    return answer.model_copy(
        update={
            "verdict": _with_review(answer.checks_run, review),
            "findings": answer.findings + [_as_answer(finding) for finding in review.findings],
            "checks_run": [*answer.checks_run, CheckReceipt.of(review.as_check())],
            "model": decision.chosen.profile.id,
            "output_tokens": review.output_tokens,
            "cost_usd": round(review.cost_usd, 6),
            "notes": [*answer.notes, *decision.warnings, *review.notes],
        }
    )


def _why_no_review(decision: Decision, depth: Depth | None, services: Services) -> str | None:
    """Why no model is asked. Unless a review was requested, only a model as strong as a validator is asked."""
    chosen, ladder = decision.chosen, services.catalogue.rules.ladder
    if not chosen.is_usable:
        return " ".join(decision.warnings) or decision.reason
    wanted = services.catalogue.rules.checkpoints["validation"]
    if depth is None and ladder.index(chosen.role) < ladder.index(wanted):
        return f"no validator is available; depth=review uses {chosen.profile.id}"
    return None


def _verdict(checks: Sequence[CheckResult]) -> Verdict:
    """fail: a check failed for another reason than a package missing in the sandbox. pass: every check ran and passed.

    uncertain: otherwise.
    """
    if any(check.outcome == "failed" and not check.missing_module for check in checks):
        return "fail"
    return "pass" if checks and all(check.outcome == "passed" for check in checks) else "uncertain"


def _with_review(checks: Sequence[CheckReceipt], review: Review) -> Verdict:
    """The verdict after a review, when no free check failed.

    The reviewer's `fail` counts only with a quoted finding. Its `pass` can replace a missing parser, but not tests
    that were given and not run.
    """
    if review.verdict == "fail" and review.findings:
        return "fail"
    untested = any(check.name == "tests" and check.outcome != "passed" for check in checks)
    return "pass" if review.verdict == "pass" and not untested else "uncertain"


def _with_path(path: str | None, finding: Finding) -> Finding:
    return Finding(finding.severity, finding.message, finding.source, path, finding.line, finding.quote)


def _as_answer(finding: Finding) -> FindingAnswer:
    return FindingAnswer(
        severity=finding.severity,
        path=finding.path,
        line=finding.line,
        quote=finding.quote,
        message=finding.message,
        source=finding.source,
    )
