"""When no model can be called: the obstacles that the user can remove most easily."""

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


def with_obstacles(
    candidate: Candidate, *kinds: ObstacleKind, why: str = "why", is_set_up: bool | None = True
) -> Candidate:
    """The candidate with obstacles of these kinds."""
    availability = dataclasses.replace(candidate.availability, is_set_up=is_set_up)
    return dataclasses.replace(
        candidate, obstacles=tuple(Obstacle(kind, why) for kind in kinds), availability=availability
    )


@pytest.mark.parametrize(
    ("nearer", "farther"),
    [
        (with_obstacles(HAIKU, "too_expensive"), with_obstacles(LOCAL, "unreachable")),
        (with_obstacles(HAIKU, "unreachable"), with_obstacles(LOCAL, "unreachable", is_set_up=None)),
        (with_obstacles(LOCAL, "unreachable", is_set_up=None), with_obstacles(HAIKU, "unreachable", is_set_up=False)),
        (with_obstacles(HAIKU, "unreachable", is_set_up=False), with_obstacles(SONNET, "not_local")),
        (with_obstacles(HAIKU, "not_local"), with_obstacles(SONNET, "retired")),
        (with_obstacles(OPUS, "too_long"), with_obstacles(HAIKU, "too_expensive", "too_slow")),
    ],
)
def test_candidates_with_the_obstacle_that_is_easiest_to_remove_are_reported(nearer: Candidate, farther: Candidate):
    assert nearest([farther, nearer]) == [nearer]


def test_a_model_with_several_roles_is_reported_once_in_its_first_role():
    first = with_obstacles(HAIKU, "unreachable")
    in_second_role = dataclasses.replace(first, role="director")

    assert nearest([first, with_obstacles(SONNET, "unreachable"), in_second_role]) == [
        first,
        with_obstacles(SONNET, "unreachable"),
    ]


def test_models_of_a_host_are_listed_together_only_if_their_obstacle_is_the_same():
    candidates = [
        with_obstacles(HAIKU, "unreachable", why="no key."),
        with_obstacles(SONNET, "unreachable", why="gone."),
    ]

    assert obstacles_in_words(candidates) == "no key (for claude-haiku-5-5)"
    assert (
        obstacles_in_words([*candidates, with_obstacles(OPUS, "unreachable", why="no key.")])
        == "no key (for claude-haiku-5-5, claude-opus-5-5)"
    )


def test_at_most_three_hosts_are_reported():
    hosts = [dataclasses.replace(HAIKU.availability, host=f"host{number}") for number in range(4)]
    candidates = [dataclasses.replace(with_obstacles(HAIKU, "unreachable"), availability=host) for host in hosts]

    assert obstacles_in_words(candidates).count("why") == 3


def test_chargehand_doctor_is_suggested_unless_only_limits_of_the_call_are_in_the_way():
    assert doctor_hint([with_obstacles(FAST, "too_expensive")]) == doctor_hint([]) == ""
    assert "chargehand doctor" in doctor_hint([with_obstacles(FAST, "unreachable")])
