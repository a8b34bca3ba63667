"""`chargehand profiles update --from-releases` over HTTP: what vendors announce, and when it takes effect."""

import datetime as dt
import json
from dataclasses import replace

import pytest
from changed_vendors import LAST_DAY, NEWCOMER, NEXT, SONNET, services_with_prices
from mcp import Client
from running_server import Connect, fenced

from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.vendors import KEY, QWEN
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.price import Price, PriceChange
from chargehand.server.app import build_app
from chargehand.server.cli import own_services
from chargehand.server.command.doctor import examine
from chargehand.server.command.reports import print_usage
from chargehand.server.surface.server_state import OpenServices
from chargehand.server.wiring import utc_now

pytestmark = pytest.mark.anyio

TODAY = utc_now().date()
HARD = "Review the module and refactor it: def double(n): return 2 * n"


def price(usd: float, **more: object) -> Price:
    facts = {"input_usd_per_million_tokens": usd, "output_usd_per_million_tokens": 5 * usd}
    return Price.model_validate(facts | {"source": "a price list", "seen": TODAY} | more)


def price_of_successor(wire_id: str) -> Price | None:
    return price(2.0) if wire_id == NEXT else None


async def delegate(client: Client, model: str) -> dict:
    arguments = {"task": HARD, "model": model, "max_attempts": 1}
    result = await client.call_tool("delegate_generation", arguments)
    assert result.structured_content is not None, result.content
    return result.structured_content


async def delegate_on(services: OpenServices, model: str) -> dict:
    async with Client(build_app(services)) as client:
        return await delegate(client, model)


async def test_everything_that_vendors_announce_is_proposed_with_its_source(open_vendors, update):
    async with open_vendors() as peers:
        result = await update(services=services_with_prices(peers, price_of_successor))

    assert result.code == 0
    assert set(result.proposed) == {
        (SONNET, "lifecycle"), (NEXT,), ("gpt-oss-120b", "price"), (NEWCOMER,)
    }  # fmt: skip
    sources = {p["profile"]: p["evidence"]["source"] for p in result.json["proposals"]}
    assert sources[SONNET] == sources[NEXT] == "Anthropic models.list"
    assert (sources["gpt-oss-120b"], sources[NEWCOMER]) == ("Cerebras models.list", "Ollama show")
    assert result.proposed[SONNET, "lifecycle"]["retires_on"] == str(LAST_DAY)
    assert result.proposed[SONNET, "lifecycle"]["successor"] == NEXT
    assert any("claude-fable-5-1: its vendor does not list" in notice for notice in result.json["notices"])
    assert KEY not in result.out + result.error


async def test_a_build_that_is_asked_in_place_of_its_model_is_no_new_model(open_vendors, update):
    builds = (f"{QWEN.name}-mlx", f"{QWEN.name}-q8_0")
    async with open_vendors() as peers:
        peers.ollama._models = {name: replace(QWEN, name=name) for name in builds}
        result = await update(services=services_with_prices(peers))

    assert [name for name, *_ in result.proposed if name.startswith("qwen3-30b")] == ["qwen3-30b-a3b-q8_0"]


async def test_a_written_update_is_not_proposed_again(open_vendors, update, tmp_path):
    async with open_vendors() as peers:
        services = services_with_prices(peers, price_of_successor)
        first = await update(apply=True, services=services)
        second = await update(apply=True, services=services)

    assert (first.json["written"], second.json["written"]) == (1, None)
    assert second.proposed == {}


async def test_a_retiring_model_is_announced_everywhere_and_replaced_on_its_last_day(
    open_vendors, update, connect: Connect, tmp_path, era
):
    folder = tmp_path / "chargehand-home" / "profiles"
    async with open_vendors() as peers:
        assert (await update(apply=True, services=services_with_prices(peers, price_of_successor))).code == 0
        # The successor has been evaluated, which ended its probation.
        (folder / "mine.yaml").write_text(f"id: {NEXT}\nlifecycle: {{on_probation: false}}\n", encoding="utf-8")
        async with connect(era) as client:
            await client.list_tools()
            instructions = client.instructions or ""
            result = await client.call_tool("route_task", {"task": HARD, "model": SONNET})
        async with own_services() as services:
            diagnosis = await examine(services)

    notice = f"{SONNET} stops answering on {LAST_DAY}, in 21 days; its successor is {NEXT}"
    assert instructions.endswith(f"{notice}.")
    assert len(instructions) <= 2_000
    assert notice in json.dumps(result.structured_content)
    assert (notice, "ok") in [(line.finding, line.health) for line in diagnosis.lines if line.what == "retirement"]
    catalogue = load_catalogue(folder)
    day_before = LAST_DAY - dt.timedelta(days=1)
    assert catalogue.models_in_role("validator", day_before)[0].id == SONNET
    assert SONNET not in [p.id for p in catalogue.models_in_role("validator", LAST_DAY)]
    assert NEXT in [p.id for p in catalogue.models_in_role("validator", LAST_DAY)]


