"""Git histories made of released source packages."""

import io
import tarfile
from pathlib import Path

import pytest
from histories import ROUNDED, ROUNDED_TESTS, TOTAL, TOTAL_TESTS

from chargehand.evaluation.mining.mining import Extent, mine
from chargehand.evaluation.mining.releases import write_history
from chargehand.tools.checking.sandbox_search import find_sandbox
from chargehand.tools.errors import BadArgument

pytestmark = pytest.mark.anyio

NOTES = "Changes\n=======\n\n1.9\n---\nIt sells.\n"


def write_package(folder: Path, version: str, files: dict[str, str]) -> Path:
    path = folder / f"shop-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"shop-{version}/{name}")
            member.size, member.mtime = len(text.encode()), 1_700_000_000
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo(f"shop-{version}/linked.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


async def test_each_release_becomes_a_commit_whose_intent_is_the_new_part_of_its_release_notes(tmp_path: Path):
    notes = NOTES.replace("1.9", "1.10\n----\nTotals are rounded to cents.\n\n1.9")
    old = write_package(tmp_path, "1.9", {"total.py": TOTAL, "test_total.py": TOTAL_TESTS, "CHANGES.md": NOTES})
    tests = {"test_total.py": ROUNDED_TESTS.replace("shop.total", "total")}
    new = write_package(
        tmp_path, "1.10", {"total.py": ROUNDED, **tests, "CHANGES.md": notes, "PKG-INFO": "x", "../up.py": "x"}
    )

    repository = await write_history([new, old], tmp_path)
    mined = await mine(repository, Extent(), find_sandbox)

    (task,) = mined.tasks
    assert (mined.looked_at, repository.name) == (2, "shop")
    assert "shop 1.10" in task.prompt
    assert "Totals are rounded to cents." in task.prompt
    assert "It sells." not in task.prompt
    assert sorted(task.files) == ["CHANGES.md", "test_total.py", "total.py"]


async def test_files_that_are_no_source_packages_are_refused_with_the_reason(tmp_path: Path):
    wheel, broken = tmp_path / "shop-1.0-py3-none-any.whl", tmp_path / "shop-1.0.tar.gz"
    wheel.write_text("")
    broken.write_text("no archive")
    for path, reason in ((wheel, "not named like a source package"), (broken, r"cannot be read as a \.tar\.gz")):
        with pytest.raises(BadArgument, match=reason):
            await write_history([path], tmp_path)
