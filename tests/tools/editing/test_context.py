"""Reading context files."""

from pathlib import Path

import pytest

from chargehand.tools.editing.context import ContextFile, read_context
from chargehand.tools.errors import BadArgument, FileRefused, NoRoots
from chargehand.tools.guarding.roots import Roots

pytestmark = pytest.mark.anyio


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "b.py").write_text("b = 2\n")
    return Roots(folders=(tmp_path,))


async def test_files_are_read_whole_in_the_order_they_were_named(roots: Roots):
    assert await read_context(["b.py", "a.py"], roots) == (
        ContextFile("b.py", "b = 2\n"),
        ContextFile("a.py", "a = 1\n"),
    )


async def test_a_file_named_twice_is_read_once_under_its_first_name(roots: Roots, tmp_path: Path):
    files = await read_context(["./a.py", "b.py", "a.py", f"{tmp_path}/a.py"], roots)

    assert [file.path for file in files] == ["./a.py", "b.py"]


async def test_no_files_need_no_roots():
    assert await read_context([], Roots(folders=())) == ()


async def test_files_without_a_root_are_refused_naming_the_argument():
    with pytest.raises(NoRoots, match=r"^context_files: no folder may be read"):
        await read_context(["a.py"], Roots(folders=()))


async def test_one_refused_file_refuses_the_whole_call(roots: Roots):
    with pytest.raises(FileRefused, match=r"^context_files: '\.\./x' is outside the roots"):
        await read_context(["a.py", "../x"], roots)


async def test_files_that_are_too_large_together_are_refused_before_all_are_read(roots: Roots, tmp_path: Path):
    names = [f"{number}.txt" for number in range(5)]
    for name in names:
        (tmp_path / name).write_text("x" * 2_000_000)

    with pytest.raises(BadArgument) as refused:
        await read_context([*names, *(f"{number}.missing" for number in range(3))], roots)

    assert str(refused.value) == (
        "context_files: the first 5 files hold 10,000,000 characters, more than 8,000,000."
        " Name only those the task needs."
    )
