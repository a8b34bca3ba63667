"""A task is taken back whole or not at all, by its user or after a crash."""

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
from chargehand.tools.editing.journal import KEPT_DAYS, Journals
from chargehand.tools.editing.undo import ChangedSince, recover, undo_task
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
    async with own_services() as opened:
        yield opened


def contents(project: Path) -> dict[str, bytes]:
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in project.rglob("*") if path.is_file()}


async def write(services: Services, project: Path, *, status: str = "succeeded", at_step=lambda _: None) -> None:
    """Have a task write its files; a crash on the way is survived here as another process would see it."""
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


async def test_undo_brings_back_the_old_bytes_and_removes_what_is_new(services: Services, project: Path):
    await write(services, project)
    assert contents(project) == AFTER

    answer = await undo_task(services, TASK)

    assert contents(project) == BEFORE
    assert (answer.restored, answer.removed) == (["a.py", "sub/b.py"], ["sub/new.py"])
    row = await services.ledger.task(TASK)
    assert row is not None
    assert row.outcomes == ("rejected",)


async def test_undo_keeps_the_mode_that_a_file_was_given_since(services: Services, project: Path):
    await write(services, project)
    (project / "a.py").chmod(0o750)

    await undo_task(services, TASK)

    assert contents(project) == BEFORE
    assert stat.S_IMODE((project / "a.py").stat().st_mode) == 0o750


async def test_undo_refuses_with_a_diff_when_a_file_has_changed_since_and_touches_none(
    services: Services, project: Path
):
    await write(services, project)
    (project / "sub/b.py").write_bytes(b"B = 2\nC = 3\n")
    found = contents(project)

    with pytest.raises(ChangedSince) as refused:
        await undo_task(services, TASK)

    said = str(refused.value)
    assert "--- sub/b.py as written\n+++ sub/b.py as it is\n" in said
    assert "\n+C = 3" in said
    assert "a.py as written" not in said
    assert contents(project) == found
    row = await services.ledger.task(TASK)
    assert row is not None
    assert row.outcomes == ()


async def test_undo_refuses_when_a_file_is_gone_or_became_a_link(services: Services, project: Path, tmp_path: Path):
    await write(services, project)
    (project / "a.py").unlink()
    (project / "sub/b.py").unlink()
    (tmp_path / "elsewhere").write_bytes(b"B = 2")
    (project / "sub/b.py").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ChangedSince, match=r"(?s)a\.py is gone.*sub/b\.py is gone, or is no longer a file"):
        await undo_task(services, TASK)

    assert (tmp_path / "elsewhere").read_bytes() == b"B = 2"


async def test_undo_works_once_the_users_own_changes_are_taken_back(services: Services, project: Path):
    await write(services, project)
    (project / "a.py").write_bytes(b"A = 9\n")
    with pytest.raises(ChangedSince):
        await undo_task(services, TASK)
    (project / "a.py").write_bytes(AFTER["a.py"])

    await undo_task(services, TASK)

    assert contents(project) == BEFORE


async def test_a_file_that_is_as_before_already_does_not_stop_the_others(services: Services, project: Path):
    await write(services, project)
    (project / "a.py").write_bytes(BEFORE["a.py"])

    answer = await undo_task(services, TASK)

    assert contents(project) == BEFORE
    assert answer.restored == ["sub/b.py"]


async def test_what_cannot_be_undone_says_why(services: Services, project: Path):
    with pytest.raises(BadArgument, match="task nobody wrote no files that are still remembered"):
        await undo_task(services, "nobody")
    with pytest.raises(BadArgument, match="wrote no files"):
        await undo_task(services, "../" + TASK)
    await write(services, project)
    await undo_task(services, TASK)
    with pytest.raises(BadArgument, match="was already undone"):
        await undo_task(services, TASK)


async def test_a_path_to_what_a_task_wrote_is_no_task_id(services: Services, project: Path):
    await write(services, project)

    for path in (f"../{TASK}", f"{TASK}/", f"./{TASK}"):
        with pytest.raises(BadArgument, match="wrote no files that are still remembered"):
            await undo_task(services, path)

    assert contents(project) == AFTER


