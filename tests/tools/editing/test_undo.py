"""Undoing the files of a task, by its user or after a crash: all of them or none."""

import datetime as dt
import errno
import os
import shutil
import stat
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.memory_store.records import Finish, NewTask
from chargehand.server.cli import own_services
from chargehand.tools.cascade.elsewhere import receipt_of
from chargehand.tools.editing.change import Change, FileWrite
from chargehand.tools.editing.journal import KEPT_DAYS, Journals, JournalUnusable
from chargehand.tools.editing.undo import DIFF_CHARACTERS_AT_MOST, ChangedSince, UndoAnswer, recover, undo_task
from chargehand.tools.editing.writing import apply_change
from chargehand.tools.errors import BadArgument, CallerError
from chargehand.tools.services import Services

pytestmark = pytest.mark.anyio

TASK = "b" * 32
BEFORE = {"a.py": b"A = 1\r\n", "sub/b.py": b"B = 1"}
AFTER = {"a.py": b"A = 2\r\n", "sub/b.py": b"B = 2", "sub/new.py": b"N = 1\n"}


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    for name, data in BEFORE.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
async def services(anyio_backend: str) -> AsyncGenerator[Services]:
    async with own_services() as open_services:
        yield open_services


def contents(project: Path) -> dict[str, bytes]:
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in project.rglob("*") if path.is_file()}


async def write(services: Services, project: Path, *, status: str = "succeeded", at_step=lambda _: None) -> None:
    """Let a task write its files. A Crash in `at_step` ends the writing, as if the process had died."""
    await services.ledger.begin_task(
        NewTask(TASK, "delegation", "Set A to 2", "code_generation", 1.0, local_only=False, owner=services.owner.id)
    )
    files = tuple(
        FileWrite(name, (project, Path(name)), BEFORE.get(name), data, "", data.decode())
        for name, data in AFTER.items()
    )
    try:
        apply_change(Change(files), TASK, Journals(services.journals.folder, at_step), services.now)
    except Crash:
        status = "failed"
    await services.ledger.finish_task(TASK, Finish(status, "claude-haiku-5-5", (), None))


async def test_undo_restores_the_old_bytes_and_removes_new_files(services: Services, project: Path):
    await write(services, project)
    assert contents(project) == AFTER

    answer = await undo_task(services, TASK)

    assert contents(project) == BEFORE
    assert (answer.restored, answer.removed) == (["a.py", "sub/b.py"], ["sub/new.py"])
    row = await services.ledger.task(TASK)
    assert row is not None
    assert row.outcomes == ("rejected",)


async def test_undo_keeps_a_file_mode_that_was_changed_since(services: Services, project: Path):
    await write(services, project)
    (project / "a.py").chmod(0o750)

    await undo_task(services, TASK)

    assert contents(project) == BEFORE
    assert stat.S_IMODE((project / "a.py").stat().st_mode) == 0o750


async def test_undo_is_refused_with_a_diff_when_a_file_has_changed_and_changes_nothing(
    services: Services, project: Path
):
    await write(services, project)
    (project / "sub/b.py").write_bytes(b"B = 2\nC = 3\n")
    contents_before = contents(project)

    with pytest.raises(ChangedSince) as refused:
        await undo_task(services, TASK)

    message = str(refused.value)
    assert "--- sub/b.py as written\n+++ sub/b.py as it is\n" in message
    assert "\n+C = 3" in message
    assert "a.py as written" not in message
    assert contents(project) == contents_before
    row = await services.ledger.task(TASK)
    assert row is not None
    assert row.outcomes == ()


async def test_undo_is_refused_when_a_file_is_gone_or_became_a_symlink(
    services: Services, project: Path, tmp_path: Path
):
    await write(services, project)
    (project / "a.py").unlink()
    (project / "sub/b.py").unlink()
    (tmp_path / "elsewhere").write_bytes(b"B = 2")
    (project / "sub/b.py").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ChangedSince, match=r"(?s)a\.py is gone.*sub/b\.py is gone, or is no longer a file"):
        await undo_task(services, TASK)

    assert (tmp_path / "elsewhere").read_bytes() == b"B = 2"


@pytest.mark.parametrize(
    ("found", "ending"),
    [
        (b"\0", "a.py has changed, and is not text."),
        (b"A = 2\n", "a.py differs in bytes that do not show."),
        (b"#" * 100_000, "characters more]"),
    ],
)
async def test_the_refusal_says_of_what_kind_a_change_is_and_stays_short(
    services: Services, project: Path, found: bytes, ending: str
):
    await write(services, project)
    (project / "a.py").write_bytes(found)

    with pytest.raises(ChangedSince) as refused:
        await undo_task(services, TASK)

    assert ending in str(refused.value)
    assert len(str(refused.value)) < DIFF_CHARACTERS_AT_MOST + 1_000


