"""`chargehand evaluate --install-schedule` and `--uninstall-schedule`: the files before, between and after."""

import stat
from pathlib import Path

import pytest

from chargehand.server.cli import main
from chargehand.server.hosts.installing import own_command
from chargehand.server.schedule.arguments import install_schedule, uninstall_schedule
from chargehand.server.schedule.environment import TEMPLATE, read_variables
from chargehand.server.schedule.weekly import Weekly
from chargehand.tools.errors import CallerError

KEY = "sk-ant-canary-0123456789"


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return tmp_path / "config" / "systemd" / "user"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "chargehand-home"


class Scheduler:
    """Records every command; each one succeeds, or fails with `failure`."""

    def __init__(self, failure: str | None = None) -> None:
        self.failure = failure
        self.commands: list[str] = []

    def __call__(self, command) -> str | None:
        self.commands.append(" ".join(command))
        return self.failure


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weekly(home: Path, *more: str, day: int = 0) -> Weekly:
    return Weekly(command=("/bin/chargehand", "evaluate", "--scheduled", str(home), *more), home=home, day=day)


def test_only_write_writes_units_without_keys_and_prints_how_to_enable_them(
    units: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setattr("sys.platform", "linux")

    options = ("--day", "sat", "--time", "5:00", "--models", "haiku", "local", "--budget-usd", "0.25", "--repeat", "2")
    options += ("--kinds", "tests", "--batch", "--html", "page.html")
    assert main(["evaluate", "--install-schedule", "--only-write", *options]) == 0

    service = (units / "chargehand-evaluate.service").read_text()
    expected = (*own_command(), "evaluate", "--scheduled", str(home), "--models", "haiku", "local", "--kinds", "tests")
    expected += ("--budget-usd", "0.25", "--repeat", "2", "--batch", "--html", str(Path("page.html").absolute()))
    assert "ExecStart=" + " ".join(f'"{word}"' for word in expected) + "\n" in service
    assert "OnCalendar=Sat..Sun *-*-* 05:00:00" in (units / "chargehand-evaluate.timer").read_text()
    written = {**files_below(units), **files_below(home)}
    assert not any(KEY.encode() in content for content in written.values())
    assert stat.S_IMODE((home / "schedule.env").stat().st_mode) == 0o600
    printed = capsys.readouterr().out
    assert "systemctl --user enable --now chargehand-evaluate.timer" in printed
    assert str(home / "schedule.env") in printed


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_uninstall_removes_every_installed_file(units: Path, home: Path, tmp_path: Path, platform: str):
    before = files_below(tmp_path)

    assert install_schedule(weekly(home), run=Scheduler(), platform=platform) == 0
    installed = files_below(tmp_path)
    assert uninstall_schedule(home, run=Scheduler(), platform=platform) == 0

    assert len(installed) > len(before)
    assert files_below(tmp_path) == before


def test_reinstalling_changes_nothing_and_another_day_replaces_the_schedule(units: Path, home: Path, tmp_path: Path):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    first = files_below(tmp_path)
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    reinstalled = files_below(tmp_path)
    scheduler = Scheduler()
    install_schedule(weekly(home, day=3), run=scheduler, platform="linux")

    assert reinstalled == first
    assert "OnCalendar=Thu..Sun" in (units / "chargehand-evaluate.timer").read_text()
    assert scheduler.commands == [
        "systemctl --user disable --now chargehand-evaluate.timer",
        "systemctl --user daemon-reload",
        "systemctl --user enable --now chargehand-evaluate.timer",
    ]


def test_without_a_scheduler_the_files_are_kept_and_the_command_is_printed(
    units: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    assert install_schedule(weekly(home), run=Scheduler("no bus"), platform="linux") == 3

    printed = capsys.readouterr().out
    assert "Not enabled: no bus" in printed
    assert "systemctl --user enable --now chargehand-evaluate.timer" in printed
    assert (units / "chargehand-evaluate.timer").exists()


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only program on the PATH: it writes its arguments to a file beside it, and succeeds."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$*" >> "$0.log"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr("sys.platform", "linux")
    return program


def test_the_commands_enable_and_disable_the_timer_in_systemd(
    units: Path, home: Path, systemctl: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["evaluate", "--install-schedule", "--day", "sunday"]) == 0
    installed = capsys.readouterr().out
    assert main(["evaluate", "--uninstall-schedule"]) == 0
    uninstalled = capsys.readouterr().out
    assert main(["evaluate", "--uninstall-schedule"]) == 0

    assert "Enabled in systemd." in installed
    assert "When: Sundays at 03:30. On battery" in installed
    assert f"{units / 'chargehand-evaluate.timer'}: removed" in uninstalled
    assert f"Nothing to remove: {home} has no schedule." in capsys.readouterr().out
    assert Path(f"{systemctl}.log").read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now chargehand-evaluate.timer",
        "--user disable --now chargehand-evaluate.timer",
        "--user daemon-reload",
    ]


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("#!/bin/sh\necho no bus >&2\nexit 1\n", "no bus"),
        ("#!/bin/sh\nexit 4\n", "systemctl ended with exit code 4"),
        (None, "systemctl: [Errno 2]"),
    ],
)
def test_a_scheduler_that_fails_is_quoted_when_installing_and_once_when_uninstalling(
    units: Path, home: Path, systemctl: Path, capsys: pytest.CaptureFixture[str], script: str | None, problem: str
):
    if script is None:
        systemctl.unlink()
    else:
        systemctl.write_text(script)

    assert main(["evaluate", "--install-schedule"]) == 3
    installed = capsys.readouterr().out
    assert main(["evaluate", "--uninstall-schedule"]) == 0

    assert f"Not enabled: {problem}" in installed
    assert capsys.readouterr().out.count(f"systemd could not be updated: {problem}") == 1
    assert files_below(units) == {}


