"""Planning a change from an answer: which files would be written, and which not."""

from pathlib import Path

import pytest
from change_scene import answer, workspace_of

from chargehand.tools.editing.change import Change, plan_change
from chargehand.tools.editing.reply_changes import Edit
from chargehand.tools.errors import FileRefused

pytestmark = pytest.mark.anyio


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "src/a.py").write_text("A = 1\nB = 2\n")
    (tmp_path / "src/b.py").write_text("B = 2\n")
    (tmp_path / "tests/test_a.py").write_text("assert 1\n")
    return tmp_path


def new_contents(change: Change) -> dict[str, bytes]:
    return {file.relative.as_posix(): file.after for file in change.files}


async def test_an_answer_without_a_path_replaces_the_target(project: Path):
    change = plan_change(await workspace_of(project, "src/a.py"), answer({"": "A = 3\nB = 2\n"}))

    assert new_contents(change) == {"src/a.py": b"A = 3\nB = 2\n"}
    assert (change.files[0].lines.added, change.files[0].lines.removed) == (1, 1)
    assert (change.failures, change.notes) == ((), ())


async def test_names_that_a_whole_file_no_longer_mentions_are_reported(project: Path):
    workspace = await workspace_of(project, "src/a.py")

    assert plan_change(workspace, answer({"": "A = 3\n"})).notes == ("src/a.py: its new text no longer mentions `B`.",)
    moved = plan_change(workspace, answer({"src/a.py": "A = 3\n", "src/new.py": "B = 2\n"}))
    assert moved.notes == ()


async def test_changes_of_tests_that_are_not_the_target_are_reported(project: Path):
    changes = answer({"src/a.py": "A = 3\nB = 2\n", "tests/test_a.py": "assert 2\n", "tests/test_new.py": "assert 3\n"})
    beside = plan_change(await workspace_of(project, "src/a.py", "tests/test_a.py"), changes)
    asked_for = plan_change(await workspace_of(project, "tests/test_a.py", "src/a.py"), changes)

    note = "tests/test_a.py: its tests were changed too; see that they still ask for as much."
    assert (len(beside.files), beside.notes, asked_for.notes) == (3, (note,), ())


async def test_an_edit_changes_only_its_lines(project: Path):
    edit = Edit("src/a.py", "B = 2\n", "B = 3\nC = 4\n")
    change = plan_change(await workspace_of(project, None, "src/a.py"), answer(edits=(edit,)))

    assert new_contents(change) == {"src/a.py": b"A = 1\nB = 3\nC = 4\n"}


async def test_a_new_file_beside_a_named_file_is_written(project: Path):
    change = plan_change(
        await workspace_of(project, "src/a.py"), answer({"src/a.py": "A = 3\n", "src/new.py": "N = 1\n"})
    )

    assert new_contents(change) == {"src/a.py": b"A = 3\n", "src/new.py": b"N = 1\n"}


async def test_the_target_may_be_a_new_file_in_a_new_folder(project: Path):
    change = plan_change(await workspace_of(project, "lib/deep/new.py"), answer({"": "N = 1\n"}))

    assert new_contents(change) == {"lib/deep/new.py": b"N = 1\n"}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("src/b.py", "already exists and was not named"),
        ("tests/test_new.py", "is not in the folder of a file that was named"),
        ("src/sub/new.py", "is not in the folder of a file that was named"),
        ("src/Makefile", "is build configuration"),
        ("src/.hidden.py", "is a dot-file"),
        ("src/conftest.py", "is run without being asked for"),
        (".git/hooks/pre-commit", "is not in the folder"),
    ],
)
async def test_files_that_the_caller_did_not_name_are_left_out_and_reported(project: Path, path: str, why: str):
    change = plan_change(await workspace_of(project, "src/a.py"), answer({"src/a.py": "A = 3\n", path: "X = 1\n"}))

    assert new_contents(change) == {"src/a.py": b"A = 3\n"}
    assert change.notes[0].startswith(f"Not written: {path} ")
    assert why in change.notes[0]