async def test_undo_says_what_it_restored_and_removed_or_that_nothing_was_left_to_do(services: Services, project: Path):
    await write(services, project)
    undone = await undo_task(services, TASK)

    assert undone.as_text() == (f"Task {TASK} was undone: restored a.py, restored sub/b.py, removed sub/new.py.")
    nothing = UndoAnswer(task_id=TASK, restored=[], removed=[])
    assert nothing.as_text() == f"Task {TASK} was undone: everything was already as before."


async def test_undo_works_for_a_task_that_the_ledger_has_lost(services: Services, project: Path):
    file = FileWrite("a.py", (project, Path("a.py")), BEFORE["a.py"], AFTER["a.py"], "", "A = 2\n")
    apply_change(Change((file,)), TASK, services.journals, services.now)

    await undo_task(services, TASK)

    assert contents(project) == BEFORE


async def test_undo_works_after_the_users_own_changes_are_reverted(services: Services, project: Path):
    await write(services, project)
    (project / "a.py").write_bytes(b"A = 9\n")
    with pytest.raises(ChangedSince):
        await undo_task(services, TASK)
    (project / "a.py").write_bytes(AFTER["a.py"])

    await undo_task(services, TASK)

    assert contents(project) == BEFORE


async def test_a_file_that_already_has_its_old_content_does_not_block_undo(services: Services, project: Path):
    await write(services, project)
    (project / "a.py").write_bytes(BEFORE["a.py"])

    answer = await undo_task(services, TASK)

    assert contents(project) == BEFORE
    assert answer.restored == ["sub/b.py"]


async def test_undo_of_an_unknown_or_already_undone_task_states_the_reason(services: Services, project: Path):
    with pytest.raises(BadArgument, match="task nobody wrote no files that are still remembered"):
        await undo_task(services, "nobody")
    with pytest.raises(BadArgument, match="wrote no files"):
        await undo_task(services, "../" + TASK)
    await write(services, project)
    await undo_task(services, TASK)
    with pytest.raises(BadArgument, match="was already undone"):
        await undo_task(services, TASK)


async def test_a_path_is_not_accepted_as_a_task_id(services: Services, project: Path):
    await write(services, project)

    for path in (f"../{TASK}", f"{TASK}/", f"./{TASK}"):
        with pytest.raises(BadArgument, match="wrote no files that are still remembered"):
            await undo_task(services, path)

    assert contents(project) == AFTER


async def test_undo_of_a_running_task_is_refused(services: Services, project: Path):
    await services.ledger.begin_task(
        NewTask(TASK, "delegation", "x", "code_generation", 1.0, local_only=False, owner=services.owner.id)
    )

    with pytest.raises(BadArgument, match="is still running"):
        await undo_task(services, TASK)


async def test_a_file_changed_during_the_undo_is_left_alone_and_can_be_undone_later(services: Services, project: Path):
    await write(services, project)

    def move_folder_away(_: str) -> None:
        (project / "sub").rename(project / "hidden")

    interfering = replace(services, journals=Journals(services.journals.folder, move_folder_away))
    with pytest.raises(ChangedSince, match=r"sub/b\.py changed during the undo and was left alone"):
        await undo_task(interfering, TASK)
    assert contents(project) == {"a.py": BEFORE["a.py"], "hidden/b.py": b"B = 2", "hidden/new.py": b"N = 1\n"}

    (project / "hidden").rename(project / "sub")
    await undo_task(services, TASK)
    assert contents(project) == BEFORE


async def test_a_disk_error_is_reported_and_undo_can_be_repeated(
    services: Services, project: Path, monkeypatch: pytest.MonkeyPatch
):
    await write(services, project)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "broken disk", "a.py")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)  # the only way to simulate a failing disk
        with pytest.raises(CallerError, match=r"undo: a\.py cannot be written \(broken disk\). Fix that"):
            await undo_task(services, TASK)
    await undo_task(services, TASK)

    assert contents(project) == BEFORE


@pytest.mark.parametrize("step", ["undo", "undone"])
async def test_an_interrupted_undo_is_completed_at_the_next_start(services: Services, project: Path, step: str):
    await write(services, project)

    def crash(at: str) -> None:
        if at == step:
            raise Crash

    with pytest.raises(Crash):
        await undo_task(replace(services, journals=Journals(services.journals.folder, crash)), TASK)
    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == BEFORE
    assert any(TASK in notices for notices in services.journals.notices)


