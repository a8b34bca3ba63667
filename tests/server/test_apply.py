"""`output=apply`: the result is checked in a copy and written into the files, so that no code comes back."""

from pathlib import Path

import pytest
from house import OpenHouse, Script, fenced

from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

LOCAL = "qwen3:30b-a3b"
RENAME = "Rename the variable n to count in this function: def double(n): return 2 * n"
TESTS = "assert double(4) == 8"
RIGHT = Reply(fenced("def double(count):\n    return 2 * count"))
WRONG = Reply(fenced("def double(count):\n    return count ** 2"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "doubling.py").write_bytes(b"def double(n):\r\n    return 2 * n\r\n")
    return folder


async def test_a_verified_result_is_written_and_its_code_stays_out_of_the_receipt(open_house: OpenHouse, project: Path):
    async with open_house(Script({LOCAL: [RIGHT]})) as house:
        receipt = await house.call(
            "delegate_generation", task=RENAME, tests=TESTS, output="apply", target="doubling.py"
        )

    assert receipt["status"] == "succeeded", receipt
    assert receipt["files_changed"] == [{"path": "doubling.py", "added": 2, "removed": 2}]
    assert "code" not in receipt
    assert (project / "doubling.py").read_bytes() == b"def double(count):\r\n    return 2 * count\r\n"