async def test_the_instructions_mention_no_retirement_when_none_is_due(era):
    async with Client(build_app(own_services, due=lambda: ()), mode=era) as client:
        await client.list_tools()
        instructions = client.instructions or ""

    assert "stops answering" not in instructions
    assert instructions.startswith("Chargehand hands a coding task")


async def test_doctor_warns_of_a_retiring_model_whose_successor_is_on_probation(open_vendors, update):
    async with open_vendors() as peers:
        await update(apply=True, services=services_with_prices(peers, price_of_successor))
        async with own_services() as services:
            diagnosis = await examine(services)

    (line,) = [line for line in diagnosis.lines if line.what == "retirement" and line.finding.startswith(SONNET)]
    assert line.health == "missing"
    assert "on probation" in line.finding


async def test_a_new_local_model_has_no_role_until_measured_but_can_be_pinned(open_vendors, update, connect: Connect):
    async with open_vendors(lambda _: Reply(fenced("def double(count):\n    return 2 * count"))) as peers:
        await update(apply=True, services=services_with_prices(peers))
        async with connect() as client:
            routed = await client.call_tool("route_task", {"task": "Rename n to count: def double(n): return 2 * n"})
            receipt = await delegate(client, NEWCOMER)

    assert routed.structured_content is not None
    assert routed.structured_content["model"] != NEWCOMER
    assert receipt["attempts"][0]["model"] == NEWCOMER
    assert "on probation" in json.dumps(receipt)


async def test_an_announced_price_counts_in_usage_from_its_effective_day_on(open_vendors, update, capsys, tmp_path):
    today = load_catalogue().profiles["claude-haiku-5-5"].price
    assert today is not None
    later = PriceChange(
        input_usd_per_million_tokens=7,
        output_usd_per_million_tokens=35,
        effective=LAST_DAY,
        source="a list",
        seen=TODAY,
    )

    def announced(wire_id: str) -> Price | None:
        return today.model_copy(update={"changes": (later,)}) if wire_id == "claude-haiku-5-5" else None

    async def spent() -> float:
        capsys.readouterr()
        assert await print_usage(own_services, days=None, as_json=True) == 0
        return json.loads(capsys.readouterr().out)["cost_usd"]

    # Mostly thinking, which is billed as output, so that caching of the prompt hardly changes the cost.
    answer = Reply(fenced("def double(count):\n    return 2 * count"), thinking_tokens=5_000)
    async with open_vendors(lambda _: answer) as peers:
        await update(apply=True, services=services_with_prices(peers, announced))
        unconfirmed = load_catalogue(tmp_path / "chargehand-home" / "profiles").profiles["claude-haiku-5-5"].price
        assert unconfirmed == today, "a list without a day of its own is not believed unseen"
        confirmed = await update(as_json=False, answer="y\n", services=services_with_prices(peers, announced))
        assert "$7 / $35 per million tokens from" in confirmed.out
        await delegate_on(services_with_prices(peers, in_days=20), "claude-haiku-5-5")
        before = await spent()
        await delegate_on(services_with_prices(peers, in_days=21), "claude-haiku-5-5")
        after = await spent() - before

    assert after == pytest.approx(70 * before, rel=0.05)


async def test_a_vendor_behind_a_gateway_is_asked_with_the_headers_of_its_variable(open_vendors, update, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-gateway-provider: anthropic")

    async with open_vendors() as peers:
        await update()

    (asked,) = peers.anthropic.journal.exchanges
    assert (asked.path, asked.headers.get("x-gateway-provider")) == ("/v1/models", "anthropic")