async def test_a_running_task_is_not_undone(services: Services, project: Path):
    await services.ledger.begin_task(
        NewTask(TASK, "delegation", "x", "code_generation", 1.0, local_only=False, owner=services.owner.id)
    )

    with pytest.raises(BadArgument, match="is still running"):
        await undo_task(services, TASK)


async def test_what_changes_at_the_very_moment_is_left_alone_and_can_be_undone_later(services: Services, project: Path):
    await write(services, project)

    def get_in_the_way(_: str) -> None:
        (project / "sub").rename(project / "hidden")

    meddling = replace(services, journals=Journals(services.journals.folder, get_in_the_way))
    with pytest.raises(ChangedSince, match=r"sub/b\.py changed during the undo and was left alone"):
        await undo_task(meddling, TASK)
    assert contents(project) == {"a.py": BEFORE["a.py"], "hidden/b.py": b"B = 2", "hidden/new.py": b"N = 1\n"}

    (project / "hidden").rename(project / "sub")
    await undo_task(services, TASK)
    assert contents(project) == BEFORE


async def test_a_disk_that_fails_is_named_and_undo_goes_on_once_it_works(
    services: Services, project: Path, monkeypatch: pytest.MonkeyPatch
):
    await write(services, project)

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "broken disk", "a.py")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", broken)  # a disk that fails cannot be had otherwise
        with pytest.raises(CallerError, match=r"undo: a\.py cannot be written \(broken disk\). Fix that"):
            await undo_task(services, TASK)
    await undo_task(services, TASK)

    assert contents(project) == BEFORE


@pytest.mark.parametrize("step", ["undo", "undone"])
async def test_an_undo_that_is_interrupted_is_finished_at_the_next_start(services: Services, project: Path, step: str):
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
async def test_what_a_dead_server_had_half_written_is_taken_back_at_the_next_start_and_said_once(
    services: Services, project: Path, at: str, caplog: pytest.LogCaptureFixture
):
    def crash(step: str) -> None:
        if step.startswith(at):
            raise Crash

    await write(services, project, at_step=crash)
    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == BEFORE
    assert f"Task {TASK} was interrupted while writing" in caplog.text
    assert len(services.journals.take_notices()) == 1
    await recover(services.ledger, services.journals, services.now)
    assert services.journals.take_notices() == []


async def test_what_somebody_changed_between_the_crash_and_the_next_start_is_left_alone(
    services: Services, project: Path
):
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


def take_away(project: Path, *, is_mounted: bool) -> None:
    """Move the project away. is_mounted: as unmounting does, with an empty folder where it was."""
    shutil.move(project, project.parent / "away")
    if is_mounted:
        project.mkdir()


@IS_MOUNTED
async def test_what_is_half_written_in_a_project_that_is_away_is_taken_back_once_it_is_there_again(
    services: Services, project: Path, *, is_mounted: bool
):
    def crash(step: str) -> None:
        if step == "replace sub/b.py":
            raise Crash

    await write(services, project, at_step=crash)
    take_away(project, is_mounted=is_mounted)
    await recover(services.ledger, services.journals, services.now)
    [said] = services.journals.take_notices()
    assert f"could not be undone ({project}: the project folder is missing or empty). Fix that" in said

    (project.parent / "away").rename(project)
    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == BEFORE
    assert "was undone: a.py restored." in services.journals.notices[0]


async def test_a_half_written_file_that_somebody_changed_is_not_said_to_be_unwritten(services: Services, project: Path):
    def crash(step: str) -> None:
        if step == "replace sub/b.py":
            raise Crash

    await write(services, project, at_step=crash)
    (project / "a.py").write_bytes(b"mine\n")
    await recover(services.ledger, services.journals, services.now)

    assert services.journals.notices == [
        f"Task {TASK} was interrupted while writing files. Changed by somebody else meanwhile, and left alone: a.py."
    ]


