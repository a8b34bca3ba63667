"""A listing that is not valid: nothing from it is used, it is said why, and the other vendors still count."""

import gzip
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from changed_vendors import NEWCOMER, SONNET, services_with_prices
from command_line import CommandResult
from starlette.responses import Response

from chargehand.evaluation.peers.vendors import KEY, Vendors
from chargehand.profiles.loading import load_catalogue
from chargehand.server.cli import own_services

pytestmark = pytest.mark.anyio

THEIRS = {"Anthropic": SONNET, "Cerebras": "gpt-oss-120b", "Ollama": NEWCOMER}
"""What each vendor has changed."""


def changing(entry: Callable[[dict[str, Any]], object]) -> Callable[[Any], Response]:
    """The right list, with its first entry changed."""

    def spoil(right: Any) -> Response:
        entry(entries(right)[0])
        return answering(right)

    return spoil


def entries(right: Any) -> list[dict[str, Any]]:
    return right.get("data") or right["models"]


def named(wire_id: object) -> Callable[[Any], Response]:
    return changing(lambda first: first.update({"id": wire_id, "name": wire_id}))


def answering(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type="application/json")


def doubled(right: Any) -> Response:
    entries(right).append(entries(right)[0])
    return answering(right)


def nested(_: Any) -> Response:
    return Response('{"data":' * 100_000, media_type="application/json")


def too_many(right: Any) -> Response:
    first = entries(right)[0]
    entries(right).extend({**first, "id": f"m{n}", "name": f"m{n}"} for n in range(1_001))
    return answering(right)


FAULTS: dict[str, Callable[[Any], Response]] = {
    "truncated": lambda right: Response(json.dumps(right)[:-20], media_type="application/json"),
    "broken off": lambda right: Response(json.dumps(right)[:-20], headers={"content-length": "100000"}),
    "no JSON": lambda _: Response("<html>Sign in</html>", media_type="text/html"),
    "a list": lambda right: answering(entries(right)),
    "empty": lambda _: answering({}),
    "not a list": lambda _: answering({"data": "all", "models": "all"}),
    "null": lambda _: answering(None),
    "nested": nested,
    "huge": lambda right: answering({**right, "padding": "x" * 3_000_000}),
    "too many": too_many,
    "packed": lambda right: Response(gzip.compress(json.dumps(right).encode()), headers={"content-encoding": "gzip"}),
    "a number for an id": named(7),
    "no id": named(None),
    "an empty id": named(""),
    "a path": named("../../etc/passwd"),
    "an absolute path": named("/etc/passwd"),
    "control characters": named("a\x1b]0;evil\x07"),
    "a line end": named("a\nb"),
    "right to left": named("a\u202eb"),
    "an option": named("--apply"),
    "a long id": named("x" * 500),
    "twice": doubled,
    "elsewhere": lambda _: Response("", 302, headers={"location": "http://127.0.0.1:9/"}),
    "an error": lambda _: answering({"error": f"the key {KEY} \x1b[2J"}, 500),
    "a refusal": lambda _: answering({"error": f"the key {KEY} is wrong"}, 401),
    "busy": lambda _: answering({"error": "slow down"}, 429),
}  # fmt: skip


def peer(peers: Vendors, vendor: str) -> Any:
    return {"Anthropic": peers.anthropic, "Cerebras": peers.cerebras, "Ollama": peers.ollama}[vendor]


async def listed(peers: Vendors, vendor: str) -> Any:
    """The right list."""
    environment = peers.environment
    url, params = {
        "Anthropic": (f"{environment['ANTHROPIC_BASE_URL']}/v1/models", {}),
        "Cerebras": (f"{environment['CEREBRAS_BASE_URL']}/v1/models", {"format": "huggingface"}),
        "Ollama": (f"{environment['OLLAMA_HOST']}/api/tags", {}),
    }[vendor]
    headers = {"authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21"}
    async with httpx.AsyncClient() as client:
        return (await client.get(url, params=params, headers=headers)).json()


def others_are_proposed(told: CommandResult, vendor: str) -> bool:
    return {p["profile"] for p in told.json["proposals"]} == set(THEIRS.values()) - {THEIRS[vendor]}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("vendor", THEIRS)
async def test_a_listing_that_is_wrong_changes_nothing_of_its_vendor_and_all_of_the_others(
    changed, update, vendor: str, fault: str
):
    async with changed() as peers:
        right = await listed(peers, vendor)
        peer(peers, vendor).listing = FAULTS[fault](right)

        told = await update(services=services_with_prices(peers))

    assert others_are_proposed(told, vendor)
    assert told.code == 1
    (problem,) = told.json["problems"]
    assert problem.startswith(vendor)
    assert KEY not in told.out + told.error
    assert "\x1b" not in told.out + told.error
    assert len(problem) < 400


async def test_pages_that_never_end_are_given_up(changed, update):
    async with changed() as peers:
        right = await listed(peers, "Anthropic")
        peers.anthropic.listing = answering({**right, "has_more": True})

        told = await update(services=services_with_prices(peers))

    assert others_are_proposed(told, "Anthropic")
    assert "more than 20 pages" in told.error
    assert len(peers.anthropic.journal.to("/v1/models")) <= 21 + 1


