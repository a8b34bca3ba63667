"""Which folders become roots, and which files below them are read."""

import contextlib
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from chargehand.tools.errors import FileRefused, NoRoots
from chargehand.tools.guarding.roots import FILE_BYTES_AT_MOST, Roots, find_roots

SECRET = "the outsider's secret"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with a project in it, and a data folder."""
    home = tmp_path / "home"
    (home / "project" / "src").mkdir(parents=True)
    (home / "project" / "pyproject.toml").touch()
    (home / "data").mkdir()
    return home


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A root with a file, and a secret beside the root."""
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "a.py").write_text("a = 1\n")
    (tmp_path / "secret.txt").write_text(SECRET)
    return project


@pytest.fixture
def roots(project: Path) -> Roots:
    return Roots(folders=(project,))


AsNobody = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def as_nobody(tmp_path: Path) -> AsNobody:
    """Lets a block run as somebody whom file permissions bind; the folders above the test's are opened to them."""

    @contextlib.contextmanager
    def being_nobody() -> Generator[None]:
        if sys.platform == "win32" or os.geteuid() != 0:
            pytest.skip("only root can become somebody else")
        places = {place: place.stat().st_mode for place in (tmp_path, *tmp_path.parents)}
        for place, mode in places.items():
            if not mode & 0o001:
                place.chmod(mode | 0o011)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
            for place, mode in places.items():
                place.chmod(mode)

    return being_nobody


def _found(home: Path, *configured: str, start: Path | None = None) -> Roots:
    return find_roots(configured, start=start or home, home=home, data_folder=home / "data")


def test_configured_folders_are_the_roots_in_their_order(home: Path, tmp_path: Path):
    roots = _found(home, str(home / "project"), str(home / "project" / "src"), start=tmp_path)

    assert roots.folders == (home / "project", home / "project" / "src")
    assert roots.problems == ()


def test_a_folder_configured_twice_counts_once(home: Path):
    roots = _found(home, str(home / "project"), f"{home}/project/src/../")

    assert roots.folders == (home / "project",)


def test_a_configured_link_is_the_folder_it_leads_to(home: Path):
    (home / "alias").symlink_to(home / "project")

    assert _found(home, str(home / "alias")).folders == (home / "project",)


def test_a_configured_tilde_is_the_home_folder(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(home))

    assert _found(home, "~/project").folders == (home / "project",)


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("/", "is a whole filesystem"),
        ("/usr/lib", "belongs to the system"),
        ("/etc", "belongs to the system"),
        ("/opt", "holds everybody's folders"),
        ("{home}", "is the home folder"),
        ("{home}/..", "is the home folder, or holds it"),
        ("{home}/data", "is Chargehand's own data folder"),
        ("{home}/nowhere", "is not a folder"),
        ("{home}/project/pyproject.toml", "is not a folder"),
        ("~nobody-of-that-name/x", "is not a folder"),
    ],
)
def test_a_folder_that_is_nobodys_project_is_no_root_and_the_reason_is_kept(home: Path, name: str, because: str):
    name = name.format(home=home)

    roots = _found(home, name, start=home / "project")

    assert roots.folders == ()
    assert len(roots.problems) == 1
    assert roots.problems[0].startswith(f"CHARGEHAND_ROOTS: {name} {because}")


def test_a_link_to_the_home_folder_is_no_root(home: Path, tmp_path: Path):
    (tmp_path / "alias").symlink_to(home)

    assert _found(home, str(tmp_path / "alias")).folders == ()


@pytest.mark.parametrize("mark", [".git", "package.json", "go.mod"])
def test_the_start_folder_is_the_root_when_it_or_a_parent_bears_a_project_mark(home: Path, mark: str):
    deep = home / "other" / "deep" / "deeper"
    deep.mkdir(parents=True)
    (home / "other" / mark).mkdir()

    assert _found(home, start=deep).folders == (deep,)


def test_a_start_folder_without_a_mark_is_no_root(home: Path):
    plain = home / "plain"
    plain.mkdir()
    (home / "package.json").touch()

    assert _found(home, start=plain).folders == ()


