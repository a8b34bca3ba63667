"""Tools that read files for a model examine the call (checked in their source)."""

import re
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[3] / "tools"
READS_FILES = re.compile(r"\bread_context\(|\broots\.read\(")


@pytest.mark.parametrize("module", sorted(TOOLS.glob("*.py")), ids=lambda path: path.stem)
def test_tools_that_read_files_also_call_examine_call(module: Path):
    source = module.read_text(encoding="utf-8")

    assert not READS_FILES.search(source) or "examine_call(" in source
