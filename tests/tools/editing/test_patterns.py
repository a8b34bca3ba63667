"""Finding files by patterns, and files that are never found."""

import os
from pathlib import Path

import pytest

from chargehand.tools.editing.patterns import ENTRIES_AT_MOST, FILES_AT_MOST, FoundFiles, find_files
from chargehand.tools.errors import BadArgument, FileRefused, NoRoots
from chargehand.tools.guarding.roots import Roots

pytestmark = pytest.mark.anyio


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("a.py", "b.ts", "c.tsx", "src/d.py", "src/deep/er/e.py", "src/deep/f.md", "docs/g.md", "docs/[id].md"):
        _write(folder / name)
    return folder


@pytest.fixture
def roots(project: Path) -> Roots:
    return Roots(folders=(project,))


def _write(path: Path, text: str = "x\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def _paths(roots: Roots, *named: str) -> tuple[str, ...]:
    return (await find_files(named, roots)).paths


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("*.py", ("a.py",)),
        ("**/*.py", ("a.py", "src/d.py", "src/deep/er/e.py")),
        ("src/**/*.py", ("src/d.py", "src/deep/er/e.py")),
        ("src/**", ("src/d.py", "src/deep/er/e.py", "src/deep/f.md")),
        ("src/*", ("src/d.py",)),
        ("src/*/*", ("src/deep/f.md",)),
        ("./src/*.py", ("src/d.py",)),
        ("docs/../src/*.py", ("docs/../src/d.py",)),
        ("*.{ts,tsx}", ("b.ts", "c.tsx")),
        ("{src,docs}/**/*.md", ("docs/[id].md", "docs/g.md", "src/deep/f.md")),
        ("?.py", ("a.py",)),
        ("[a-b].*", ("a.py", "b.ts")),
        ("[!a].*", ("b.ts", "c.tsx")),
        ("**/er/**/*.py", ("src/deep/er/e.py",)),
        ("**/**/*.ts", ("b.ts",)),
    ],
)
async def test_patterns_find_files_in_sorted_order(roots: Roots, pattern: str, paths: tuple[str, ...]):
    assert await _paths(roots, pattern) == paths


async def test_an_absolute_pattern_finds_absolute_paths(roots: Roots, project: Path):
    assert await _paths(roots, f"{project}/src/*.py") == (f"{project}/src/d.py",)


async def test_paths_and_patterns_keep_their_order_without_duplicates(roots: Roots):
    assert await _paths(roots, "src/d.py", "*.py", "**/*.py") == ("src/d.py", "a.py", "src/deep/er/e.py")


async def test_plain_paths_are_passed_through_unchecked(roots: Roots):
    assert await find_files(["missing.py", "../x"], roots) == FoundFiles(("missing.py", "../x"), ())


async def test_the_exact_name_of_an_existing_file_is_not_a_pattern(roots: Roots):
    assert await _paths(roots, "docs/[id].md") == ("docs/[id].md",)


async def test_files_ignored_by_git_are_not_found(roots: Roots, project: Path):
    _write(project / ".gitignore", "build/\n*.log\n!keep.log\n")
    _write(project / "src" / ".gitignore", "secret_*.py\n")
    for name in ("build/x.py", "src/build/y.py", "src/secret_z.py", "b.log", "keep.log"):
        _write(project / name)

    assert await _paths(roots, "**/*.py", "*.log") == ("a.py", "src/d.py", "src/deep/er/e.py", "keep.log")
    with pytest.raises(FileRefused, match="matches no text file"):
        await find_files(["build/*.py"], roots)


@pytest.mark.parametrize("name", [".env.py", ".hidden/x.py", "node_modules/x.py", "__pycache__/x.py", ".git/x.py"])
async def test_dot_files_and_package_and_cache_folders_are_not_searched(roots: Roots, project: Path, name: str):
    _write(project / name)

    assert await _paths(roots, "**/*.py") == ("a.py", "src/d.py", "src/deep/er/e.py")


@pytest.mark.parametrize("name", ["secrets.json", "credentials", "server.key", "id_rsa"])
async def test_files_named_like_key_files_are_not_found(roots: Roots, project: Path, name: str):
    _write(project / name)

    assert name not in await _paths(roots, "*")