def test_the_home_folder_is_no_root_though_it_bears_a_mark(home: Path):
    (home / ".git").mkdir()

    assert _found(home, start=home).folders == ()


def test_a_system_folder_is_no_root_though_the_server_started_there(home: Path):
    assert _found(home, start=Path("/usr/lib")).folders == ()


def test_a_folder_behind_a_closed_door_is_reported_not_raised(home: Path, as_nobody: AsNobody):
    closed = home / "closed"
    (closed / "project").mkdir(parents=True)
    closed.chmod(0)

    with as_nobody():
        roots = _found(home, str(closed / "project"))

    assert roots.problems == (f"CHARGEHAND_ROOTS: {closed / 'project'} is not a folder.",)


def test_without_roots_the_answer_explains_the_variable():
    with pytest.raises(NoRoots) as refused:
        Roots(folders=()).read("a.py", "context_files")

    assert str(refused.value) == (
        "context_files: no folder may be read. Set CHARGEHAND_ROOTS to your project's folder in the"
        ' "env" block of your host\'s config.'
    )


def test_without_usable_roots_the_answer_says_what_was_wrong_with_them(home: Path):
    roots = _found(home, "/etc", str(home))

    with pytest.raises(NoRoots, match=r"\(CHARGEHAND_ROOTS: /etc belongs to the system. CHARGEHAND_ROOTS: .* home"):
        roots.read("a.py", "context_files")


@pytest.mark.parametrize("path", ["src/a.py", "./src/a.py", "src/../src/a.py", "src//a.py", "{project}/src/a.py"])
def test_a_file_below_a_root_is_read_by_any_spelling_of_its_path(roots: Roots, project: Path, path: str):
    assert roots.read(path.format(project=project), "files") == "a = 1\n"


def test_a_relative_path_is_against_the_first_root(project: Path, tmp_path: Path):
    second = tmp_path / "second"
    second.mkdir()
    (second / "only_here.py").write_text("b = 2\n")
    roots = Roots(folders=(project, second))

    assert roots.read("src/a.py", "files") == "a = 1\n"
    assert roots.read(str(second / "only_here.py"), "files") == "b = 2\n"
    with pytest.raises(FileRefused, match="does not exist below"):
        roots.read("only_here.py", "files")


def test_an_absolute_path_through_another_name_of_the_root_is_read(home: Path, tmp_path: Path):
    (home / "project" / "src" / "a.py").write_text("a = 1\n")
    (tmp_path / "alias").symlink_to(home)
    roots = _found(home, f"{tmp_path}/alias/project")

    assert roots.locate(f"{tmp_path}/alias/project/src/a.py", "files") == (home / "project", Path("src/a.py"))
    assert roots.read(f"{tmp_path}/alias/project/src/a.py", "files") == "a = 1\n"
    with pytest.raises(FileRefused, match="is outside the roots"):
        roots.read(f"{tmp_path}/alias/data/ledger", "files")


@pytest.mark.parametrize(
    "path", ["../secret.txt", "src/../../secret.txt", "/etc/passwd", "{tmp}/secret.txt", "{tmp}/projectile/a.py"]
)
def test_what_lies_outside_is_refused_with_value_place_and_remedy(
    roots: Roots, project: Path, tmp_path: Path, path: str
):
    path = path.format(tmp=tmp_path)

    with pytest.raises(FileRefused) as refused:
        roots.read(path, "context_files")

    assert str(refused.value) == (
        f"context_files: {path!r} is outside the roots ({project})."
        " Name a file below them, or add its folder to CHARGEHAND_ROOTS."
    )


def test_our_own_data_folder_is_never_read_though_it_lies_below_a_root(home: Path):
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
def test_a_file_that_is_a_link_is_refused_wherever_it_leads(roots: Roots, project: Path, link: str, target: str):
    (project / link).symlink_to(target)

    with pytest.raises(FileRefused, match=r"is a link, or leads through one or a file. Name the real path."):
        roots.read(link, "files")


