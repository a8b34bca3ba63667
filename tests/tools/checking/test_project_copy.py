"""The copy of a project that its tests run in."""

import errno
import os
from pathlib import Path

import pytest

from chargehand.tools.checking import project_copy
from chargehand.tools.checking.project_copy import copied_project
from chargehand.tools.errors import FileRefused

pytestmark = pytest.mark.anyio


async def copied_files(root) -> list[str]:
    async with copied_project(root) as copy:
        return sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if not path.is_dir())


def make_files(root, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


async def test_project_files_are_copied_with_their_content(tmp_path):
    make_files(tmp_path, "a.py", "src/deep/b.py", ".github/c.yml")

    async with copied_project(tmp_path) as copy:
        assert (copy / "src/deep/b.py").read_text() == "src/deep/b.py"
        assert (copy / ".github/c.yml").exists()
        assert copy != tmp_path


async def test_the_copy_is_deleted_even_after_an_error(tmp_path):
    make_files(tmp_path, "a.py")

    with pytest.raises(RuntimeError):  # the copy's name is needed afterwards
        async with copied_project(tmp_path) as copy:
            raise RuntimeError

    assert not copy.exists()


async def test_git_data_caches_and_ignored_files_are_not_copied(tmp_path):
    make_files(
        tmp_path,
        "a.py",
        ".git/config",
        "node_modules/x.js",
        ".venv/bin/python",
        "pkg/__pycache__/a.pyc",
        "out/x",
        "b.log",
    )
    (tmp_path / ".gitignore").write_text("out/\n*.log\n")

    assert await copied_files(tmp_path) == [".gitignore", "a.py"]


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".env.local",
        "prod.env",
        "deep/server.PEM",
        "tls.key",
        "id_rsa",
        "id_ed25519.pub",
        ".netrc",
        ".npmrc",
        ".ssh/config",
        ".aws/credentials",
        "credentials.json",
        "my-service-account-key.json",
        "secrets.yaml",
        "terraform.tfstate",
    ],
)
async def test_key_files_are_not_copied(tmp_path, name):
    make_files(tmp_path, name, "a.py")

    assert await copied_files(tmp_path) == ["a.py"]


@pytest.mark.parametrize("name", ["secrets.py", "environment.py", "id_generator.py", "keys.py", "monkey.py"])
async def test_source_files_named_like_key_files_are_copied(tmp_path, name):
    make_files(tmp_path, name)

    assert await copied_files(tmp_path) == [name]


async def test_symlinks_are_copied_as_symlinks_unless_they_lead_outside_or_to_key_files(tmp_path):
    root = tmp_path / "root"
    make_files(root, "a.py", ".env")
    make_files(tmp_path, "outside.txt")
    (root / "inward").symlink_to("a.py")
    (root / "outward").symlink_to("../outside.txt")
    (root / "absolute").symlink_to(tmp_path / "outside.txt")
    (root / "to-secret").symlink_to(".env")
    (root / "folder").symlink_to(tmp_path)

    async with copied_project(root) as copy:
        assert sorted(path.name for path in copy.iterdir()) == ["a.py", "inward"]
        assert (copy / "inward").readlink().as_posix() == "a.py"


async def test_a_pipe_is_not_copied(tmp_path):
    make_files(tmp_path, "a.py")
    os.mkfifo(tmp_path / "pipe")

    assert await copied_files(tmp_path) == ["a.py"]


@pytest.mark.parametrize(("limit", "value"), [("BYTES_AT_MOST", 1000), ("FILES_AT_MOST", 2)])
async def test_a_project_that_is_too_large_is_refused_before_any_file_is_copied(tmp_path, monkeypatch, limit, value):
    monkeypatch.setattr(project_copy, limit, value)
    make_files(tmp_path, "a.py", "b.py", "c.py")
    (tmp_path / "big.bin").write_bytes(bytes(1001))
    copied_paths: list[Path] = []
    monkeypatch.setattr(project_copy.shutil, "copy", lambda path, *_, **__: copied_paths.append(path))

    with pytest.raises(FileRefused, match=r"^the project .* List what the tests do not need in \.gitignore"):
        await copied_files(tmp_path)
    assert copied_paths == []


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "is full. Make room there, or set TMPDIR to another folder."),
        (errno.ENOENT, "a.py: No such file or directory). Try again"),
    ],
)
async def test_a_project_that_cannot_be_copied_is_refused_with_a_remedy(tmp_path, monkeypatch, number, message):
    make_files(tmp_path, "a.py")

    def fail(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(project_copy.shutil, "copy", fail)

    with pytest.raises(FileRefused) as refused:
        await copied_files(tmp_path)
    assert str(refused.value).startswith(f"the project {tmp_path} could not be copied to run its tests")
    assert message in str(refused.value)


async def test_a_change_is_applied_only_to_the_copy_and_keeps_file_modes(tmp_path):
    make_files(tmp_path, "a.py", "tool.py")
    (tmp_path / "tool.py").chmod(0o755)
    change = {Path("a.py"): b"changed", Path("deep/new.py"): b"new", Path("tool.py"): b"changed"}

    async with copied_project(tmp_path, change) as copy:
        assert (copy / "a.py").read_bytes() == b"changed"
        assert (copy / "deep/new.py").read_bytes() == b"new"
        assert (copy / "tool.py").stat().st_mode & 0o777 == 0o755
        assert (copy / "a.py").stat().st_mode == (tmp_path / "a.py").stat().st_mode

    assert (tmp_path / "a.py").read_text() == "a.py"
    assert not (tmp_path / "deep").exists()


async def test_a_change_does_not_leave_the_copy_through_a_symlink(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    make_files(root, "real/a.py")
    (root / "link").symlink_to("real")
    (root / "real/b.py").symlink_to("a.py")

    async with copied_project(root, {Path("link/a.py"): b"changed", Path("real/b.py"): b"b"}) as copy:
        assert (copy / "real/a.py").read_bytes() == b"changed"
        assert (copy / "real/b.py").read_bytes() == b"b"

    assert (root / "real/a.py").read_text() == "real/a.py"