async def test_pages_are_followed_to_the_last(changed, update, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("chargehand.server.releases.anthropic_listing._PER_PAGE", 2)
    async with changed() as peers:
        told = await update(services=services_with_prices(peers))

    assert (SONNET, "lifecycle") in told.proposed
    assert len(peers.anthropic.journal.to("/v1/models")) == 2


async def test_a_page_that_does_not_say_how_it_goes_on_is_not_believed(changed, update):
    async with changed() as peers:
        right = await listed(peers, "Anthropic")
        peers.anthropic.listing = answering({**right, "has_more": True, "last_id": "another"})

        told = await update(services=services_with_prices(peers))

    assert others_are_proposed(told, "Anthropic")
    assert "does not say where the next one is" in told.error


@pytest.mark.parametrize(
    "facts",
    [
        {"retires_at": "9999-12-31T23:59:59-14:00", "lifecycle": "deprecated"},
        {"retires_at": "soon", "lifecycle": "deprecated"},
        {"lifecycle": "sunset"},
        {"max_tokens": -1},
        {"max_input_tokens": 10**400},
        {"display_name": "a\x1b[31m"},
        {"line": "l" * 300},
    ],
)
async def test_facts_that_cannot_be_are_not_believed(changed, update, facts: dict[str, Any]):
    async with changed() as peers:
        right = await listed(peers, "Anthropic")
        peers.anthropic.listing = changing(lambda first: first.update(facts))(right)

        told = await update(services=services_with_prices(peers))

    assert others_are_proposed(told, "Anthropic")
    assert told.code == 1


@pytest.mark.parametrize("usd", [-1, "free", 1e308, None])
async def test_a_price_that_cannot_be_is_not_believed(changed, update, usd: object):
    async with changed() as peers:
        right = await listed(peers, "Cerebras")
        peers.cerebras.listing = changing(lambda first: first.update(pricing={"input": usd, "output": 1}))(right)

        told = await update(services=services_with_prices(peers))

    assert others_are_proposed(told, "Cerebras")


async def test_a_vendor_without_a_key_is_skipped_with_a_word(changed, update, monkeypatch: pytest.MonkeyPatch):
    async with changed() as peers:
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        told = await update()

    assert told.code == 0
    assert any("Anthropic was not asked. No key" in notice for notice in told.json["notices"])
    assert peers.anthropic.journal.exchanges == []


async def test_an_ollama_that_does_not_run_is_no_failure(changed, update, monkeypatch: pytest.MonkeyPatch):
    async with changed():
        monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
        told = await update()

    assert told.code == 0
    assert any("Ollama does not answer at 127.0.0.1" in notice for notice in told.json["notices"])


async def test_nobody_elsewhere_is_asked_when_nothing_may_leave(changed, update, monkeypatch: pytest.MonkeyPatch):
    async with changed():
        monkeypatch.setenv("CHARGEHAND_LOCAL_ONLY", "1")
        for vendor in ("ANTHROPIC", "CEREBRAS"):
            monkeypatch.setenv(f"{vendor}_BASE_URL", "https://vendor.invalid")
        told = await update()

    assert told.code == 0
    assert {p["profile"] for p in told.json["proposals"]} == {NEWCOMER}
    assert sum("nothing may leave this machine" in notice for notice in told.json["notices"]) == 2


async def test_two_updates_at_once_write_the_same_facts_once(changed, tmp_path: Path):
    command = [sys.executable, "-m", "chargehand.server", "profiles", "update", "--from-releases", "--apply", "--json"]
    codes: list[int] = []
    written: list[int | None] = []

    async def run() -> None:
        done = await anyio.run_process(command, check=False, env=dict(os.environ))
        codes.append(done.returncode)
        written.append(json.loads(done.stdout)["written"])

    async with changed():
        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                group.start_soon(run)
                group.start_soon(run)

    assert codes == [0, 0]
    assert sorted(written, key=str) == [1, None]
    catalogue = load_catalogue(tmp_path / "chargehand-home" / "profiles")
    assert catalogue.problems == ()
    assert catalogue.profiles[SONNET].lifecycle.status == "deprecated"


@pytest.mark.skipif(sys.platform == "win32", reason="no process is killed by a signal there")
@pytest.mark.parametrize(("before", "is_written"), [("os.link", False), ("os.remove", True)])
async def test_a_kill_in_the_middle_leaves_all_of_an_update_or_nothing(
    changed, update, tmp_path: Path, before: str, is_written: bool
):
    command = [sys.executable, str(Path(__file__).with_name("killed_update.py")), before]
    folder = tmp_path / "chargehand-home" / "profiles"

    async with changed():
        with anyio.fail_after(120):
            killed = await anyio.run_process(command, check=False, env=dict(os.environ))
        catalogue = load_catalogue(folder)
        told = await update(apply=True, services=own_services)

    assert killed.returncode == -signal.SIGKILL
    assert catalogue.problems == ()
    assert (catalogue.profiles[SONNET].lifecycle.status == "deprecated") == is_written
    assert (NEWCOMER in catalogue.profiles) == is_written
    assert (told.json["written"] is None) == is_written
    assert NEWCOMER in load_catalogue(folder).profiles
