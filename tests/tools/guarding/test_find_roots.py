"""Which folders become roots, and why others do not."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from chargehand import tools
from chargehand.tools.errors import FileRefused
from chargehand.tools.guarding.roots import Roots, find_roots

AsUnprivileged = Callable[[], AbstractContextManager[None]]


def _find(home: Path, *configured: str, start: Path | None = None) -> Roots:
    return find_roots(configured, start=start or home, home=home, data_folder=home / "data")


def test_configured_folders_become_roots_in_their_order(home: Path, tmp_path: Path):
    roots = _find(home, str(home / "project"), str(home / "project" / "src"), start=tmp_path)

    assert roots.folders == (home / "project", home / "project" / "src")
    assert roots.problems == ()


def test_a_folder_configured_twice_counts_once(home: Path):
    roots = _find(home, str(home / "project"), f"{home}/project/src/../")

    assert roots.folders == (home / "project",)


def test_a_configured_symlink_is_resolved(home: Path):
    (home / "alias").symlink_to(home / "project")

    assert _find(home, str(home / "alias")).folders == (home / "project",)


def test_a_configured_tilde_is_the_home_folder(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(home))

    assert _find(home, "~/project").folders == (home / "project",)


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("/", "is a whole filesystem"),
        ("/usr/lib", "belongs to the system"),
        ("/etc", "belongs to the system"),
        ("/opt", "contains all users' folders"),
        ("{home}", "is the home folder"),
        ("{home}/..", "is the home folder, or contains it"),
        ("{home}/data", "is Chargehand's own data folder"),
        ("{home}/nowhere", "is not a folder"),
        ("{home}/project/pyproject.toml", "is not a folder"),
        ("~nobody-of-that-name/x", "is not a folder"),
    ],
)
def test_a_configured_folder_that_cannot_be_a_root_is_reported_with_the_reason(home: Path, name: str, because: str):
    name = name.format(home=home)

    roots = _find(home, name, start=home / "project")

    assert roots.folders == ()
    assert len(roots.problems) == 1
    assert roots.problems[0].startswith(f"CHARGEHAND_ROOTS: {name} {because}")


def test_a_home_folder_with_two_names_is_not_a_root_by_either(home: Path, tmp_path: Path):
    alias = tmp_path / "alias"
    alias.symlink_to(home)

    assert _find(home, str(alias)).folders == ()
    assert _find(alias, str(home)).folders == ()


def test_the_data_folder_stays_closed_although_a_root_contains_it(home: Path):
    inside = home / "project" / "data" / "inside"
    inside.mkdir(parents=True)
    (inside / "notes.txt").touch()

    roots = find_roots(
        [str(home / "project"), str(inside)], start=home, home=home, data_folder=home / "project" / "data"
    )

    assert roots.folders == (home / "project",)
    with pytest.raises(FileRefused, match="own data folder"):
        roots.read("data/inside/notes.txt", "files")


@pytest.mark.parametrize("mark", [".git", "package.json", "go.mod"])
def test_the_start_folder_becomes_the_root_if_a_parent_contains_a_project_file(home: Path, mark: str):
    deep = home / "other" / "deep" / "deeper"
    deep.mkdir(parents=True)
    (home / "other" / mark).mkdir()

    assert _find(home, start=deep).folders == (deep,)


def test_a_start_folder_outside_any_project_is_not_a_root(home: Path):
    plain = home / "plain"
    plain.mkdir()
    (home / "package.json").touch()

    assert _find(home, start=plain).folders == ()


def test_the_home_folder_is_not_a_root_although_it_contains_a_git_folder(home: Path):
    (home / ".git").mkdir()

    assert _find(home, start=home).folders == ()


def test_a_system_folder_as_start_folder_is_not_a_root(home: Path):
    assert _find(home, start=Path("/usr/lib")).folders == ()


def test_the_servers_own_installation_is_a_root_only_if_configured(home: Path):
    installed_in = Path(tools.__file__).parents[1]

    assert _find(home, start=installed_in).folders == ()
    assert _find(home, start=installed_in / "tools").folders == ()
    assert _find(home, str(installed_in)).folders == (installed_in,)


def test_an_inaccessible_configured_folder_is_reported_as_a_problem(home: Path, as_unprivileged: AsUnprivileged):
    closed = home / "closed"
    (closed / "project").mkdir(parents=True)
    closed.chmod(0)

    with as_unprivileged():
        roots = _find(home, str(closed / "project"))

    assert roots.problems == (f"CHARGEHAND_ROOTS: {closed / 'project'} is not a folder.",)
