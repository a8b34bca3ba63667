"""Mains or battery power, as each operating system reports it."""

from pathlib import Path

import pytest

from chargehand.server.schedule.power import is_drawing_from_battery, is_unplugged

MOUSE = {"type": "Battery", "scope": "Device", "status": "Discharging"}
BATTERY = {"type": "Battery", "status": "Discharging"}
CHARGING = {"type": "Battery", "status": "Charging"}
PLUGGED, UNPLUGGED = {"type": "Mains", "online": "1"}, {"type": "Mains", "online": "0"}


@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        ((), None),
        ((MOUSE,), None),
        ((PLUGGED, BATTERY), False),
        ((UNPLUGGED, BATTERY), True),
        ((UNPLUGGED, CHARGING), False),  # by a supply that is not listed
        ((BATTERY, MOUSE), True),
        (({"type": "USB", "online": "1"}, BATTERY), False),
        ((UNPLUGGED,), True),
    ],
)
def test_linux_is_on_battery_when_no_other_supply_gives_power(tmp_path: Path, supplies, expected: bool | None):
    for number, attributes in enumerate(supplies):
        folder = tmp_path / f"supply{number}"
        folder.mkdir()
        for name, value in attributes.items():
            (folder / name).write_text(f"{value}\n")

    assert is_unplugged(tmp_path) is expected


def test_without_the_kernels_folder_the_power_source_is_unknown(tmp_path: Path):
    assert is_unplugged(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1)\t85%; discharging\n", True),
        ("Now drawing from 'AC Power'\n -InternalBattery-0 (id=1)\t85%; charging\n", False),
        ("Now drawing from 'UPS Power'\n", None),
        ("", None),
    ],
)
def test_macos_reports_its_power_source(output: str, expected: bool | None):
    assert is_drawing_from_battery(output) is expected