async def test_what_cannot_be_taken_back_is_forgotten_after_its_days(services: Services, project: Path):
    def crash(step: str) -> None:
        if step == "written":
            raise Crash

    await write(services, project, at_step=crash)
    shutil.move(project, project.parent / "away")
    await recover(services.ledger, services.journals, services.now + dt.timedelta(days=KEPT_DAYS + 1).total_seconds())

    assert services.journals.find(TASK) is None


@IS_MOUNTED
async def test_a_project_that_is_away_is_named_and_can_be_undone_once_it_is_back(
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
    take_away(project, is_mounted=is_mounted)

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


async def test_a_project_that_was_copied_back_is_not_away(services: Services, project: Path):
    await write(services, project)
    shutil.copytree(project, project.parent / "copy")
    shutil.rmtree(project)
    shutil.move(project.parent / "copy", project)

    assert (await undo_task(services, TASK)).restored == ["a.py", "sub/b.py"]


async def test_a_project_that_its_user_emptied_is_not_away(services: Services, project: Path):
    await write(services, project)
    shutil.rmtree(project / "sub")
    (project / "a.py").unlink()

    with pytest.raises(ChangedSince, match=r"a\.py is gone"):
        await undo_task(services, TASK)


async def test_what_was_delivered_or_is_unknown_to_the_ledger_is_not_taken_back_at_a_start(
    services: Services, project: Path
):
    await write(services, project)
    await recover(services.ledger, services.journals, services.now)
    assert contents(project) == AFTER

    (services.journals.folder / TASK).rename(services.journals.folder / ("c" * 32))
    await recover(services.ledger, services.journals, services.now)
    assert contents(project) == AFTER
    assert services.journals.notices == []


async def test_what_is_being_written_elsewhere_is_not_disturbed(services: Services, project: Path):
    await write(services, project, status="running")
    (services.journals.folder / f"new-{TASK}").mkdir()

    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == AFTER
    assert (services.journals.folder / f"new-{TASK}").exists()


async def test_what_a_task_wrote_stays_when_the_ledger_no_longer_knows_the_task(services: Services, project: Path):
    await write(services, project)
    await services.ledger.write(lambda db: db.execute("DELETE FROM tasks"))

    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == AFTER
    assert (await undo_task(services, TASK)).restored == ["a.py", "sub/b.py"]


async def test_what_the_user_does_again_after_an_undo_stays(services: Services, project: Path):
    await write(services, project)
    await undo_task(services, TASK)
    for name, data in AFTER.items():
        (project / name).write_bytes(data)

    await recover(services.ledger, services.journals, services.now)

    assert contents(project) == AFTER
    assert services.journals.notices == []


async def test_journals_go_after_their_days_and_unfinished_ones_at_once(services: Services, project: Path):
    await write(services, project)
    (services.journals.folder / "new-dead").mkdir()

    await recover(services.ledger, services.journals, services.now + dt.timedelta(days=KEPT_DAYS - 1).total_seconds())
    assert services.journals.find(TASK) is not None
    assert not (services.journals.folder / "new-dead").exists()
    await recover(services.ledger, services.journals, services.now + dt.timedelta(days=KEPT_DAYS + 1).total_seconds())

    assert services.journals.find(TASK) is None
    assert contents(project) == AFTER


async def test_a_task_that_is_forgotten_leaves_no_file_behind(services: Services, project: Path):
    await write(services, project)

    services.journals.forget([TASK])

    assert [path.name for path in services.journals.folder.iterdir()] == ["lock"]


async def test_a_damaged_journal_is_said_once_keeps_no_other_from_use_and_is_forgotten_too(
    services: Services, project: Path
):
    await write(services, project)
    damaged = services.journals.folder / "damaged"
    damaged.mkdir()
    (damaged / "plan.json").write_text("{")

    await recover(services.ledger, services.journals, services.now)
    await recover(services.ledger, services.journals, services.now)
    [said] = services.journals.take_notices()
    await undo_task(services, TASK)
    services.journals.forget(None)

    assert f"{damaged / 'plan.json'} cannot be used (it is damaged)" in said
    assert contents(project) == BEFORE
    assert [path.name for path in services.journals.folder.iterdir()] == ["lock"]
