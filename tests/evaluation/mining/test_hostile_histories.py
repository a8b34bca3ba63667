"""Hostile repositories, which try to run commands, write outside their folder or exhaust memory."""

from pathlib import Path

import pytest
from histories import ROUNDED, ROUNDED_TESTS, ROUNDING, TOTAL, TOTAL_TESTS, GitHistory, TreeEntry, shop_history

from chargehand.evaluation.mining.errors import HistoryUnreadable
from chargehand.evaluation.mining.mining import Extent, mine
from chargehand.evaluation.suite.proof import unpack
from chargehand.tools.checking.sandbox_search import find_sandbox

pytestmark = pytest.mark.anyio


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_mining_runs_no_command_from_a_repositorys_configuration_and_changes_no_file_of_it(tmp_path: Path):
    history = shop_history(tmp_path / "shop")
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for name in (
        "core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "core.askPass", "core.gitProxy",
        "diff.external", "diff.trap.textconv", "diff.trap.command", "filter.trap.clean", "filter.trap.smudge",
        "filter.trap.process", "gpg.program", "credential.helper", "alias.rev-list", "alias.diff-tree",
    ):  # fmt: skip
        history.git("config", name, f"!{trap}" if name.startswith("alias") else str(trap))
    history.git("config", "core.hooksPath", str(tmp_path))
    history.git("config", "log.showSignature", "true")
    history.git("config", "remote.origin.url", f"ext::{trap}")
    history.git("config", "remote.origin.promisor", "true")
    (history.folder / ".gitattributes").write_text("* diff=trap filter=trap\n")
    (history.folder / ".git" / "info").mkdir(exist_ok=True)
    (history.folder / ".git" / "info" / "attributes").write_text("* diff=trap filter=trap\n")
    before = {path: path.stat().st_mtime_ns for path in sorted(history.folder.rglob("*"))}

    mined = await mine(history.folder, Extent(), find_sandbox)

    assert len(mined.tasks) == 1
    assert not (tmp_path / "sprung").exists()
    assert {path: path.stat().st_mtime_ns for path in sorted(history.folder.rglob("*"))} == before


async def test_git_variables_of_the_environment_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    history = shop_history(tmp_path / "shop")
    GitHistory.at(tmp_path / "other").commit("Another history altogether", {"a.py": TOTAL})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"touch {tmp_path}/sprung")

    mined = await mine(history.folder, Extent(), find_sandbox)

    assert mined.head == history.head
    assert names_in(tmp_path) == ["other", "shop"]


async def test_a_task_leaves_out_unsafe_paths_links_submodules_and_files_that_are_not_small_utf8_text(tmp_path: Path):
    history = GitHistory.at(tmp_path / "shop")
    link = TreeEntry("120000", history.blob("/etc/passwd"))
    unusable = {
        "../outside.py": "x = 1\n",
        "/absolute.py": "x = 1\n",
        ".git/hooks/post-checkout": "#!/bin/sh\n",
        ".GIT/config": "[core]\n",
        "a\\..\\b.py": "x = 1\n",
        "c:d.py": "x = 1\n",
        "line\nbreak.py": "x = 1\n",
        "not\udcffutf8.py": "x = 1\n",
        "shop/linked.py": link,
        "shop/module": TreeEntry("160000", "1" * 40),
        "shop/data.bin": b"\0\1\2",
        "shop/latin.txt": "café".encode("latin-1"),
        "shop/huge.txt": "x" * 3_000_000,
    }
    history.commit(
        "Sell things", {**unusable, "shop/__init__.py": "", "shop/total.py": TOTAL, "test_total.py": TOTAL_TESTS}
    )
    history.commit(ROUNDING, {"shop/total.py": ROUNDED, "test_total.py": ROUNDED_TESTS, "../again.txt": "x"})

    (task,) = (await mine(history.folder, Extent(), find_sandbox)).tasks

    assert sorted(task.files) == ["shop/__init__.py", "shop/total.py", "test_total.py"]
    unpack(task, tmp_path / "unpacked")
    assert names_in(tmp_path) == ["shop", "unpacked"]


async def test_a_commit_that_changes_unsafe_paths_becomes_no_task(tmp_path: Path):
    history = GitHistory.at(tmp_path / "shop")
    history.commit("Sell things", {"shop/total.py": TOTAL})
    history.commit("Add a strange module to it", {"--config=x.py": TOTAL, "test_total.py": TOTAL_TESTS})
    history.commit("Add one above the others", {"../up.py": TOTAL, "test_total.py": ROUNDED_TESTS})

    mined = await mine(history.folder, Extent(), find_sandbox)

    assert mined.reasons["names that cannot be given"] == 2


async def test_files_that_collide_with_a_folder_or_differ_only_by_case_are_left_out(tmp_path: Path):
    history = GitHistory.at(tmp_path / "shop")
    history.commit(
        "Sell things",
        {
            "shop/__init__.py": "",
            "shop/total.py": TOTAL,
            "test_total.py": "",
            "Data": "a",
            "data/a.txt": "b",
            "README": "",
            "readme": "",
        },
    )
    history.commit(ROUNDING, {"shop/total.py": ROUNDED, "test_total.py": ROUNDED_TESTS})

    (task,) = (await mine(history.folder, Extent(), find_sandbox)).tasks

    assert sorted(task.files) == ["README", "data/a.txt", "shop/__init__.py", "shop/total.py", "test_total.py"]


async def test_git_replace_does_not_change_the_commit_that_is_read(tmp_path: Path):
    history = shop_history(tmp_path / "shop")
    original_head = history.head or ""
    replacement = history.commit("Something else in its place", {"shop/total.py": TOTAL})
    history.git("update-ref", "refs/heads/main", original_head)
    history.git("replace", original_head, replacement)

    mined = await mine(history.folder, Extent(), find_sandbox)

    assert mined.subjects == {original_head[:12]: "Round totals to cents"}


async def test_a_tree_bomb_is_refused_when_git_exceeds_its_memory_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("chargehand.evaluation.mining.git.MEMORY_MB_AT_MOST", 100)
    history = shop_history(tmp_path / "shop")
    tree = history.tree({"f": "x"})
    for _ in range(12):
        tree = history.tree({f"d{number}": TreeEntry("40000", tree) for number in range(10)})
    history.commit("Add much of nothing to it", {"bomb": TreeEntry("40000", tree)})

    with pytest.raises(HistoryUnreadable, match="git diff-tree failed"):
        await mine(history.folder, Extent(), find_sandbox)
