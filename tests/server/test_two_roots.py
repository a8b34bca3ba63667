"""Two folders in CHARGEHAND_ROOTS, over MCP: what runs in a copy of one says nothing of a file in the other."""

import os
from pathlib import Path

import pytest
from running_server import Connect, RunningServer, Script, fenced

from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.vendors import vendors

pytestmark = pytest.mark.anyio

OLD = "def double(n):\n    return 2 * n\n"
WRONG = "def double(count):\n    return 3 * count\n"
CONFIG = '[checks.unit]\ncommand = ["python3", "-m", "doubled"]\nanswer_path = "doubled.py"\n'


@pytest.mark.parametrize("check", [{"tests": "test_doubled.py"}, {"checks": ["unit"]}])
async def test_no_check_in_one_root_verifies_a_change_in_another(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: dict[str, object]
):
    home, checking, library = (tmp_path / name for name in ("chargehand-home", "checking", "library"))
    for folder in (home, checking, library):
        folder.mkdir()
    (home / "config.toml").write_text(CONFIG)
    for folder in (checking, library):
        (folder / "doubled.py").write_text(OLD)
    (checking / "test_doubled.py").write_text(
        "from doubled import double\n\ndef test_it():\n    assert double(4) == 8\n"
    )
    monkeypatch.setenv("CHARGEHAND_ROOTS", os.pathsep.join(map(str, (checking, library))))
    target = str(library / "doubled.py")
    async with vendors(Script({"qwen3:30b-a3b": [Reply(fenced(WRONG))]})) as peers:
        for name, value in peers.environment.items():
            monkeypatch.setenv(name, value)
        async with connect() as client:
            receipt = await RunningServer(client, peers).call(
                "delegate_generation", task=f"Rename n to count in {OLD}", target=target, output="apply", **check
            )

    assert (receipt["status"], (library / "doubled.py").read_text()) == ("unverified", OLD)
    assert any(f"{target} is not below {checking}" in note for note in receipt["notes"])
