"""Invalid listings: nothing from them is used, the reason is reported, and the other vendors still count."""

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

CHANGED_PROFILES = {"Anthropic": SONNET, "Cerebras": "gpt-oss-120b", "Ollama": NEWCOMER}
"""The profile that each vendor's listing changes."""


def with_first_entry(entry: Callable[[dict[str, Any]], object]) -> Callable[[Any], Response]:
    """Returns the valid listing with its first entry changed."""

    def respond(valid: Any) -> Response:
        entry(entries(valid)[0])
        return json_response(valid)

    return respond


def entries(valid: Any) -> list[dict[str, Any]]:
    return valid.get("data") or valid["models"]


def with_id(wire_id: object) -> Callable[[Any], Response]:
    return with_first_entry(lambda first: first.update({"id": wire_id, "name": wire_id}))


def json_response(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type="application/json")


def with_duplicate(valid: Any) -> Response:
    # In other letters, because Ollama lists a name once per runner.
    first = entries(valid)[0]
    entries(valid).append({**first, **{key: first[key].upper() for key in ("id", "name") if key in first}})
    return json_response(valid)


def deeply_nested(_: Any) -> Response:
    return Response('{"data":' * 100_000, media_type="application/json")


def too_many(valid: Any) -> Response:
    first = entries(valid)[0]
    entries(valid).extend({**first, "id": f"m{n}", "name": f"m{n}"} for n in range(1_001))
    return json_response(valid)


FAULTS: dict[str, Callable[[Any], Response]] = {
    "truncated": lambda valid: Response(json.dumps(valid)[:-20], media_type="application/json"),
    "broken off": lambda valid: Response(json.dumps(valid)[:-20], headers={"content-length": "100000"}),
    "no JSON": lambda _: Response("<html>Sign in</html>", media_type="text/html"),
    "a list": lambda valid: json_response(entries(valid)),
    "empty": lambda _: json_response({}),
    "not a list": lambda _: json_response({"data": "all", "models": "all"}),
    "null": lambda _: json_response(None),
    "nested": deeply_nested,
    "huge": lambda valid: json_response({**valid, "padding": "x" * 3_000_000}),
    "too many": too_many,
    "packed": lambda valid: Response(gzip.compress(json.dumps(valid).encode()), headers={"content-encoding": "gzip"}),
    "a number for an id": with_id(7),
    "no id": with_id(None),
    "an empty id": with_id(""),
    "a path": with_id("../../etc/passwd"),
    "an absolute path": with_id("/etc/passwd"),
    "control characters": with_id("a\x1b]0;evil\x07"),
    "a line end": with_id("a\nb"),
    "right to left": with_id("a\u202eb"),
    "an option": with_id("--apply"),
    "a long id": with_id("x" * 500),
    "twice": with_duplicate,
    "elsewhere": lambda _: Response("", 302, headers={"location": "http://127.0.0.1:9/"}),
    "an error": lambda _: json_response({"error": f"the key {KEY} \x1b[2J"}, 500),
    "a refusal": lambda _: json_response({"error": f"the key {KEY} is wrong"}, 401),
    "busy": lambda _: json_response({"error": "slow down"}, 429),
}  # fmt: skip


def peer(peers: Vendors, vendor: str) -> Any:
    return {"Anthropic": peers.anthropic, "Cerebras": peers.cerebras, "Ollama": peers.ollama}[vendor]


async def fetch_listing(peers: Vendors, vendor: str) -> Any:
    """The valid listing."""
    environment = peers.environment
    url, params = {
        "Anthropic": (f"{environment['ANTHROPIC_BASE_URL']}/v1/models", {}),
        "Cerebras": (f"{environment['CEREBRAS_BASE_URL']}/v1/models", {"format": "huggingface"}),
        "Ollama": (f"{environment['OLLAMA_HOST']}/api/tags", {}),
    }[vendor]
    headers = {"authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21"}
    async with httpx.AsyncClient() as client:
        return (await client.get(url, params=params, headers=headers)).json()


def others_are_proposed(result: CommandResult, vendor: str) -> bool:
    return {p["profile"] for p in result.json["proposals"]} == set(CHANGED_PROFILES.values()) - {
        CHANGED_PROFILES[vendor]
    }


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("vendor", CHANGED_PROFILES)
async def test_an_invalid_listing_yields_proposals_only_for_the_other_vendors(
    open_vendors, update, vendor: str, fault: str
):
    async with open_vendors() as peers:
        valid = await fetch_listing(peers, vendor)
        peer(peers, vendor).listing = FAULTS[fault](valid)

        result = await update(services=services_with_prices(peers))

    assert others_are_proposed(result, vendor)
    assert result.code == 1
    (problem,) = result.json["problems"]
    assert problem.startswith(vendor)
    assert KEY not in result.out + result.error
    assert "\x1b" not in result.out + result.error
    assert len(problem) < 400


async def test_a_name_that_ollama_lists_once_per_runner_counts_once(open_vendors, update):
    async with open_vendors() as peers:
        peers.ollama.is_listed_per_runner = True

        result = await update(services=services_with_prices(peers))

    assert result.code == 0
    assert (NEWCOMER,) in result.proposed


