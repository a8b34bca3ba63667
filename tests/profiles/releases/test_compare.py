"""Proposals from a vendor's listing: retirements, successors, new models, and changed prices."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from chargehand.profiles.catalogue import Catalogue
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.model import ModelProfile
from chargehand.profiles.price import Price, PriceChange
from chargehand.profiles.proposal import Proposal
from chargehand.profiles.releases.compare import Findings, compare
from chargehand.profiles.releases.comparison import KnownPrice
from chargehand.profiles.releases.listing import ListedModel, ListedThinking, ListedWeights, Listing

_SHIPPED = load_catalogue()
_DEPARTING = _SHIPPED.profiles["claude-sonnet-4-5"]
# The catalogue in the last week before a model's retirement.
CATALOGUE = replace(
    _SHIPPED,
    profiles={
        **_SHIPPED.profiles,
        _DEPARTING.id: _DEPARTING.model_copy(
            update={"lifecycle": _DEPARTING.lifecycle.model_copy(update={"status": "deprecated"})}
        ),
    },
)
TODAY = dt.date(2026, 11, 25)
IN_THREE_WEEKS = dt.date(2026, 12, 16)
HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
RELEASED = {HAIKU: dt.date(2026, 10, 7), SONNET: dt.date(2026, 9, 22), OPUS: dt.date(2026, 9, 22)}
NEXT = "claude-sonnet-6"


def price(usd: float = 2.0, **more: Any) -> Price:
    rates = {"input_usd_per_million_tokens": usd, "output_usd_per_million_tokens": 5 * usd}
    return Price(**rates, source="a price list", seen=TODAY, **more)


def no_price(*_: object) -> None:
    return None


def claude(wire_id: str, **facts: Any) -> ListedModel:
    defaults = {"line": wire_id.split("-")[1], "released": RELEASED.get(wire_id), "lifecycle": "active"}
    return ListedModel(id=wire_id, **{**defaults, **facts})


def price_list(wire_id: str, charged: Price) -> KnownPrice:
    """A price list of one entry."""
    return lambda _, requested: charged if requested == wire_id else None


def from_anthropic(*models: ListedModel) -> Listing:
    """A listing of all known models, in which these replace or join the defaults."""
    by_id = {model.id: model for model in models}
    listed = [by_id.pop(name, claude(name)) for name in (*RELEASED, "claude-fable-5-1", "claude-fable-5-2")]
    if not any(name.startswith("claude-sonnet-4-5") for name in by_id):
        listed.append(claude("claude-sonnet-4-5", lifecycle="deprecated", retires_on=dt.date(2026, 11, 30)))
    return Listing(
        provider="anthropic",
        source="Anthropic models.list",
        seen=TODAY,
        models=(*listed, *by_id.values()),
    )


def from_cerebras(*models: ListedModel) -> Listing:
    return Listing(provider="cerebras", source="Cerebras models.list", seen=TODAY, models=models)


def from_ollama(*models: ListedModel) -> Listing:
    return Listing(provider="ollama", source="Ollama show", seen=TODAY, models=models)


def compare_listing(listing: Listing, known: KnownPrice = no_price, catalogue: Catalogue = CATALOGUE) -> Findings:
    return compare(listing, catalogue, known, TODAY)


def apply_all(findings: Findings, catalogue: Catalogue = CATALOGUE) -> Catalogue:
    """The catalogue with all proposals applied."""
    profiles = dict(catalogue.profiles)
    for proposal in findings.proposals:
        facts: Any = proposal.after
        if proposal.place:
            (key,) = proposal.place
            facts = profiles[proposal.profile].model_dump(mode="json") | {key: proposal.after}
        profiles[proposal.profile] = ModelProfile.model_validate(facts)
    return replace(catalogue, profiles=profiles)


def only(findings: Findings) -> Proposal:
    (proposal,) = findings.proposals
    return proposal


def test_a_listing_without_news_gives_no_proposals():
    assert compare_listing(from_anthropic()) == Findings()


def test_a_deprecation_is_proposed_with_its_last_day_and_a_warning_about_the_role():
    deprecated = claude(OPUS, lifecycle="deprecated", retires_on=IN_THREE_WEEKS)

    proposal = only(compare_listing(from_anthropic(deprecated)))
    after = apply_all(compare_listing(from_anthropic(deprecated)))

    assert (proposal.profile, proposal.place, proposal.needs_consent) == (OPUS, ("lifecycle",), False)
    assert proposal.evidence.note == "Stops answering on 2026-12-16"
    assert any("director" in warning for warning in proposal.warnings)
    lifecycle = after.profiles[OPUS].lifecycle
    assert (lifecycle.status, lifecycle.retires_on) == ("deprecated", IN_THREE_WEEKS)
    assert (lifecycle.source, lifecycle.seen) == ("Anthropic models.list", TODAY)


def test_the_newest_active_model_of_the_line_becomes_successor_and_has_the_role_from_that_day():
    deprecated = claude(SONNET, lifecycle="deprecated", retires_on=IN_THREE_WEEKS)
    successor = claude(NEXT, released=dt.date(2026, 11, 20))

    after = apply_all(compare_listing(from_anthropic(deprecated, successor), price_list(NEXT, price())))

    assert after.profiles[SONNET].lifecycle.successor == NEXT
    lifted = after.profiles[NEXT].lifecycle.model_copy(update={"on_probation": False})
    evaluated = after.profiles[NEXT].model_copy(update={"lifecycle": lifted, "roles": {}})
    after = replace(after, profiles={**after.profiles, NEXT: evaluated})
    day_before = IN_THREE_WEEKS - dt.timedelta(days=1)
    assert [p.id for p in after.models_in_role("validator", day_before)] == [SONNET]
    assert [p.id for p in after.models_in_role("validator", IN_THREE_WEEKS)] == [NEXT]


def test_a_successor_on_probation_is_warned_about():
    deprecated = claude(SONNET, lifecycle="deprecated", retires_on=IN_THREE_WEEKS)
    successor = claude(NEXT, released=dt.date(2026, 11, 20))

    first = compare_listing(from_anthropic(deprecated, successor), price_list(NEXT, price())).proposals[0]

    assert f"Its successor {NEXT} is on probation: evaluate it before 2026-12-16." in first.warnings


def test_a_model_listed_as_retired_is_no_longer_offered_whatever_day_was_announced():
    before = apply_all(compare_listing(from_anthropic(claude(OPUS, lifecycle="deprecated", retires_on=IN_THREE_WEEKS))))

    retired = compare_listing(from_anthropic(claude(OPUS, lifecycle="retired")), catalogue=before)

    assert not apply_all(retired, before).profiles[OPUS].is_offered_on(TODAY)


def test_a_postponed_retirement_gets_its_new_day_and_a_cancelled_one_is_removed():
    announced = apply_all(
        compare_listing(from_anthropic(claude(OPUS, lifecycle="deprecated", retires_on=IN_THREE_WEEKS)))
    )
    later = dt.date(2027, 3, 1)

    put_off = apply_all(
        compare_listing(from_anthropic(claude(OPUS, lifecycle="deprecated", retires_on=later)), catalogue=announced),
        announced,
    )
    called_off = apply_all(compare_listing(from_anthropic(), catalogue=announced), announced)

    assert put_off.profiles[OPUS].lifecycle.retires_on == later
    assert called_off.profiles[OPUS].lifecycle.status == "active"
    assert called_off.profiles[OPUS].lifecycle.retires_on is None


def test_a_deprecation_without_a_date_is_noted_and_not_proposed():
    findings = compare_listing(from_anthropic(claude(OPUS, lifecycle="deprecated")))

    assert findings.proposals == ()
    assert any(OPUS in note for note in findings.notes)


def test_a_dated_model_id_matches_the_profile_without_the_date():
    dated = claude("claude-sonnet-4-5-20250929", lifecycle="deprecated", retires_on=dt.date(2026, 12, 15))

    assert only(compare_listing(from_anthropic(dated))).profile == "claude-sonnet-4-5"


def test_retiring_all_models_with_roles_needs_consent():
    all_retired = [claude(name, lifecycle="retired") for name in RELEASED]
    all_but_one = all_retired[:2]

    assert {p.needs_consent for p in compare_listing(from_anthropic(*all_retired)).proposals} == {True}
    assert {p.needs_consent for p in compare_listing(from_anthropic(*all_but_one)).proposals} == {False}


def test_a_model_that_is_no_longer_listed_is_noted_and_not_retired():
    findings = compare_listing(from_cerebras(ListedModel(id="gpt-oss-120b")))
    empty = compare_listing(from_cerebras())

    assert findings.proposals == empty.proposals == ()
    (note,) = findings.notes
    assert note.startswith("qwen-3.8-27b: its vendor does not list qwen-3.8-27b any more")
    assert len(empty.notes) == 2


def test_the_note_about_a_model_missing_before_its_last_day_states_that_day():
    listing = from_anthropic()
    remaining = tuple(model for model in listing.models if model.id != "claude-sonnet-4-5")

    (note,) = compare_listing(listing.model_copy(update={"models": remaining})).notes

    assert "does not list claude-sonnet-4-5 any more, although its profile says its last day is 2026-11-30." in note
    assert "announced no end" not in note


def test_models_missing_from_ollamas_listing_are_not_reported():
    assert compare_listing(from_ollama()) == Findings()


def test_a_new_model_gets_its_predecessors_rules_its_listed_facts_and_probation():
    new = claude(
        NEXT,
        name="Claude Sonnet 6",
        released=dt.date(2026, 11, 20),
        context_tokens=2_000_000,
        max_output_tokens=256_000,
        can_think=True,
        thinking=ListedThinking(always_on=True, efforts=("low", "high")),
        capabilities=("vision", "structured_output"),
    )

    proposal = only(compare_listing(from_anthropic(new), price_list(NEXT, price(3))))
    profile = ModelProfile.model_validate(proposal.after)

    assert (proposal.place, profile.id, profile.name) == ((), NEXT, "Claude Sonnet 6")
    assert profile.lifecycle.on_probation
    assert (profile.context_tokens, profile.max_output_tokens) == (2_000_000, 256_000)
    assert profile.thinking is not None
    assert (profile.thinking.always_on, profile.thinking.efforts) == (True, ("low", "high"))
    assert profile.thinking.sent_back
    assert set(profile.capabilities) == {"tools", "prompt_caching", "vision", "structured_output"}
    assert profile.price == price(3)
    assert profile.primary_use == CATALOGUE.profiles[SONNET].primary_use
    assert profile.strengths == profile.suits == ()


def test_an_unknown_model_older_than_its_lines_profile_is_not_proposed():
    older = claude("claude-sonnet-5", released=dt.date(2026, 6, 1))

    assert compare_listing(from_anthropic(older), price_list("claude-sonnet-5", price())) == Findings()


def test_a_new_model_without_a_known_price_is_noted_and_not_proposed():
    findings = compare_listing(from_anthropic(claude(NEXT, released=dt.date(2026, 11, 20))))

    assert findings.proposals == ()
    assert any("price is not known" in note for note in findings.notes)


def test_a_new_model_of_an_unknown_line_is_noted_and_not_proposed():
    unknown = ListedModel(id="claude-nimbus-1", line="nimbus", released=TODAY)

    findings = compare_listing(from_anthropic(unknown), price_list("claude-nimbus-1", price()))

    assert findings.proposals == ()
    assert any("claude-nimbus-1" in note for note in findings.notes)


def test_a_new_model_on_cerebras_belongs_to_the_line_that_its_id_starts_with():
    listed = [ListedModel(id=m, released=dt.date(2026, 8, 1)) for m in ("gpt-oss-120b", "qwen-3.8-27b")]
    new = ListedModel(id="gpt-oss-240b", released=dt.date(2026, 11, 20), price=price(0.5), context_tokens=131_072)

    profile = ModelProfile.model_validate(only(compare_listing(from_cerebras(*listed, new))).after)

    assert (profile.id, profile.line, profile.provider) == ("gpt-oss-240b", "gpt-oss", "cerebras")
    assert profile.thinking == CATALOGUE.profiles["gpt-oss-120b"].thinking


def test_a_new_local_model_gets_a_profile_from_what_ollama_reports():
    weights = ListedWeights(
        build="0123456789ab Q4_K_M", quantization="Q4_K_M", size_gb=9.1, total_billion=14.8, family="qwen3"
    )
    new = ListedModel(
        id="qwen3:14b-q8", context_tokens=40_960, capabilities=("tools",), can_think=True, weights=weights
    )

    proposal = only(compare_listing(from_ollama(new)))
    profile = ModelProfile.model_validate(proposal.after)

    assert (profile.id, profile.api_model, profile.line) == ("qwen3-14b-q8", "qwen3:14b-q8", "qwen3")
    assert profile.parameters is not None
    assert profile.memory is not None
    assert (profile.parameters.total_billion, profile.memory.weights_gb) == (14.8, 9.1)
    assert (profile.memory.quantization, profile.context_tokens) == ("Q4_K_M", 40_960)
    assert profile.thinking is not None
    assert profile.lifecycle.on_probation
    assert "0123456789ab" in (profile.lifecycle.note or "")
    assert profile.roles == {"local_fallback": 3}, "last among those of its nearest kin, qwen3:14b"
    assert profile.setup_command == "ollama pull qwen3:14b-q8"
    assert any("evaluate" in warning for warning in proposal.warnings)


def test_an_ollama_model_that_runs_remotely_needs_consent_and_is_warned_about():
    new = ListedModel(id="kimi:cloud", weights=ListedWeights(build="0123", is_remote=True))

    proposal = only(compare_listing(from_ollama(new)))

    assert proposal.needs_consent
    assert any("another machine" in warning for warning in proposal.warnings)
    assert any("add a `price`" in warning for warning in proposal.warnings)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("mistral-small:24b", "mistral-small-24b"),
        ("hf.co/unsloth/Gemma-4-GGUF:Q4_K_M", "hf.co-unsloth-gemma-4-gguf-q4_k_m"),
        ("nimble:latest", "nimble"),
        ("routing:latest", "routing-model"),
        ("qwen3-14b:latest", "qwen3-14b-model"),
        (f"{'long-' * 30}:1b", f"{'long-' * 12}long"),
    ],
)
def test_a_new_profile_is_named_after_its_tag_and_collides_with_no_existing_file(tag: str, name: str):
    assert only(compare_listing(from_ollama(ListedModel(id=tag)))).profile == name


def test_new_models_that_would_get_the_same_profile_name_are_told_apart():
    both = from_ollama(ListedModel(id="a/small:1b"), ListedModel(id="a-small:1b"))

    assert {p.profile for p in compare_listing(both).proposals} == {"a-small-1b", "a-small-1b-model"}


def test_at_most_25_new_models_are_proposed_and_the_others_are_noted():
    many = from_ollama(*(ListedModel(id=f"model-{n}:1b") for n in range(300)))

    findings = compare_listing(many)

    assert len(findings.proposals) == 25
    assert any("further" in note for note in findings.notes)


def test_a_price_stated_by_the_vendor_is_proposed_without_consent():
    listed = [
        ListedModel(id="gpt-oss-120b", price=price(0.4)),
        ListedModel(id="qwen-3.8-27b"),
    ]

    proposal = only(compare_listing(from_cerebras(*listed)))

    assert (proposal.profile, proposal.place) == ("gpt-oss-120b", ("price",))
    assert not proposal.needs_consent
    assert proposal.evidence.note == "$0.35 / $0.75 per million tokens becomes $0.4 / $2 per million tokens"
    assert apply_all(compare_listing(from_cerebras(*listed))).profiles["gpt-oss-120b"].price == price(0.4)


def test_a_price_from_a_price_list_replaces_all_rates_and_needs_consent():
    known = price_list(HAIKU, price(0.2))
    proposal = only(compare_listing(from_anthropic(), known))

    assert isinstance(proposal.after, dict)
    assert proposal.after["long_prompt"] is None
    assert proposal.evidence.source == "a price list"
    assert proposal.needs_consent, "the list says no day of its own, and the known price may be the newer one"
    assert apply_all(compare_listing(from_anthropic(), known)).profiles[HAIKU].price == price(0.2)


def test_an_announced_price_is_proposed_once_with_its_effective_day():
    today = CATALOGUE.profiles[SONNET].price
    assert today is not None
    change = PriceChange(
        input_usd_per_million_tokens=3,
        output_usd_per_million_tokens=15,
        effective=IN_THREE_WEEKS,
        source="a price list",
        seen=TODAY,
    )

    known = price_list(SONNET, today.model_copy(update={"changes": (change,)}))
    proposal = only(compare_listing(from_anthropic(), known))
    later = apply_all(compare_listing(from_anthropic(), known))

    assert proposal.evidence.note == "$3 / $15 per million tokens from 2026-12-16 on"
    assert compare_listing(from_anthropic(), known, later) == Findings(), "what is written is not proposed again"
    charged = later.profiles[SONNET].priced_on(IN_THREE_WEEKS)
    assert charged.cost_usd(input_tokens=1_000_000, output_tokens=0) == 3


@pytest.mark.parametrize("usd", [0.0, 0.01, 20.0])
def test_a_price_far_from_the_known_one_needs_consent_and_is_warned_about(usd: float):
    listed = [ListedModel(id="gpt-oss-120b", price=price(usd)), ListedModel(id="qwen-3.8-27b")]

    proposal = only(compare_listing(from_cerebras(*listed)))

    assert proposal.needs_consent
    assert any("vendor's page" in warning for warning in proposal.warnings)


@pytest.mark.parametrize(
    "wire_id",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a\\b",
        "a/b",
        "a\nb",
        "a\x1b[2J",
        "",
        "x" * 201,
        "a b",
        "..",
        "-rf",
        "a\u202eb",
    ],
)
def test_an_invalid_model_id_invalidates_the_whole_listing(wire_id: str):
    with pytest.raises(ValidationError):
        from_anthropic(ListedModel(id=wire_id))


@pytest.mark.parametrize("wire_id", ["a/../b", "a//b", "/a", "a/", "a/b/c/d/e", "./a", "a/.b"])
def test_a_model_id_that_looks_like_a_path_is_invalid(wire_id: str):
    with pytest.raises(ValidationError):
        from_ollama(ListedModel(id=wire_id))


def test_a_model_listed_twice_invalidates_the_whole_listing():
    with pytest.raises(ValidationError, match="twice"):
        from_ollama(ListedModel(id="a:1b"), ListedModel(id="A:1b"))
