"""Nothing of a call is shown to a model before it was examined."""

import re
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[3] / "tools"
READS_FILES = re.compile(r"\bread_context\(|\broots\.read\(")


@pytest.mark.parametrize("module", sorted(TOOLS.glob("*.py")), ids=lambda path: path.stem)
def test_a_tool_that_reads_files_for_a_model_examines_them(module: Path):
    source = module.read_text(encoding="utf-8")

    assert not READS_FILES.search(source) or "examine_call(" in source
