"""From model to model: who plays a role when one is gone, new, or about to go, and what is said of it."""

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
    """The next Sonnet, which has no role of its own."""
    facts = SHIPPED.profiles[OLD].model_dump() | {"id": NEW, "api_model": NEW, "roles": {}}
    return ModelProfile.model_validate(facts | {"lifecycle": facts["lifecycle"] | lifecycle})


def catalogue(*others: ModelProfile, named: str | None = NEW) -> Catalogue:
    """The old Sonnet is deprecated, and names its successor."""
    old = SHIPPED.profiles[OLD]
    fate = {"status": "deprecated", "retires_on": LAST_DAY, "successor": named}
    going = old.model_copy(update={"lifecycle": old.lifecycle.model_copy(update=fate)})
    profiles = {**SHIPPED.profiles, OLD: going, **{p.id: p for p in others}}
    return replace(SHIPPED, profiles=profiles)


def validators(among: Catalogue, day: dt.date) -> list[str]:
    return [p.id for p in among.models_in_role("validator", day, reference_first=False)]


def test_a_deprecated_model_plays_its_role_until_its_last_day_and_its_successor_from_then_on():
    among = catalogue(successor())

    assert validators(among, DAY_BEFORE) == [OLD]
    assert validators(among, LAST_DAY) == [NEW]


def test_a_successor_with_a_place_of_its_own_keeps_that():
    own = successor().model_copy(update={"roles": {"validator": 7}})

    assert validators(catalogue(own), LAST_DAY) == [NEW]
    assert catalogue(own).profiles[NEW].roles == {"validator": 7}


def test_a_role_that_the_user_took_away_is_not_inherited():
    facts = successor().model_dump(exclude={"roles_taken_away"}) | {"roles": {"validator": None}}

    assert validators(catalogue(ModelProfile.model_validate(facts)), LAST_DAY) == []


def test_a_succession_goes_on_to_the_first_who_is_still_offered():
    gone = successor(status="retired", successor="claude-opus-5-5")

    assert validators(catalogue(gone), LAST_DAY) == ["claude-opus-5-5"]


def test_models_that_name_each_other_leave_the_role_empty():
    gone = successor(status="retired", successor=OLD)

    assert validators(catalogue(gone), LAST_DAY) == []


def test_on_probation_a_model_plays_no_role_and_is_had_by_name():
    new = successor(on_probation=True).model_copy(update={"roles": {"validator": 1}})
    among = catalogue(new)

    assert validators(among, DAY_BEFORE) == [OLD]
    assert among.named(NEW, DAY_BEFORE) == (new,)
    assert new not in among.named("sonnet", DAY_BEFORE)


def test_a_successor_on_probation_inherits_nothing():
    assert validators(catalogue(successor(on_probation=True)), LAST_DAY) == []


def test_a_retirement_is_announced_for_thirty_days_with_the_successor():
    among = catalogue(successor())

    due = notice_of(among.profiles[OLD], among, LONG_BEFORE + dt.timedelta(days=1))

    assert due is not None
    assert (due.days, due.roles, due.successor) == (30, ("validator",), NEW)
    assert due.text == f"{OLD} stops answering on 2027-01-31, in 30 days; its successor is {NEW}"
    assert notice_of(among.profiles[OLD], among, LONG_BEFORE) is None
    assert notice_of(among.profiles[OLD], among, LAST_DAY) is None


def test_the_notice_names_who_will_be_there_that_day():
    gone_by_then = successor(status="deprecated", retires_on=LAST_DAY, successor="claude-opus-5-5")

    (due,) = [notice for notice in notices(catalogue(gone_by_then), DAY_BEFORE) if notice.model == OLD]

    assert due.successor == "claude-opus-5-5"


def test_the_notice_says_what_is_missing_for_a_successor():
    on_probation = notices(catalogue(successor(on_probation=True)), DAY_BEFORE)
    nobody = notices(catalogue(named=None), DAY_BEFORE)

    assert "on probation" in on_probation[0].text
    assert "--from-releases" in nobody[0].text
