"""Facts in profiles that have become stale."""

import datetime as dt
from pathlib import Path

from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.staleness import stale_facts


def test_a_deprecated_model_past_its_last_day_is_stale(tmp_path: Path):
    (tmp_path / "old.yaml").write_text("id: claude-sonnet-4-5\nlifecycle: {status: deprecated}\n")

    stale = stale_facts(load_catalogue(tmp_path), dt.date(2026, 11, 30))

    assert [fact.partition(". ")[0] for fact in stale] == [
        "claude-sonnet-4-5: retired on 2026-11-30; claude-sonnet-5-5 takes its place"
    ]