@pytest.mark.parametrize(
    "at", ["temporary", "replace a.py", "replace sub/b.py", "replace sub/new.py", "sync", "written"]
)
async def test_half_written_files_of_a_dead_server_are_restored_at_the_next_start_and_reported_once(
    services: Services, project: Path, at: str, caplog: pytest.LogCaptureFixture
):
    def crash(step: str) -> None:
        if step.startswith(at):
            raise Crash

    await write(services, project, at_step=crash)
    half_written = await receipt_of(services, TASK)
    await recover(services.ledger, services.journals, services.now)
    restored = await receipt_of(services, TASK)

    assert contents(project) == BEFORE
    assert f"Task {TASK} was interrupted while writing" in caplog.text
    assert len(services.journals.take_notices()) == 1
    assert half_written.notes[1:] == [
        f"Files may be half written: a.py, sub/b.py, sub/new.py. `chargehand undo {TASK}` restores them."
    ]
    assert restored.notes[1:] == ["Files are as they were before: a.py, sub/b.py, sub/new.py."]
    await recover(services.ledger, services.journals, services.now)
    assert services.journals.take_notices() == []


async def test_files_changed_between_a_crash_and_the_next_start_are_left_alone(services: Services, project: Path):
    def crash(step: str) -> None:
        if step == "written":
            raise Crash

    await write(services, project, at_step=crash)
    (project / "a.py").write_bytes(b"mine\n")
    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == {**BEFORE, "a.py": b"mine\n"}
    assert "left alone: a.py" in services.journals.notices[0]
    assert (await receipt_of(services, TASK)).notes[1:] == [
        "Files are as they were before: sub/b.py, sub/new.py.",
        "Changed by somebody else meanwhile, and left alone: a.py.",
    ]


IS_MOUNTED = pytest.mark.parametrize("is_mounted", [False, True], ids=["moved", "unmounted"])


def move_away(project: Path, *, is_mounted: bool) -> None:
    """Move the project away. is_mounted: leave an empty folder in its place, as unmounting does."""
    shutil.move(project, project.parent / "away")
    if is_mounted:
        project.mkdir()


@IS_MOUNTED
async def test_half_written_files_in_a_missing_project_are_restored_once_it_is_back(
    services: Services, project: Path, *, is_mounted: bool
):
    def crash(step: str) -> None:
        if step == "replace sub/b.py":
            raise Crash

    await write(services, project, at_step=crash)
    move_away(project, is_mounted=is_mounted)
    await recover(services.ledger, services.journals, services.now)
    [message] = services.journals.take_notices()
    assert f"could not be undone ({project}: the project folder is missing or empty). Fix that" in message

    (project.parent / "away").rename(project)
    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == BEFORE
    assert "was undone: a.py restored." in services.journals.notices[0]


async def test_a_half_written_file_that_was_changed_is_reported_as_left_alone_not_as_restored(
    services: Services, project: Path
):
    def crash(step: str) -> None:
        if step == "replace sub/b.py":
            raise Crash

    await write(services, project, at_step=crash)
    (project / "a.py").write_bytes(b"mine\n")
    await recover(services.ledger, services.journals, services.now)

    assert services.journals.notices == [
        f"Task {TASK} was interrupted while writing files. Changed by somebody else meanwhile, and left alone: a.py."
    ]


async def test_a_journal_that_cannot_be_undone_is_deleted_after_its_retention(services: Services, project: Path):
    def crash(step: str) -> None:
        if step == "written":
            raise Crash

    await write(services, project, at_step=crash)
    shutil.move(project, project.parent / "away")
    await recover(services.ledger, services.journals, services.now + dt.timedelta(days=KEPT_DAYS + 1).total_seconds())

    assert services.journals.find(TASK) is None


@IS_MOUNTED
async def test_a_missing_project_is_reported_and_can_be_undone_once_it_is_back(
    services: Services, tmp_path: Path, *, is_mounted: bool
):
    project = tmp_path / "project"
    project.mkdir()
    await services.ledger.begin_task(
        NewTask(TASK, "delegation", "Make new.py", "code_generation", 1.0, local_only=False, owner=services.owner.id)
    )
    apply_change(Change((FileWrite("new.py", (project, Path("new.py")), None, b"N = 1\n", "", "N = 1\n"),)), TASK,
                 services.journals, services.now)  # fmt: skip
    await services.ledger.finish_task(TASK, Finish("succeeded", "claude-haiku-5-5", (), None))
    move_away(project, is_mounted=is_mounted)

    with pytest.raises(
        CallerError, match=f"the project folder {project} is missing or empty. Mount it or move it back"
    ):
        await undo_task(services, TASK)
    row = await services.ledger.task(TASK)
    assert row is not None
    assert row.outcomes == ()

    (tmp_path / "away").rename(project)
    answer = await undo_task(services, TASK)
    assert answer.removed == ["new.py"]
    assert contents(project) == {}


