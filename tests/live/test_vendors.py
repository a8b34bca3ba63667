"""What our adapters rely on, asked of the vendors themselves; tests/live/conftest.py says which, and what it costs."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from command_line import run_command
from mcp import Client
from recorder import Recorder

from chargehand.profiles.model import ModelProfile
from chargehand.server.app import build_app
from chargehand.server.cli import own_services
from chargehand.tools.asking.batches import TakesBatches
from chargehand.tools.provider import (
    AuthenticationFailed,
    EmptyAnswer,
    Progress,
    Provider,
    Truncated,
    UnknownModelId,
)

pytestmark = pytest.mark.anyio

SHORT = "Write the numbers from 1 to 20, separated by single spaces, and nothing else."
LONG = "Write the numbers from 1 to 2000, separated by single spaces, and nothing else."
DOUBLE = {"task": "Write a Python function double(n) that returns 2 * n.", "tests": "assert double(21) == 42"}
CAP_USD = 0.003

keyed_vendor = pytest.mark.parametrize("vendor", ["anthropic", "cerebras", "compatible"], indirect=True)


async def test_the_model_is_available_and_the_vendor_grants_access(provider: Provider, profile: ModelProfile):
    found = (await provider.availability([profile]))[profile.id]
    refusal = await provider.check_access()

    assert (found.is_reachable, found.why_not) == (True, None)
    assert refusal is None


async def test_an_answer_arrives_in_pieces_and_is_counted(
    provider: Provider, profile: ModelProfile, make_request, recorder: Recorder
):
    availability = (await provider.availability([profile]))[profile.id]

    generation = await provider.generate(make_request(SHORT, 1_000), recorder)

    counted = [progress.usage.output_tokens for progress in recorder.progress]
    assert generation.text.split()[-2:] == ["19", "20"]
    assert not generation.usage.is_estimated
    assert 20 <= generation.usage.input_tokens <= 400
    assert 10 <= generation.usage.visible_tokens <= 120
    assert recorder.phases[-1] == "answering"
    assert len(set(counted)) > 2
    assert counted == sorted(counted)
    assert {host for host, _ in recorder.requests} == {availability.host}


async def test_an_answer_at_its_limit_is_reported_as_cut(provider: Provider, make_request, recorder: Recorder):
    with pytest.raises((Truncated, EmptyAnswer)) as cut:  # empty: a model that always thinks had no room for more
        await provider.generate(make_request(LONG, 32), recorder)

    assert 0 < cut.value.generation.usage.output_tokens <= 32


async def test_a_cancelled_answer_ends_at_once_and_the_next_one_is_given(
    provider: Provider, make_request, recorder: Recorder
):
    cancelled_at: list[float] = []
    with anyio.CancelScope() as answering:

        def cancel(progress: Progress) -> None:
            if progress.phase in ("thinking", "answering"):
                cancelled_at.append(time.monotonic())
                answering.cancel()

        recorder.on_progress = cancel
        await provider.generate(make_request(LONG, 1_500), recorder)
    seconds = time.monotonic() - cancelled_at[0]
    following = await provider.generate(make_request(SHORT, 1_000), Recorder())

    assert answering.cancelled_caught
    assert seconds < 5
    assert following.text


async def test_an_unknown_model_is_refused_by_its_name(
    vendor, provider: Provider, profile: ModelProfile, make_request, recorder: Recorder
):
    stranger = replace(make_request(SHORT, 100), profile=profile.model_copy(update={"api_model": "no-such-model"}))
    refusal = ""
    try:
        await provider.generate(stranger, recorder)
    except UnknownModelId as error:
        refusal = str(error)
    if not refusal and vendor.provider == "openai_compatible":
        pytest.skip("this server answers to any model's name, as llama.cpp does")

    assert "no-such-model" in refusal


@keyed_vendor
async def test_a_wrong_key_is_refused_with_the_variable_to_correct(
    vendor, profile: ModelProfile, make_request, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
):
    if profile.provider == "openai_compatible" and profile.api_key_env is None:
        pytest.skip("this server was tested without a key: set LIVE_COMPATIBLE_KEY")
    monkeypatch.setenv(vendor.key_variable, "sk-a-wrong-key")
    async with own_services() as services:
        with pytest.raises(AuthenticationFailed, match=vendor.key_variable):
            await services.providers[vendor.provider].generate(make_request(SHORT, 100), recorder)


@pytest.mark.parametrize("vendor", ["anthropic"], indirect=True)
async def test_a_batch_is_taken_and_listed(provider: Provider, make_request):
    assert isinstance(provider, TakesBatches)
    submitted = await provider.batches.submit({"one": make_request(SHORT, 100)})

    assert submitted in await provider.batches.submitted_since(time.time() - 3_600)
    assert await provider.batches.has_ended(submitted) in (True, False)


async def test_a_delegation_through_the_server_is_checked_and_priced(profile: ModelProfile):
    arguments = {**DOUBLE, "model": profile.id, "max_cost_usd": CAP_USD, "max_attempts": 2, "wait_s": 300}
    async with own_services() as services:
        has_sandbox = (await services.find_sandbox()).sandbox is not None
        host = (await services.survey()).availability[profile.id].host

    async with Client(build_app(own_services), read_timeout_seconds=400) as client:
        receipt: dict[str, Any] = (await client.call_tool("delegate_generation", arguments)).structured_content or {}

    tokens = [{name: attempt[name] for name in ("input_tokens", "output_tokens")} for attempt in receipt["attempts"]]
    price_usd = sum(profile.cost_usd(**counts) for counts in tokens)
    assert receipt["status"] == ("succeeded" if has_sandbox else "unverified")
    assert receipt["model"] == profile.id
    assert receipt["cost_usd"] <= CAP_USD
    if profile.price is not None:
        assert 0 < price_usd == pytest.approx(receipt["cost_usd"], abs=1e-6)  # the receipt is rounded
    assert [entry["host"] for entry in receipt["egress"]] == [host]


async def test_profiles_update_reads_the_list_of_models(vendor, profile: ModelProfile, tmp_path: Path):
    environment = {**os.environ, "HOME": str(tmp_path)}

    result = await run_command(environment, "profiles", "update", "--from-releases", "--json")

    title = profile.base_url.partition("://")[2].partition("/")[0] if profile.base_url else vendor.title
    notices = result.json["notices"]
    assert (result.code, result.error) == (0, "")
    assert not [notice for notice in notices if notice.startswith(f"{title} was not asked")]
    assert not [notice for notice in notices if notice.startswith(f"{profile.id}: its vendor does not list")]