async def test_an_answer_without_any_writable_file_is_a_failure_that_names_the_target(project: Path):
    change = plan_change(await workspace_of(project, "src/a.py"), answer({"tests/test_new.py": "X = 1\n"}))

    assert new_contents(change) == {}
    assert "Answer with the new text of src/a.py" in change.failures[0]


async def test_an_answer_cannot_change_the_tests_that_check_it(project: Path):
    workspace = await workspace_of(project, "src/a.py", "tests/test_a.py", test_files=["tests/test_a.py"])
    change = plan_change(workspace, answer({"src/a.py": "A = 3\n", "tests/test_a.py": "pass\n"}))

    assert new_contents(change) == {"src/a.py": b"A = 3\n"}
    assert change.notes[0] == "Not written: tests/test_a.py is used to check the answer."


async def test_a_test_file_can_be_the_target(project: Path):
    workspace = await workspace_of(project, "tests/test_a.py", test_files=["tests/test_a.py"])

    assert new_contents(plan_change(workspace, answer({"": "assert 2\n"}))) == {"tests/test_a.py": b"assert 2\n"}


async def test_a_truncated_answer_changes_nothing(project: Path):
    change = plan_change(await workspace_of(project, "src/a.py"), answer({"": "A ="}, is_whole=False))

    assert change.files == ()
    assert "never closed" in change.failures[0]


async def test_an_answer_that_would_empty_a_file_changes_nothing(project: Path):
    change = plan_change(await workspace_of(project, "src/a.py"), answer({"src/a.py": "\n"}))

    assert "nothing of it would be left" in change.failures[0]


async def test_a_character_missing_in_the_files_encoding_is_a_failure_with_its_line(project: Path):
    (project / "src/old.py").write_bytes(b"# caf\xe9\nA = 1\n")
    change = plan_change(await workspace_of(project, "src/old.py"), answer({"": "# caf\u00e9\nA = '\u2192'\n"}))

    assert "src/old.py: line 2: '\u2192' cannot be written in the file's encoding, cp1252" in change.failures[0]


async def test_an_answer_identical_to_the_file_is_neither_a_change_nor_a_failure(project: Path):
    change = plan_change(await workspace_of(project, "src/a.py"), answer({"": "A = 1\nB = 2\n"}))

    assert change == Change()


async def test_a_file_named_by_two_paths_is_changed_once(project: Path):
    workspace = await workspace_of(project, "./src/../src/a.py", "src/a.py")
    change = plan_change(workspace, answer({"": "A = 3\n"}))

    assert [file.path for file in change.files] == ["src/a.py"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("Makefile", r"target: 'Makefile' is build configuration; allow it by \[apply\] allow"),
        (".git/config", "is version control, which is never written"),
        ("../outside.py", "is outside the roots"),
        ("src", "is not a regular file|cannot be opened|is a link"),
        ("blob", "cannot be edited: it is binary"),
        ("locked.py", "is read-only; make it writable"),
    ],
)
async def test_a_target_that_cannot_be_written_is_refused_when_the_workspace_is_read(
    project: Path, target: str, message: str
):
    (project / "blob").write_bytes(b"\0\1")
    (project / "locked.py").write_text("x = 1\n")
    (project / "locked.py").chmod(0o444)

    with pytest.raises(FileRefused, match=message):
        await workspace_of(project, target)


async def test_a_change_as_text_is_a_unified_diff_in_gits_format(project: Path):
    (project / "src/b.py").write_text("B = 2")
    workspace = await workspace_of(project, None, "src/a.py", "src/b.py")
    change = plan_change(workspace, answer({"src/a.py": "A = 1\nB = 3\n", "src/b.py": "B = 4\n"}))

    assert change.as_text() == (
        "--- a/src/a.py\n+++ b/src/a.py\n@@ -1,2 +1,2 @@\n A = 1\n-B = 2\n+B = 3\n"
        "--- a/src/b.py\n+++ b/src/b.py\n@@ -1 +1 @@\n-B = 2\n\\ No newline at end of file\n"
        "+B = 4\n\\ No newline at end of file\n"
    )
