"""Succession: which model has a role when another is retired, new or deprecated, and the notices about it."""

import datetime as dt
from dataclasses import replace
from typing import Any

from chargehand.profiles.catalogue import Catalogue
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.model import ModelProfile
from chargehand.profiles.retirement import notice_of, notices

SHIPPED = load_catalogue()
LAST_DAY = dt.date(2027, 1, 31)
DAY_BEFORE, LONG_BEFORE = LAST_DAY - dt.timedelta(days=1), LAST_DAY - dt.timedelta(days=31)
OLD, NEW = "claude-sonnet-5-5", "claude-sonnet-6"


def successor(**lifecycle: Any) -> ModelProfile:
    """The next Sonnet, without roles of its own."""
    facts = SHIPPED.profiles[OLD].model_dump() | {"id": NEW, "api_model": NEW, "roles": {}}
    return ModelProfile.model_validate(facts | {"lifecycle": facts["lifecycle"] | lifecycle})


def catalogue(*added: ModelProfile, named: str | None = NEW) -> Catalogue:
    """The shipped catalogue with these models added and the old Sonnet deprecated in favour of `named`."""
    old = SHIPPED.profiles[OLD]
    lifecycle = {"status": "deprecated", "retires_on": LAST_DAY, "successor": named}
    deprecated = old.model_copy(update={"lifecycle": old.lifecycle.model_copy(update=lifecycle)})
    profiles = {**SHIPPED.profiles, OLD: deprecated, **{p.id: p for p in added}}
    return replace(SHIPPED, profiles=profiles)


def validators(models: Catalogue, day: dt.date) -> list[str]:
    return [p.id for p in models.models_in_role("validator", day, reference_first=False)]


def test_a_deprecated_model_has_its_role_until_its_last_day_and_then_its_successor_has_it():
    models = catalogue(successor())

    assert validators(models, DAY_BEFORE) == [OLD]
    assert validators(models, LAST_DAY) == [NEW]


def test_a_successor_with_its_own_rank_in_the_role_keeps_it():
    with_role = successor().model_copy(update={"roles": {"validator": 7}})

    assert validators(catalogue(with_role), LAST_DAY) == [NEW]
    assert catalogue(with_role).profiles[NEW].roles == {"validator": 7}


def test_a_role_that_the_user_removed_is_not_inherited():
    facts = successor().model_dump(exclude={"roles_taken_away"}) | {"roles": {"validator": None}}

    assert validators(catalogue(ModelProfile.model_validate(facts)), LAST_DAY) == []


def test_the_role_passes_to_the_first_successor_that_is_still_offered():
    retired = successor(status="retired", successor="claude-opus-5-5")

    assert validators(catalogue(retired), LAST_DAY) == ["claude-opus-5-5"]


def test_retired_models_that_name_each_other_as_successors_leave_the_role_empty():
    retired = successor(status="retired", successor=OLD)

    assert validators(catalogue(retired), LAST_DAY) == []


def test_a_model_on_probation_has_no_role_and_is_selected_only_by_its_own_name():
    new = successor(on_probation=True).model_copy(update={"roles": {"validator": 1}})
    models = catalogue(new)

    assert validators(models, DAY_BEFORE) == [OLD]
    assert models.named(NEW, DAY_BEFORE) == (new,)
    assert new not in models.named("sonnet", DAY_BEFORE)


def test_a_successor_on_probation_inherits_nothing():
    assert validators(catalogue(successor(on_probation=True)), LAST_DAY) == []


def test_a_retirement_is_announced_for_thirty_days_with_the_successor():
    models = catalogue(successor())

    notice = notice_of(models.profiles[OLD], models, LONG_BEFORE + dt.timedelta(days=1))

    assert notice is not None
    assert (notice.days, notice.roles, notice.successor) == (30, ("validator",), NEW)
    assert notice.text == f"{OLD} stops answering on 2027-01-31, in 30 days; its successor is {NEW}"
    assert notice_of(models.profiles[OLD], models, LONG_BEFORE) is None
    assert notice_of(models.profiles[OLD], models, LAST_DAY) is None


def test_the_notice_names_a_successor_that_is_still_offered_on_that_day():
    retired_by_then = successor(status="deprecated", retires_on=LAST_DAY, successor="claude-opus-5-5")

    (notice,) = [entry for entry in notices(catalogue(retired_by_then), DAY_BEFORE) if entry.model == OLD]

    assert notice.successor == "claude-opus-5-5"


def test_the_notice_says_when_the_successor_is_on_probation_or_unknown():
    on_probation = notices(catalogue(successor(on_probation=True)), DAY_BEFORE)
    no_successor = notices(catalogue(named=None), DAY_BEFORE)

    assert "on probation" in on_probation[0].text
    assert "--from-releases" in no_successor[0].text
