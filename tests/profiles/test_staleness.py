"""Facts in profiles that have become stale."""

import datetime as dt
from pathlib import Path

import pytest

from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.staleness import stale_facts


def stale_facts_of(model: str, text: str, folder: Path, today: dt.date) -> list[str]:
    """What is stale in a shipped profile with these changes, without the remedies."""
    (folder / "old.yaml").write_text(f"id: {model}\n{text}\n")
    stale = stale_facts(load_catalogue(folder), today)
    return [fact.partition(". ")[0] for fact in stale if fact.startswith(f"{model}: ")]


def test_a_deprecated_model_past_its_last_day_is_stale(tmp_path: Path):
    text = "lifecycle: {status: deprecated}"

    assert stale_facts_of("claude-sonnet-4-5", text, tmp_path, dt.date(2026, 11, 30)) == [
        "claude-sonnet-4-5: retired on 2026-11-30; claude-sonnet-5-5 takes its place"
    ]


@pytest.mark.parametrize(
    ("today", "stale"),
    [
        (dt.date(2026, 11, 29), []),
        (
            dt.date(2026, 11, 30),
            ["claude-opus-5-5: retires on 2026-12-30, in 30 day(s); it names no successor"],
        ),
    ],
)
def test_a_model_is_stale_from_thirty_days_before_its_last_day(tmp_path: Path, today: dt.date, stale: list[str]):
    text = "lifecycle: {status: deprecated, retires_on: 2026-12-30}"

    assert stale_facts_of("claude-opus-5-5", text, tmp_path, today) == stale


@pytest.mark.parametrize(
    ("today", "stale"),
    [
        (dt.date(2027, 2, 21), []),
        (dt.date(2027, 2, 22), ["claude-opus-5-5: its price was seen on 2026-11-23, 91 days ago"]),
    ],
)
def test_a_price_is_stale_after_ninety_days(tmp_path: Path, today: dt.date, stale: list[str]):
    assert stale_facts_of("claude-opus-5-5", "price: {seen: 2026-11-23}", tmp_path, today) == stale


def test_the_price_of_a_model_that_is_no_longer_offered_does_not_get_stale(tmp_path: Path):
    assert stale_facts_of("claude-sonnet-4-5", "roles: {}", tmp_path, dt.date(2030, 1, 1)) == []


def test_a_role_that_only_deprecated_models_play_is_named_with_the_last_day_of_its_first(tmp_path: Path):
    for model, last_day in (("gpt-oss-120b", "2027-06-01"), ("qwen-3.8-27b", "2027-07-01")):
        text = f"id: {model}\nlifecycle: {{status: deprecated, retires_on: {last_day}}}\n"
        (tmp_path / f"{model}.yaml").write_text(text)

    stale = stale_facts(load_catalogue(tmp_path), dt.date(2026, 11, 30))

    assert stale == (
        "role fast_coder: no active model plays it (gpt-oss-120b retires on 2027-06-01). Give a profile that is active"
        " `roles: {fast_coder: 1}`.",
    )
