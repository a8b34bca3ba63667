"""Writing all files of a task or none, whatever fails at any step, and rolling back."""

import errno
import os
import stat
from pathlib import Path

import pytest
from change_scene import change_of, tree

from chargehand.tools.editing import writing
from chargehand.tools.editing.journal import Journals
from chargehand.tools.editing.writing import NotApplied, apply_change, roll_back

pytestmark = pytest.mark.anyio

TASK = "a" * 32
NOW = 1_780_000_000.0

NEW = {
    "src/a.py": "A = 2\n",
    "src/b.py": "B = 2\nC = 3\n",
    "src/new.py": "N = 1\n",
    "lib/deep/made.py": "M = 1\n",
}

STEPS = [
    "journal", "folders",
    *(f"temporary {path}" for path in NEW), *(f"replace {path}" for path in NEW), *(f"sync {path}" for path in NEW),
    "written",
]  # fmt: skip


class Crash(BaseException):
    """The process ends here; no handler of the product catches this."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src/a.py").write_bytes(b"A = 1\r\n")
    (folder / "src/b.py").write_bytes(b"B = 1")
    (folder / "src/b.py").chmod(0o640)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home" / "undo"


async def change_in(project: Path):
    first, *others = NEW
    files = {path: NEW[path] for path in ("lib/deep/made.py", first, *others[:2])}
    return await change_of(project, files, "src/a.py", "src/b.py")


async def test_files_get_their_new_text_and_keep_their_line_endings_and_mode(project: Path, home: Path):
    apply_change(await change_in(project), TASK, Journals(home), NOW)

    assert (project / "src/a.py").read_bytes() == b"A = 2\r\n"
    assert (project / "src/b.py").read_bytes() == b"B = 2\nC = 3"
    assert stat.S_IMODE((project / "src/b.py").stat().st_mode) == 0o640
    assert (project / "src/new.py").read_bytes() == b"N = 1\n"
    assert stat.S_IMODE((project / "src/new.py").stat().st_mode) & 0o111 == 0
    assert (project / "lib/deep/made.py").exists()
    assert not [name for name in tree(project) if "chargehand" in name]


async def test_the_journal_is_readable_only_by_its_user(project: Path, home: Path):
    apply_change(await change_in(project), TASK, Journals(home), NOW)

    modes = {path: stat.S_IMODE(mode) for path, (mode, _) in tree(home.parent).items()}
    assert len(modes) > 5
    assert {path for path, mode in modes.items() if mode & 0o077} == set()


async def test_rolling_back_restores_every_byte_and_mode(project: Path, home: Path):
    before = tree(project)
    journals = Journals(home)
    apply_change(await change_in(project), TASK, journals, NOW)
    journal = journals.find(TASK)
    assert journal is not None

    result = roll_back(journal)

    assert tree(project) == before
    assert set(result.restored) == set(NEW)
    assert roll_back(journal).restored == ()


@pytest.mark.parametrize("at", STEPS)
async def test_a_crash_at_any_step_can_be_rolled_back_completely(project: Path, home: Path, at: str):
    before = tree(project)
    change = await change_in(project)

    def crash(step: str) -> None:
        if step == at:
            raise Crash

    with pytest.raises(Crash):
        apply_change(change, TASK, Journals(home, at_step=crash), NOW)
    journal = Journals(home).find(TASK)
    if journal is not None:
        roll_back(journal)

    assert (journal is None) == (at == "journal")
    assert tree(project) == before


@pytest.mark.parametrize("at", STEPS[:-1])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES, errno.EROFS])
async def test_an_error_at_any_step_leaves_all_files_unchanged(project: Path, home: Path, at: str, error: int):
    before = tree(project)
    change = await change_in(project)

    def fail(step: str) -> None:
        if step == at:
            raise OSError(error, os.strerror(error), "the file")

    with pytest.raises(NotApplied, match=r"^Nothing was written: .*the file cannot be written.*then call again\.$"):
        apply_change(change, TASK, Journals(home, at_step=fail), NOW)

    assert tree(project) == before
    assert Journals(home).find(TASK) is None


@pytest.mark.parametrize("at", [step for step in STEPS if step.startswith(("temporary", "replace"))])
async def test_a_file_changed_by_somebody_else_while_writing_is_not_overwritten(project: Path, home: Path, at: str):
    change = await change_in(project)
    path = project / at.split(" ")[1]
    before = tree(project)

    def interfere(step: str) -> None:
        if step == at:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("somebody's work\n")

    with pytest.raises(NotApplied, match="was changed by somebody else since it was read"):
        apply_change(change, TASK, Journals(home, at_step=interfere), NOW)

    assert path.read_text() == "somebody's work\n"
    after = tree(project)
    for name in (path.relative_to(project).as_posix(), "lib", "lib/deep"):
        before.pop(name, None)
        after.pop(name, None)
    assert after == before


async def test_the_journal_of_a_failed_change_is_kept_if_a_file_could_not_be_restored(project: Path, home: Path):
    change = await change_in(project)

    def interfere_and_fail(step: str) -> None:
        if step == "replace src/b.py":
            (project / "src/a.py").write_text("theirs")
            raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(NotApplied, match="The disk is full"):
        apply_change(change, TASK, Journals(home, interfere_and_fail), NOW)

    assert (project / "src/a.py").read_text() == "theirs"
    journal = Journals(home).find(TASK)
    assert journal is not None
    assert roll_back(journal).left == ("src/a.py",)


async def test_a_folder_that_replaced_a_new_file_is_left_alone_and_reported(project: Path, home: Path):
    apply_change(await change_in(project), TASK, Journals(home), NOW)
    (project / "src/new.py").unlink()
    (project / "src/new.py").mkdir()
    journal = Journals(home).find(TASK)
    assert journal is not None

    result = roll_back(journal)

    assert result.left == ("src/new.py",)
    assert (project / "src/new.py").is_dir()


async def test_nothing_is_written_if_a_file_was_changed_since_it_was_read(project: Path, home: Path):
    change = await change_in(project)
    (project / "src/b.py").write_text("newer\n")
    before = tree(project)

    with pytest.raises(NotApplied, match=r"src/b\.py was changed by somebody else"):
        apply_change(change, TASK, Journals(home), NOW)

    assert tree(project) == before


async def test_a_file_whose_folder_vanished_is_reported_as_changed(project: Path, home: Path):
    change = await change_of(project, {"src/a.py": "A = 2\n"}, "src/a.py")
    (project / "src").rename(project / "gone")

    with pytest.raises(NotApplied, match=r"src/a\.py was changed by somebody else"):
        apply_change(change, TASK, Journals(home), NOW)


async def test_a_symlink_that_replaced_a_folder_is_not_followed(project: Path, home: Path, tmp_path: Path):
    change = await change_of(project, {"src/a.py": "A = 2\n"}, "src/a.py")
    outside = tmp_path / "outside"
    (project / "src").rename(outside)
    (project / "src").symlink_to(outside)
    before = tree(outside)

    with pytest.raises(NotApplied, match=r"src.*name the real path"):
        apply_change(change, TASK, Journals(home), NOW)

    assert tree(outside) == before


async def test_a_symlink_that_replaced_a_file_is_not_followed(project: Path, home: Path, tmp_path: Path):
    change = await change_of(project, {"src/a.py": "A = 2\n"}, "src/a.py")
    (tmp_path / "elsewhere.py").write_bytes(b"A = 1\r\n")
    (project / "src/a.py").unlink()
    (project / "src/a.py").symlink_to(tmp_path / "elsewhere.py")

    with pytest.raises(NotApplied, match="name the real path"):
        apply_change(change, TASK, Journals(home), NOW)

    assert (tmp_path / "elsewhere.py").read_bytes() == b"A = 1\r\n"


async def test_a_file_made_read_only_since_it_was_read_is_not_replaced(project: Path, home: Path):
    change = await change_of(project, {"src/a.py": "A = 2\n"}, "src/a.py")
    (project / "src/a.py").chmod(0o444)

    with pytest.raises(NotApplied, match=r"src/a\.py is read-only. Make it writable"):
        apply_change(change, TASK, Journals(home), NOW)

    assert (project / "src/a.py").read_bytes() == b"A = 1\r\n"


async def test_a_change_that_cannot_be_restored_stays_in_the_journal_and_undo_is_suggested(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
):
    change = await change_in(project)

    def fail(step: str) -> None:
        if step == "replace src/b.py":
            raise OSError(errno.EIO, "broken disk")

    def fail_to_restore(*_: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(writing, "_restore", fail_to_restore)  # the only way to simulate a disk that stays broken
    with pytest.raises(NotApplied, match=f"could not be restored either.*chargehand undo {TASK}"):
        apply_change(change, TASK, Journals(home, at_step=fail), NOW)

    assert Journals(home).find(TASK) is not None


async def test_on_a_read_only_disk_nothing_is_written_and_nothing_is_said_to_need_restoring(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(name: str, *_: object, **__: object) -> None:
        if not str(name).startswith(str(home)):
            raise OSError(errno.EROFS, "Read-only file system", str(name))

    def fail(step: str) -> None:
        if step.startswith("temporary"):
            raise OSError(errno.EROFS, "Read-only file system")

    change = await change_of(project, {"src/a.py": "A = 2\n"}, "src/a.py")
    monkeypatch.setattr(os, "unlink", refuse)  # as Linux does, for names that do not exist too
    with pytest.raises(NotApplied) as caught:
        apply_change(change, TASK, Journals(home, at_step=fail), NOW)

    assert "The disk is read-only: mount it writable" in str(caught.value)
    assert "restored" not in str(caught.value)


async def test_a_new_file_is_written_on_a_file_system_without_hard_links(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)  # FAT and some network disks
    apply_change(await change_in(project), TASK, Journals(home), NOW)

    assert (project / "src/new.py").read_bytes() == b"N = 1\n"
