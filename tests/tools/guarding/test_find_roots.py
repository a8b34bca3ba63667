"""Which folders become roots."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from chargehand import tools
from chargehand.tools.guarding.roots import Roots, find_roots

AsNobody = Callable[[], AbstractContextManager[None]]


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
        ("/opt", "contains all users' folders"),
        ("{home}", "is the home folder"),
        ("{home}/..", "is the home folder, or contains it"),
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


def test_the_folder_that_this_server_is_installed_in_is_a_root_only_when_it_is_configured(home: Path):
    installed_in = Path(tools.__file__).parents[1]

    assert _found(home, start=installed_in).folders == ()
    assert _found(home, start=installed_in / "tools").folders == ()
    assert _found(home, str(installed_in)).folders == (installed_in,)


def test_a_folder_behind_a_closed_door_is_reported_not_raised(home: Path, as_nobody: AsNobody):
    closed = home / "closed"
    (closed / "project").mkdir(parents=True)
    closed.chmod(0)

    with as_nobody():
        roots = _found(home, str(closed / "project"))

    assert roots.problems == (f"CHARGEHAND_ROOTS: {closed / 'project'} is not a folder.",)