@pytest.mark.parametrize("target", ["..", "src", "/etc"])
def test_a_path_through_a_linked_folder_is_refused_wherever_it_leads(roots: Roots, project: Path, target: str):
    (project / "folder").symlink_to(target)

    for name in ("secret.txt", "a.py", "passwd"):
        with pytest.raises(FileRefused, match="is a link, or leads through one"):
            roots.read(f"folder/{name}", "files")


def test_a_file_taken_for_a_folder_is_refused(roots: Roots):
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


def test_refusing_leaves_no_descriptor_open(roots: Roots, project: Path):
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


def test_a_file_of_two_megabytes_is_read_and_a_larger_one_refused(roots: Roots, project: Path):
    (project / "most.txt").write_text("x" * FILE_BYTES_AT_MOST)
    (project / "more.txt").write_text("x" * (FILE_BYTES_AT_MOST + 1))

    assert len(roots.read("most.txt", "files")) == FILE_BYTES_AT_MOST
    with pytest.raises(FileRefused, match=r"'more.txt' is larger than 2 MB. Pass the part that matters as `context`."):
        roots.read("more.txt", "files")


@pytest.mark.parametrize(
    "data",
    [b"\x7fELF\x00\x01", b"caf\xe9", "π".encode("utf-16"), "text".encode("utf-16-le"), b"\xff\xfe", b"ok\x00ok"],
)
def test_what_is_no_utf_8_text_is_refused(roots: Roots, project: Path, data: bytes):
    (project / "blob").write_bytes(data)

    with pytest.raises(FileRefused, match=r"'blob' is binary or not UTF-8 text. Leave it out"):
        roots.read("blob", "files")


def test_text_is_read_as_it_is_but_for_its_byte_order_mark(roots: Roots, project: Path):
    (project / "text").write_bytes("\ufeffπ = 3\r\nend".encode())

    assert roots.read("text", "files") == "π = 3\r\nend"


def test_an_empty_file_is_an_empty_text(roots: Roots, project: Path):
    (project / "empty").touch()

    assert roots.read("empty", "files") == ""


@pytest.mark.parametrize("path", ["", "a\0b", "../\0"])
def test_what_is_no_path_is_refused(roots: Roots, path: str):
    with pytest.raises(FileRefused, match=r"is not a path. Name a file below"):
        roots.read(path, "files")


@pytest.mark.parametrize("path", ["x" * 100_000, "x/" * 50_000])
def test_an_endless_path_is_refused_in_a_short_message(roots: Roots, path: str):
    with pytest.raises(FileRefused, match=r"cannot be opened|does not exist") as refused:
        roots.read(path, "files")

    assert len(str(refused.value)) < 600


def test_an_unreadable_file_is_refused(roots: Roots, project: Path, as_nobody: AsNobody):
    (project / "src" / "a.py").chmod(0)

    with (
        as_nobody(),
        pytest.raises(FileRefused, match=r"cannot be opened \(Permission denied\). Name a readable file."),
    ):
        roots.read("src/a.py", "files")


def test_a_file_that_turns_into_a_link_while_it_is_read_never_leads_out(roots: Roots, project: Path):
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
    seen = {"mine": 0, "refused": 0, SECRET: 0}
    give_up = time.monotonic() + 10
    try:
        while min(seen["mine"], seen["refused"]) < 200 and time.monotonic() < give_up:
            try:
                seen[roots.read("swapped", "files")] += 1
            except FileRefused:
                seen["refused"] += 1
    finally:
        stop.set()
        swapper.join(10)

    assert seen[SECRET] == 0
    assert min(seen["mine"], seen["refused"]) >= 200


def test_a_folder_that_turns_into_a_link_between_looking_and_opening_is_refused(
    roots: Roots, project: Path, tmp_path: Path
):
    (tmp_path / "a.py").write_text(SECRET)
    root, relative = roots.locate("src/a.py", "files")
    (project / "src").rename(project / "was_src")
    (project / "src").symlink_to(tmp_path)

    assert (root / relative).read_text() == SECRET
    with pytest.raises(FileRefused, match="leads through one"):
        roots.read("src/a.py", "files")
