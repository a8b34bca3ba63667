"""`chargehand bench context`: how much packing shows in a small context window, compared with truncation."""

from pathlib import Path

import pytest

from chargehand.evaluation.bench.context import measure_context

pytestmark = pytest.mark.anyio


def _write_project(folder: Path) -> Path:
    body = "".join(f"    x_{number} = {number}\n" for number in range(300))
    for name in "abcd":
        (folder / f"{name}.py").write_text(
            f"def long_{name}():\n{body}\n\ndef short_{name}(n):\n    a = n\n    b = a\n    c = b\n    return c\n"
        )
    return folder


async def test_packing_shows_functions_that_truncation_drops(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = await measure_context(_write_project(tmp_path), "*.py", 50)

    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "8 tasks of 8 functions" in printed
    (row,) = (line for line in printed.splitlines() if "4,096" in line)
    assert "8 of 8" in row
    assert "1.00 / 0.25 = 4" in row


@pytest.mark.parametrize(("pattern", "message"), [("*.rb", "matches no text file"), ("*.md", "no function of 5 lines")])
async def test_files_without_measurable_functions_are_refused_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pattern: str, message: str
):
    (_write_project(tmp_path) / "README.md").write_text("# A\n")

    assert await measure_context(tmp_path, pattern, 5) == 2
    assert message in capsys.readouterr().err