@pytest.mark.parametrize("option", ["--install-schedule", "--uninstall-schedule"])
def test_a_damaged_record_of_the_schedule_is_refused_with_its_path(
    units: Path, home: Path, capsys: pytest.CaptureFixture[str], option: str, systemctl: Path
):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    before = files_below(units)
    for damaged in ("{", "[]"):
        (home / "schedule.json").write_text(damaged)

        assert main(["evaluate", option]) == 1

        assert f"{home / 'schedule.json'}: it is not a record of a schedule" in "".join(
            capsys.readouterr().err.splitlines()
        )
    assert files_below(units) == before


def test_a_unit_that_is_a_broken_link_is_left_unchanged(units: Path, home: Path, tmp_path: Path):
    units.mkdir(parents=True)
    (units / "chargehand-evaluate.timer").symlink_to(tmp_path / "nowhere")

    with pytest.raises(CallerError, match="it is a broken link"):
        install_schedule(weekly(home), run=Scheduler(), platform="linux")

    assert (units / "chargehand-evaluate.timer").is_symlink()
    assert not (home / "schedule.json").exists()


def test_a_schedule_env_that_is_missing_or_not_utf_8_does_not_stop_an_uninstall(units: Path, home: Path, capsys):
    for content in (None, b"KEY=\xff"):
        install_schedule(weekly(home), run=Scheduler(), platform="linux")
        (home / "schedule.env").unlink()
        if content is not None:
            (home / "schedule.env").write_bytes(content)

        assert uninstall_schedule(home, run=Scheduler(), platform="linux") == 0

        assert ("you added something to it" in capsys.readouterr().out) is (content is not None)
        assert (home / "schedule.env").exists() is (content is not None)


def test_a_foreign_unit_file_is_not_overwritten_and_nothing_else_is_written(units: Path, home: Path):
    units.mkdir(parents=True)
    (units / "chargehand-evaluate.timer").write_text("[Timer]\n# theirs\n")

    with pytest.raises(CallerError, match="was not written by Chargehand"):
        install_schedule(weekly(home), run=Scheduler(), platform="linux")

    assert files_below(units) == {"chargehand-evaluate.timer": b"[Timer]\n# theirs\n"}
    assert not (home / "schedule.json").exists()


