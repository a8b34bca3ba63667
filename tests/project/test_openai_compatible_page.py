"""The example profiles in the documentation can be loaded."""

import re
from pathlib import Path

import pytest

from chargehand.profiles.loading import load_catalogue

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("page", ["docs/models.md", "docs/openai-compatible.md"])
def test_the_example_profiles_in_the_docs_load_without_problems(page: str, tmp_path: Path):
    examples = [
        text
        for text in re.findall(r"```yaml\n(.*?)```", (CHECKOUT / page).read_text(encoding="utf-8"), re.DOTALL)
        if "provider: openai_compatible" in text
    ]
    names = [re.search(r"^id: (\S+)", text, re.MULTILINE)[1] for text in examples]  # type: ignore[index]  # each has one
    for name, text in zip(names, examples, strict=True):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    catalogue = load_catalogue(tmp_path)

    assert names
    assert catalogue.problems == ()
    assert {catalogue.profiles[name].provider for name in names} == {"openai_compatible"}
