"""Of many reasons why no model can be asked, those that the user is nearest to mending."""

import dataclasses

import pytest
from routing_scene import circumstances, question

from chargehand.tools.routing.candidates import Candidate, Obstacle, ObstacleKind
from chargehand.tools.routing.missing import doctor_hint, nearest, obstacles_in_words
from chargehand.tools.routing.selection import select_model

CANDIDATES = {c.profile.id: c for c in select_model(question(3), circumstances()).candidates}
HAIKU, SONNET, OPUS, FAST, LOCAL = (
    CANDIDATES[model]
    for model in ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "gpt-oss-120b", "qwen3-30b-a3b")
)


def kept(candidate: Candidate, *kinds: ObstacleKind, why: str = "why", is_set_up: bool | None = True) -> Candidate:
    """The candidate, kept from being asked by these."""
    there = dataclasses.replace(candidate.availability, is_set_up=is_set_up)
    return dataclasses.replace(candidate, obstacles=tuple(Obstacle(kind, why) for kind in kinds), availability=there)


@pytest.mark.parametrize(
    ("nearer", "farther"),
    [
        (kept(HAIKU, "too_expensive"), kept(LOCAL, "unreachable")),
        (kept(HAIKU, "unreachable"), kept(LOCAL, "unreachable", is_set_up=None)),
        (kept(LOCAL, "unreachable", is_set_up=None), kept(HAIKU, "unreachable", is_set_up=False)),
        (kept(HAIKU, "unreachable", is_set_up=False), kept(SONNET, "not_local")),
        (kept(HAIKU, "not_local"), kept(SONNET, "retired")),
        (kept(OPUS, "too_long"), kept(HAIKU, "too_expensive", "too_slow")),
    ],
)
def test_what_is_easier_to_mend_is_told(nearer: Candidate, farther: Candidate):
    assert nearest([farther, nearer]) == [nearer]


def test_a_model_of_several_roles_is_told_once_and_for_its_first():
    first = kept(HAIKU, "unreachable")
    again = dataclasses.replace(first, role="director")

    assert nearest([first, kept(SONNET, "unreachable"), again]) == [first, kept(SONNET, "unreachable")]


def test_models_of_a_vendor_are_named_together_only_where_their_reason_is_the_same():
    near = [kept(HAIKU, "unreachable", why="no key."), kept(SONNET, "unreachable", why="gone.")]

    assert obstacles_in_words(near) == "no key (for claude-haiku-5-5)"
    assert (
        obstacles_in_words([*near, kept(OPUS, "unreachable", why="no key.")])
        == "no key (for claude-haiku-5-5, claude-opus-5-5)"
    )


def test_no_more_than_three_vendors_are_told_of():
    hosts = [dataclasses.replace(HAIKU.availability, host=f"host{number}") for number in range(4)]
    near = [dataclasses.replace(kept(HAIKU, "unreachable"), availability=host) for host in hosts]

    assert obstacles_in_words(near).count("why") == 3


def test_the_doctor_is_named_unless_a_limit_of_the_call_is_all_there_is():
    assert doctor_hint([kept(FAST, "too_expensive")]) == doctor_hint([]) == ""
    assert "chargehand doctor" in doctor_hint([kept(FAST, "unreachable")])
