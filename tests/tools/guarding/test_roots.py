"""Reading files below the roots, and refusing all others."""

import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from chargehand.tools.errors import FileRefused, NoRoots
from chargehand.tools.guarding.roots import FILE_BYTES_AT_MOST, Roots, find_roots

SECRET = "the outsider's secret"

AsUnprivileged = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A root that contains a file, with a secret file next to the root."""
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "a.py").write_text("a = 1\n")
    (tmp_path / "secret.txt").write_text(SECRET)
    return project


@pytest.fixture
def roots(project: Path) -> Roots:
    return Roots(folders=(project,))


def test_without_roots_the_error_explains_chargehand_roots():
    with pytest.raises(NoRoots) as refused:
        Roots(folders=()).read("a.py", "context_files")

    assert str(refused.value) == (
        "context_files: no folder may be read. Set CHARGEHAND_ROOTS to your project's folder in the"
        ' "env" block of your host\'s MCP config, or in your shell for a command there.'
    )


def test_without_usable_roots_the_error_states_the_problem_of_each(home: Path):
    roots = find_roots(["/etc", str(home)], start=home, home=home, data_folder=home / "data")

    with pytest.raises(NoRoots, match=r"\(CHARGEHAND_ROOTS: /etc belongs to the system. CHARGEHAND_ROOTS: .* home"):
        roots.read("a.py", "context_files")


@pytest.mark.parametrize("path", ["src/a.py", "./src/a.py", "src/../src/a.py", "src//a.py", "{project}/src/a.py"])
def test_a_file_below_a_root_is_read_by_any_spelling_of_its_path(roots: Roots, project: Path, path: str):
    assert roots.read(path.format(project=project), "files") == "a = 1\n"


def test_relative_paths_are_resolved_against_the_first_root(project: Path, tmp_path: Path):
    second = tmp_path / "second"
    second.mkdir()
    (second / "only_here.py").write_text("b = 2\n")
    roots = Roots(folders=(project, second))

    assert roots.read("src/a.py", "files") == "a = 1\n"
    assert roots.read(str(second / "only_here.py"), "files") == "b = 2\n"
    with pytest.raises(FileRefused, match="does not exist below"):
        roots.read("only_here.py", "files")


def test_an_absolute_path_through_a_symlinked_name_of_the_root_is_read(home: Path, tmp_path: Path):
    (home / "project" / "src" / "a.py").write_text("a = 1\n")
    (tmp_path / "alias").symlink_to(home)
    roots = find_roots([f"{tmp_path}/alias/project"], start=home, home=home, data_folder=home / "data")

    assert roots.locate(f"{tmp_path}/alias/project/src/a.py", "files") == (home / "project", Path("src/a.py"))
    assert roots.read(f"{tmp_path}/alias/project/src/a.py", "files") == "a = 1\n"
    with pytest.raises(FileRefused, match="is outside the roots"):
        roots.read(f"{tmp_path}/alias/data/ledger", "files")


@pytest.mark.parametrize(
    "path", ["../secret.txt", "src/../../secret.txt", "/etc/passwd", "{tmp}/secret.txt", "{tmp}/projectile/a.py"]
)
def test_a_path_outside_the_roots_is_refused_with_value_place_and_remedy(
    roots: Roots, project: Path, tmp_path: Path, path: str
):
    path = path.format(tmp=tmp_path)

    with pytest.raises(FileRefused) as refused:
        roots.read(path, "context_files")

    assert str(refused.value) == (
        f"context_files: {path!r} is outside the roots ({project})."
        " Name a file below them, or add its folder to CHARGEHAND_ROOTS."
    )


def test_the_data_folder_is_never_read_although_it_is_below_a_root(home: Path):
    (home / "data" / "ledger.sqlite3").write_text(SECRET)
    (home / "door").symlink_to(home / "data")
    roots = Roots(folders=(home,), off_limits=(home / "data",))

    for path in ("data/ledger.sqlite3", "door/ledger.sqlite3", "data"):
        with pytest.raises(FileRefused, match="own data folder"):
            roots.read(path, "files")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("out.txt", "../secret.txt"),
        ("in.py", "src/a.py"),
        ("loop", "loop"),
        ("dangling", "nowhere"),
    ],
)
def test_a_symlinked_file_is_refused_wherever_it_leads(roots: Roots, project: Path, link: str, target: str):
    (project / link).symlink_to(target)

    with pytest.raises(FileRefused, match=r"is a link, or leads through one or a file. Name the real path."):
        roots.read(link, "files")


@pytest.mark.parametrize("target", ["..", "src", "/etc"])
def test_a_path_through_a_symlinked_folder_is_refused_wherever_it_leads(roots: Roots, project: Path, target: str):
    (project / "folder").symlink_to(target)

    for name in ("secret.txt", "a.py", "passwd"):
        with pytest.raises(FileRefused, match="is a link, or leads through one"):
            roots.read(f"folder/{name}", "files")


def test_a_path_that_uses_a_file_as_a_folder_is_refused(roots: Roots):
    with pytest.raises(FileRefused, match="leads through one or a file"):
        roots.read("src/a.py/b.py", "files")


def test_a_missing_file_is_refused(roots: Roots, project: Path):
    with pytest.raises(FileRefused) as refused:
        roots.read("src/b.py", "tests")

    assert str(refused.value) == f"tests: 'src/b.py' does not exist below {project}. Correct the path."


def test_a_folder_is_refused(roots: Roots, project: Path):
    for path in ("src", ".", str(project)):
        with pytest.raises(FileRefused, match=r"is not a regular file. Name a file."):
            roots.read(path, "files")


def test_refused_reads_leave_no_file_descriptor_open(roots: Roots, project: Path):
    (project / "link").symlink_to("src/a.py")
    before = len(list(Path("/dev/fd").iterdir()))

    for path in ("src", "link", "src/a.py", "missing", "src/a.py/b"):
        try:
            roots.read(path, "files")
        except FileRefused:
            continue

    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_pipe_is_refused_without_waiting_for_a_writer(roots: Roots, project: Path):
    os.mkfifo(project / "pipe")

    with pytest.raises(FileRefused, match="is not a regular file"):
        roots.read("pipe", "files")


def test_a_socket_is_refused(roots: Roots, project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")

        with pytest.raises(FileRefused, match="'s' cannot be opened"):
            roots.read("s", "files")


def test_a_device_is_refused(roots: Roots, project: Path):
    try:
        os.mknod(project / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device takes root")

    with pytest.raises(FileRefused, match=r"is not a regular file|cannot be opened"):
        roots.read("zero", "files")


def test_a_file_of_2_mb_is_read_and_a_larger_one_is_refused(roots: Roots, project: Path):
    (project / "most.txt").write_text("x" * FILE_BYTES_AT_MOST)
    (project / "more.txt").write_text("x" * (FILE_BYTES_AT_MOST + 1))

    assert len(roots.read("most.txt", "files")) == FILE_BYTES_AT_MOST
    with pytest.raises(FileRefused, match=r"'more.txt' is larger than 2 MB. Give the part that matters as text."):
        roots.read("more.txt", "files")


@pytest.mark.parametrize(
    "data",
    [b"\x7fELF\x00\x01", "text".encode("utf-16-le"), b"\xff\xfe\x00\xd8", b"ok\x00ok", b"\x1f\x8b\x08\xe9\x01"],
)
def test_a_binary_file_is_refused(roots: Roots, project: Path, data: bytes):
    (project / "blob").write_bytes(data)

    with pytest.raises(FileRefused, match=r"'blob' is not text: .* Leave it out"):
        roots.read("blob", "files")


@pytest.mark.parametrize(("data", "text"), [(b"caf\xe9", "café"), ("π".encode("utf-16"), "π")])
def test_latin_1_and_utf_16_files_are_read(roots: Roots, project: Path, data: bytes, text: str):
    (project / "old").write_bytes(data)

    assert roots.read("old", "files") == text


def test_text_is_read_unchanged_except_for_its_byte_order_mark(roots: Roots, project: Path):
    (project / "text").write_bytes("\ufeffπ = 3\r\nend".encode())

    assert roots.read("text", "files") == "π = 3\r\nend"


def test_an_empty_file_is_an_empty_text(roots: Roots, project: Path):
    (project / "empty").touch()

    assert roots.read("empty", "files") == ""


@pytest.mark.parametrize("path", ["", "a\0b", "../\0"])
def test_empty_paths_and_paths_with_null_characters_are_refused(roots: Roots, path: str):
    with pytest.raises(FileRefused, match=r"is not a path. Name a file below"):
        roots.read(path, "files")


@pytest.mark.parametrize("path", ["x" * 100_000, "x/" * 50_000])
def test_an_overlong_path_is_refused_with_a_short_message(roots: Roots, path: str):
    with pytest.raises(FileRefused, match=r"cannot be opened|does not exist") as refused:
        roots.read(path, "files")

    assert len(str(refused.value)) < 600


def test_an_unreadable_file_is_refused(roots: Roots, project: Path, as_unprivileged: AsUnprivileged):
    (project / "src" / "a.py").chmod(0)

    with (
        as_unprivileged(),
        pytest.raises(FileRefused, match=r"cannot be opened \(Permission denied\). Name a readable file."),
    ):
        roots.read("src/a.py", "files")


def test_a_file_swapped_with_a_symlink_while_being_read_never_leads_outside(roots: Roots, project: Path):
    stop = threading.Event()

    def swap() -> None:
        new = project / "new"
        while not stop.is_set():
            new.symlink_to(project.parent / "secret.txt")
            new.replace(project / "swapped")
            new.write_text("mine")
            new.replace(project / "swapped")

    (project / "swapped").write_text("mine")
    swapper = threading.Thread(target=swap)
    swapper.start()
    counts = {"mine": 0, "refused": 0, SECRET: 0}
    try:
        for _ in range(5_000):
            try:
                counts[roots.read("swapped", "files")] += 1
            except FileRefused:
                counts["refused"] += 1
    finally:
        stop.set()
        swapper.join(60)

    assert counts[SECRET] == 0
    assert counts["mine"] > 0


def test_a_folder_replaced_by_a_symlink_between_lookup_and_opening_is_refused(
    roots: Roots, project: Path, tmp_path: Path
):
    (tmp_path / "a.py").write_text(SECRET)
    root, relative = roots.locate("src/a.py", "files")
    (project / "src").rename(project / "was_src")
    (project / "src").symlink_to(tmp_path)

    assert (root / relative).read_text() == SECRET
    with pytest.raises(FileRefused, match="leads through one"):
        roots.read("src/a.py", "files")
