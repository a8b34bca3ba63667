"""`chargehand evaluate --install-schedule` and its opposite: what is on the disk before, after, and in between."""

import stat
from pathlib import Path

import pytest

from chargehand.server.cli import main
from chargehand.server.hosts.installing import own_command
from chargehand.server.schedule.arguments import install_schedule, uninstall_schedule
from chargehand.server.schedule.environment import TEMPLATE
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
    """Takes every command, or none."""

    def __init__(self, trouble: str | None = None) -> None:
        self.trouble = trouble
        self.heard: list[str] = []

    def __call__(self, command) -> str | None:
        self.heard.append(" ".join(command))
        return self.trouble


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weekly(home: Path, *more: str, day: int = 0) -> Weekly:
    return Weekly(command=("/bin/chargehand", "evaluate", "--scheduled", str(home), *more), home=home, day=day)


def test_the_command_writes_units_without_any_key_and_says_what_switches_them_on(
    units: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setattr("sys.platform", "linux")

    typed = ("--day", "sat", "--time", "5:00", "--models", "haiku", "local", "--budget-usd", "0.25", "--repeat", "2")
    assert main(["evaluate", "--install-schedule", "--only-write", *typed]) == 0

    service = (units / "chargehand-evaluate.service").read_text()
    wanted = (*own_command(), "evaluate", "--scheduled", str(home), "--models", "haiku", "local")
    assert " ".join(f'"{word}"' for word in (*wanted, "--budget-usd", "0.25", "--repeat", "2")) in service
    assert "OnCalendar=Sat..Sun *-*-* 05:00:00" in (units / "chargehand-evaluate.timer").read_text()
    written = {**files_below(units), **files_below(home)}
    assert not any(KEY.encode() in content for content in written.values())
    assert stat.S_IMODE((home / "schedule.env").stat().st_mode) == 0o600
    said = capsys.readouterr().out
    assert "systemctl --user enable --now chargehand-evaluate.timer" in said
    assert str(home / "schedule.env") in said


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_what_was_installed_goes_without_a_trace(units: Path, home: Path, tmp_path: Path, platform: str):
    before = files_below(tmp_path)

    assert install_schedule(weekly(home), run=Scheduler(), platform=platform) == 0
    installed = files_below(tmp_path)
    assert uninstall_schedule(home, run=Scheduler(), platform=platform) == 0

    assert len(installed) > len(before)
    assert files_below(tmp_path) == before


def test_again_changes_nothing_and_another_day_replaces_it(units: Path, home: Path, tmp_path: Path):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    first = files_below(tmp_path)
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    again = files_below(tmp_path)
    later = Scheduler()
    install_schedule(weekly(home, day=3), run=later, platform="linux")

    assert again == first
    assert "OnCalendar=Thu..Sun" in (units / "chargehand-evaluate.timer").read_text()
    assert later.heard == [
        "systemctl --user disable --now chargehand-evaluate.timer",
        "systemctl --user daemon-reload",
        "systemctl --user enable --now chargehand-evaluate.timer",
    ]


def test_a_scheduler_that_is_not_there_leaves_the_files_and_the_command(
    units: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    assert install_schedule(weekly(home), run=Scheduler("no bus"), platform="linux") == 3

    said = capsys.readouterr().out
    assert "Not enabled: no bus" in said
    assert "systemctl --user enable --now chargehand-evaluate.timer" in said
    assert (units / "chargehand-evaluate.timer").exists()


def test_a_file_of_somebody_else_is_not_overwritten_and_nothing_else_is_written(units: Path, home: Path):
    units.mkdir(parents=True)
    (units / "chargehand-evaluate.timer").write_text("[Timer]\n# theirs\n")

    with pytest.raises(CallerError, match="was not written by Chargehand"):
        install_schedule(weekly(home), run=Scheduler(), platform="linux")

    assert files_below(units) == {"chargehand-evaluate.timer": b"[Timer]\n# theirs\n"}
    assert not (home / "schedule.json").exists()


def test_a_file_that_was_changed_since_is_neither_overwritten_nor_removed(
    units: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    timer = units / "chargehand-evaluate.timer"
    mine = timer.read_text() + "# mine\n"
    timer.write_text(mine)

    with pytest.raises(CallerError, match="was changed since"):
        install_schedule(weekly(home, day=3), run=Scheduler(), platform="linux")
    uninstall_schedule(home, run=Scheduler(), platform="linux")

    assert files_below(units) == {"chargehand-evaluate.timer": mine.encode()}
    assert f"{timer}: kept" in capsys.readouterr().out


def test_another_data_folder_does_not_take_over_a_schedule(units: Path, home: Path, tmp_path: Path):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    before = files_below(units)

    with pytest.raises(CallerError, match="was not written by Chargehand in"):
        install_schedule(weekly(tmp_path / "other"), run=Scheduler(), platform="linux")
    uninstall_schedule(tmp_path / "other", run=Scheduler(), platform="linux")

    assert files_below(units) == before


def test_keys_that_were_put_in_stay(units: Path, home: Path, capsys: pytest.CaptureFixture[str]):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    filled = f"{TEMPLATE}ANTHROPIC_API_KEY={KEY}\n"
    (home / "schedule.env").write_text(filled)

    install_schedule(weekly(home, day=3), run=Scheduler(), platform="linux")
    uninstall_schedule(home, run=Scheduler(), platform="linux")

    assert (home / "schedule.env").read_text() == filled
    said = capsys.readouterr().out
    assert "you added something to it" in said
    assert KEY not in said


def test_a_kill_between_the_record_and_the_files_leaves_nothing_that_cannot_be_removed(
    units: Path, home: Path, tmp_path: Path
):
    install_schedule(weekly(home), run=Scheduler(), platform="linux")
    (units / "chargehand-evaluate.timer").unlink()

    assert uninstall_schedule(home, run=Scheduler(), platform="linux") == 0
    assert install_schedule(weekly(home), run=Scheduler(), platform="linux") == 0

    assert len(files_below(units)) == 2


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        (("--day", "monday"), "--day goes with --install-schedule"),
        (("--install-schedule", "--seed", "3"), "--seed cannot go with a schedule"),
        (("--scheduled", "--resume"), "--resume cannot go with a schedule"),
    ],
)
def test_what_cannot_go_together_is_named(typed, complaint: str, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", *typed]) == 2

    assert complaint in " ".join(capsys.readouterr().err.split())


def test_nothing_is_written_for_models_or_kinds_that_nobody_knows(
    units: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["evaluate", "--install-schedule", "--only-write", "--models", "haiku", "nobody"]) == 1
    assert main(["evaluate", "--install-schedule", "--only-write", "--kinds", "nokind"]) == 1

    said = " ".join(capsys.readouterr().err.split())
    assert "nobody" in said
    assert "--kinds: nokind is unknown. The kinds are: " in said
    assert not units.exists()


def test_nothing_is_written_for_a_day_or_time_that_is_none(units: Path, home: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "--install-schedule", "--only-write", "--day", "someday"]) == 1
    assert main(["evaluate", "--install-schedule", "--only-write", "--time", "25:00"]) == 1

    said = " ".join(capsys.readouterr().err.split())
    assert "'someday' is not a day of the week" in said
    assert "'25:00' is not a time" in said
    assert not units.exists()