async def test_a_project_that_was_replaced_by_a_copy_can_be_undone(services: Services, project: Path):
    await write(services, project)
    shutil.copytree(project, project.parent / "copy")
    shutil.rmtree(project)
    shutil.move(project.parent / "copy", project)

    assert (await undo_task(services, TASK)).restored == ["a.py", "sub/b.py"]


async def test_a_project_emptied_by_its_user_does_not_count_as_missing(services: Services, project: Path):
    await write(services, project)
    shutil.rmtree(project / "sub")
    (project / "a.py").unlink()

    with pytest.raises(ChangedSince, match=r"a\.py is gone"):
        await undo_task(services, TASK)


async def test_recovery_leaves_succeeded_and_unknown_tasks_alone(services: Services, project: Path):
    await write(services, project)
    await recover(services.ledger, services.journals, services.now)
    assert contents(project) == AFTER

    (services.journals.folder / TASK).rename(services.journals.folder / ("c" * 32))
    await recover(services.ledger, services.journals, services.now)
    assert contents(project) == AFTER
    assert services.journals.notices == []


async def test_recovery_leaves_running_tasks_alone(services: Services, project: Path):
    await write(services, project, status="running")
    (services.journals.folder / f"new-{TASK}").mkdir()

    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == AFTER
    assert (services.journals.folder / f"new-{TASK}").exists()


async def test_files_of_a_task_deleted_from_the_ledger_stay_and_can_be_undone(services: Services, project: Path):
    await write(services, project)
    await services.ledger.write(lambda db: db.execute("DELETE FROM tasks"))

    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == AFTER
    assert (await undo_task(services, TASK)).restored == ["a.py", "sub/b.py"]


async def test_changes_the_user_repeats_after_an_undo_are_left_alone(services: Services, project: Path):
    await write(services, project)
    await undo_task(services, TASK)
    for name, data in AFTER.items():
        (project / name).write_bytes(data)

    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == AFTER
    assert services.journals.notices == []


async def test_journals_are_deleted_after_their_retention_and_unfinished_ones_immediately(
    services: Services, project: Path
):
    await write(services, project)
    (services.journals.folder / "new-dead").mkdir()

    await recover(services.ledger, services.journals, services.now + dt.timedelta(days=KEPT_DAYS - 1).total_seconds())
    assert services.journals.find(TASK) is not None
    assert not (services.journals.folder / "new-dead").exists()
    await recover(services.ledger, services.journals, services.now + dt.timedelta(days=KEPT_DAYS + 1).total_seconds())

    assert services.journals.find(TASK) is None
    assert contents(project) == AFTER


async def test_forgetting_a_task_deletes_its_journal(services: Services, project: Path):
    await write(services, project)

    services.journals.forget([TASK])

    assert [path.name for path in services.journals.folder.iterdir()] == ["lock"]


async def test_a_damaged_journal_is_reported_once_does_not_block_others_and_can_be_forgotten(
    services: Services, project: Path
):
    await write(services, project)
    damaged = services.journals.folder / "damaged"
    damaged.mkdir()
    (damaged / "plan.json").write_text("{")

    await recover(services.ledger, services.journals, services.now)
    await recover(services.ledger, services.journals, services.now)
    [message] = services.journals.take_notices()
    await undo_task(services, TASK)
    services.journals.forget(None)

    assert f"{damaged / 'plan.json'} cannot be used (it is damaged)" in message
    assert contents(project) == BEFORE
    assert [path.name for path in services.journals.folder.iterdir()] == ["lock"]


async def test_an_id_that_cannot_be_a_file_name_is_one_that_wrote_no_files(services: Services):
    for task_id in ("a" * 300, f"../{TASK}"):
        with pytest.raises(CallerError, match="wrote no files that are still remembered"):
            await undo_task(services, task_id)


async def test_a_folder_of_journals_that_is_a_file_is_refused_and_noted_once(services: Services):
    folder = services.journals.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("mine")

    with pytest.raises(JournalUnusable, match="it is not a folder"):
        services.journals.find(TASK)
    assert services.journals.all() == services.journals.all() == []
    (notice,) = services.journals.notices
    assert str(folder) in notice
