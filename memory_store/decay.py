"""How evidence loses weight: by its age, and by a change of the model's build."""

HALF_LIFE_DAYS = 90.0
"""Our own estimate, not measured: models, prompts and projects change over months."""

_SECONDS_PER_DAY = 86_400.0


def age_weight(age_s: float, half_life_days: float = HALF_LIFE_DAYS) -> float:
    """1 for new evidence, halved with each half-life; 1 also for a negative age, as after a clock was set back."""
    return 0.5 ** (max(0.0, age_s) / _SECONDS_PER_DAY / half_life_days)


def is_other_build(build: str | None, today: str | None) -> bool:
    """Whether both builds are known and differ."""
    return build is not None and today is not None and build != today