async def test_a_dot_folder_is_searched_if_the_pattern_names_it(roots: Roots, project: Path):
    _write(project / ".github" / "workflows" / "ci.yml")
    _write(project / ".github" / ".hidden.yml")

    assert await _paths(roots, ".github/**/*.yml", ".editorconfig") == (".github/workflows/ci.yml", ".editorconfig")


async def test_symlinks_are_not_followed(roots: Roots, project: Path, tmp_path: Path):
    _write(tmp_path / "outside" / "x.py")
    (project / "linked").symlink_to(tmp_path / "outside")
    (project / "link.py").symlink_to(project / "a.py")

    assert await _paths(roots, "**/*.py") == ("a.py", "src/d.py", "src/deep/er/e.py")
    for pattern in ("linked/*.py", "link*.py"):
        with pytest.raises(FileRefused, match="matches no text file"):
            await find_files([pattern], roots)


async def test_a_symlink_cycle_does_not_trap_the_search(roots: Roots, project: Path):
    (project / "src" / "round").symlink_to(project)

    assert "src/d.py" in await _paths(roots, "**/*.py")


async def test_binary_files_are_left_out_and_noted(roots: Roots, project: Path):
    (project / "d.py").write_bytes(b"\x00\x01")
    (project / "e.py").write_bytes(b"\x00")

    assert await find_files(["*.py"], roots) == FoundFiles(
        ("a.py",),
        ("context_files: of '*.py', d.py, e.py left out: binary, too large, or unreadable.",),
    )


async def test_a_pipe_is_skipped_without_waiting(roots: Roots, project: Path):
    if not hasattr(os, "mkfifo"):
        return
    os.mkfifo(project / "p.py")

    assert await _paths(roots, "*.py") == ("a.py",)


@pytest.mark.parametrize("pattern", ["*.rb", "nowhere/*.py", "a.py/*", "src/d.py/**"])
async def test_a_pattern_without_a_match_is_refused_with_a_remedy(roots: Roots, project: Path, pattern: str):
    with pytest.raises(FileRefused) as refused:
        await find_files([pattern], roots)

    assert str(refused.value) == (
        f"context_files: {pattern!r} matches no text file below {project}. What .gitignore lists, dot-files and files"
        " of keys must be named exactly. Correct the pattern, or name the files."
    )


@pytest.mark.parametrize("pattern", ["../*.py", "/etc/*", "src/../../*"])
async def test_a_pattern_outside_the_roots_is_refused(roots: Roots, pattern: str):
    with pytest.raises(FileRefused, match="outside the roots"):
        await find_files([pattern], roots)


async def test_the_data_folder_is_not_searched(project: Path):
    _write(project / "data" / "x.py")
    roots = Roots(folders=(project,), off_limits=(project / "data",))

    assert "data/x.py" not in await _paths(roots, "**/*.py")
    with pytest.raises(FileRefused, match="data folder"):
        await find_files(["data/*.py"], roots)


async def test_without_a_root_a_pattern_is_refused():
    with pytest.raises(NoRoots, match="context_files: no folder may be read"):
        await find_files(["*.py"], Roots(folders=()))


async def test_a_pattern_that_matches_more_than_500_files_is_refused(roots: Roots, project: Path):
    for number in range(FILES_AT_MOST + 1):
        _write(project / "many" / f"{number}.txt")

    with pytest.raises(BadArgument) as refused:
        await find_files(["many/*"], roots)

    assert str(refused.value) == (
        "context_files: 'many/*' matches 501 files, more than 500. Narrow it to those the task needs."
    )


async def test_a_pattern_that_searches_too_many_entries_is_refused(roots: Roots, monkeypatch: pytest.MonkeyPatch):
    assert ENTRIES_AT_MOST > 10_000
    monkeypatch.setattr("chargehand.tools.editing.patterns.ENTRIES_AT_MOST", 3)

    with pytest.raises(BadArgument, match="Start it with the folder that the task is about"):
        await find_files(["**/*.py"], roots)


async def test_a_pattern_with_too_many_brace_alternatives_is_refused(roots: Roots):
    with pytest.raises(BadArgument, match="too many choices in braces"):
        await find_files(["{a,b,c}" * 8], roots)


async def test_patterns_built_for_backtracking_terminate(roots: Roots, project: Path):
    _write(project / ("a" * 200))

    with pytest.raises(FileRefused, match="matches no text file"):
        await find_files(["*a" * 30 + "*b"], roots)
    with pytest.raises(FileRefused, match="matches no text file"):
        await find_files(["**/" * 30 + "b"], roots)