def test_an_edited_unit_file_is_neither_overwritten_nor_removed(
    units: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    timer = units / "chargehand-evaluate.timer"
    edited = timer.read_text() + "# mine\n"
    timer.write_text(edited)

    with pytest.raises(CallerError, match="was changed since"):
        install_schedule(weekly(home, day=3), run=Scheduler(), platform="linux")
    uninstall_schedule(home, run=Scheduler(), platform="linux")

    assert files_below(units) == {"chargehand-evaluate.timer": edited.encode()}
    assert f"{timer}: kept" in capsys.readouterr().out


def test_another_data_folder_does_not_take_over_a_schedule(units: Path, home: Path, tmp_path: Path):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    before = files_below(units)

    with pytest.raises(CallerError, match="was not written by Chargehand in"):
        install_schedule(weekly(tmp_path / "other"), run=Scheduler(), platform="linux")
    uninstall_schedule(tmp_path / "other", run=Scheduler(), platform="linux")

    assert files_below(units) == before


def test_keys_in_schedule_env_survive_reinstall_and_uninstall(
    units: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    filled = f"{TEMPLATE}ANTHROPIC_API_KEY={KEY}\n"
    (home / "schedule.env").write_text(filled)

    install_schedule(weekly(home, day=3), run=Scheduler(), platform="linux")
    uninstall_schedule(home, run=Scheduler(), platform="linux")

    assert (home / "schedule.env").read_text() == filled
    printed = capsys.readouterr().out
    assert "you added something to it" in printed
    assert KEY not in printed


def test_a_partly_written_schedule_can_be_uninstalled_and_reinstalled(units: Path, home: Path, tmp_path: Path):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    (units / "chargehand-evaluate.timer").unlink()

    assert uninstall_schedule(home, run=Scheduler(), platform="linux") == 0
    assert install_schedule(weekly(home), run=Scheduler(), platform="linux") == 0

    assert len(files_below(units)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--day", "monday"), "--day goes with --install-schedule"),
        (("--install-schedule", "--seed", "3"), "--seed cannot go with a schedule"),
        (("--uninstall-schedule", "--json"), "--json cannot go with a schedule"),
        (("--uninstall-schedule", "--only-write"), "--only-write goes with --install-schedule"),
        (("--scheduled", "--resume"), "--resume cannot go with a schedule"),
    ],
)
def test_conflicting_options_are_refused(options, message: str, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", *options]) == 2

    assert message in " ".join(capsys.readouterr().err.split())


def test_unknown_models_or_kinds_are_refused_and_nothing_is_written(
    units: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["evaluate", "--install-schedule", "--only-write", "--models", "haiku", "nobody"]) == 1
    assert main(["evaluate", "--install-schedule", "--only-write", "--kinds", "nokind"]) == 1

    printed = " ".join(capsys.readouterr().err.split())
    assert "nobody" in printed
    assert "--kinds: nokind is unknown. The kinds are: " in printed
    assert not units.exists()


def test_an_invalid_day_or_time_is_refused_and_nothing_is_written(
    units: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["evaluate", "--install-schedule", "--only-write", "--day", "someday"]) == 1
    assert main(["evaluate", "--install-schedule", "--only-write", "--time", "25:00"]) == 1

    printed = " ".join(capsys.readouterr().err.split())
    assert "'someday' is not a day of the week" in printed
    assert "'25:00' is not a time" in printed
    assert not units.exists()


def test_values_in_schedule_env_lose_surrounding_blanks_and_paired_quotes_only(home: Path):
    home.mkdir()
    file = home / "schedule.env"
    file.write_text('# A=0\n\nA=\'x y\'\nB="z" \nC="\nD=\'a"\n E = f=g\nF=aba\n')
    file.chmod(0o600)

    assert read_variables(home) == {"A": "x y", "B": "z", "C": '"', "D": "'a\"", "E": "f=g", "F": "aba"}