async def test_endless_pages_are_abandoned_after_20(open_vendors, update):
    async with open_vendors() as peers:
        valid = await fetch_listing(peers, "Anthropic")
        peers.anthropic.listing = json_response({**valid, "has_more": True})

        result = await update(services=services_with_prices(peers))

    assert others_are_proposed(result, "Anthropic")
    assert "more than 20 pages" in result.error
    assert len(peers.anthropic.journal.to("/v1/models")) <= 21 + 1


async def test_all_pages_of_a_listing_are_read(open_vendors, update, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("chargehand.server.releases.anthropic_listing._PER_PAGE", 2)
    async with open_vendors() as peers:
        result = await update(services=services_with_prices(peers))

    assert (SONNET, "lifecycle") in result.proposed
    assert len(peers.anthropic.journal.to("/v1/models")) == 2


async def test_a_page_with_an_invalid_cursor_is_rejected(open_vendors, update):
    async with open_vendors() as peers:
        valid = await fetch_listing(peers, "Anthropic")
        peers.anthropic.listing = json_response({**valid, "has_more": True, "last_id": "another"})

        result = await update(services=services_with_prices(peers))

    assert others_are_proposed(result, "Anthropic")
    assert "does not say where the next one is" in result.error


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
async def test_a_listing_with_impossible_facts_is_rejected(open_vendors, update, facts: dict[str, Any]):
    async with open_vendors() as peers:
        valid = await fetch_listing(peers, "Anthropic")
        peers.anthropic.listing = with_first_entry(lambda first: first.update(facts))(valid)

        result = await update(services=services_with_prices(peers))

    assert others_are_proposed(result, "Anthropic")
    assert result.code == 1


@pytest.mark.parametrize("usd", [-1, "free", 1e308, None])
async def test_a_listing_with_an_impossible_price_is_rejected(open_vendors, update, usd: object):
    async with open_vendors() as peers:
        valid = await fetch_listing(peers, "Cerebras")
        peers.cerebras.listing = with_first_entry(lambda first: first.update(pricing={"input": usd, "output": 1}))(
            valid
        )

        result = await update(services=services_with_prices(peers))

    assert others_are_proposed(result, "Cerebras")


async def test_a_vendor_without_a_key_is_skipped_with_a_notice(open_vendors, update, monkeypatch: pytest.MonkeyPatch):
    async with open_vendors() as peers:
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        result = await update()

    assert result.code == 0
    assert any("Anthropic was not asked. No key" in notice for notice in result.json["notices"])
    assert peers.anthropic.journal.exchanges == []


async def test_an_ollama_that_is_not_running_yields_a_notice_and_exit_code_0(
    open_vendors, update, monkeypatch: pytest.MonkeyPatch
):
    async with open_vendors():
        monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
        result = await update()

    assert result.code == 0
    assert any("Ollama does not answer at 127.0.0.1" in notice for notice in result.json["notices"])


async def test_remote_vendors_are_not_contacted_under_local_only(open_vendors, update, monkeypatch: pytest.MonkeyPatch):
    async with open_vendors():
        monkeypatch.setenv("CHARGEHAND_LOCAL_ONLY", "1")
        for vendor in ("ANTHROPIC", "CEREBRAS"):
            monkeypatch.setenv(f"{vendor}_BASE_URL", "https://vendor.invalid")
        result = await update()

    assert result.code == 0
    assert {p["profile"] for p in result.json["proposals"]} == {NEWCOMER}
    assert sum("nothing may leave this machine" in notice for notice in result.json["notices"]) == 2


async def test_concurrent_updates_write_the_same_facts_once(open_vendors, tmp_path: Path):
    command = [sys.executable, "-m", "chargehand.server", "profiles", "update", "--from-releases", "--apply", "--json"]
    codes: list[int] = []
    written: list[int | None] = []

    async def run() -> None:
        completed = await anyio.run_process(command, check=False, env=dict(os.environ))
        codes.append(completed.returncode)
        written.append(json.loads(completed.stdout)["written"])

    async with open_vendors():
        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                group.start_soon(run)
                group.start_soon(run)

    assert codes == [0, 0]
    assert sorted(written, key=str) == [1, None]
    catalogue = load_catalogue(tmp_path / "chargehand-home" / "profiles")
    assert catalogue.problems == ()
    assert catalogue.profiles[SONNET].lifecycle.status == "deprecated"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(("audit_event", "is_written"), [("os.link", False), ("os.remove", True)])
async def test_a_killed_update_is_written_completely_or_not_at_all(
    open_vendors, update, tmp_path: Path, audit_event: str, is_written: bool
):
    command = [sys.executable, str(Path(__file__).with_name("killed_update.py")), audit_event]
    folder = tmp_path / "chargehand-home" / "profiles"

    async with open_vendors():
        with anyio.fail_after(120):
            killed = await anyio.run_process(command, check=False, env=dict(os.environ))
        catalogue = load_catalogue(folder)
        result = await update(apply=True, services=own_services)

    assert killed.returncode == -signal.SIGKILL
    assert catalogue.problems == ()
    assert (catalogue.profiles[SONNET].lifecycle.status == "deprecated") == is_written
    assert (NEWCOMER in catalogue.profiles) == is_written
    assert (result.json["written"] is None) == is_written
    assert NEWCOMER in load_catalogue(folder).profiles
