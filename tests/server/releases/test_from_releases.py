"""`chargehand profiles update --from-releases` over real HTTP: what vendors announce, and when it takes effect."""

import datetime as dt
import json

import pytest
from changed_vendors import LAST_DAY, NEWCOMER, NEXT, SONNET, services_with_prices
from house import Connect, fenced
from mcp import Client

from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.vendors import KEY
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


def priced(wire_id: str) -> Price | None:
    return price(2.0) if wire_id == NEXT else None


async def delegated(client: Client, model: str) -> dict:
    asked = {"task": HARD, "model": model, "max_attempts": 1}
    result = await client.call_tool("delegate_generation", asked)
    assert result.structured_content is not None, result.content
    return result.structured_content


async def delegated_on(services: OpenServices, model: str) -> dict:
    async with Client(build_app(services)) as client:
        return await delegated(client, model)


async def test_everything_that_vendors_announce_is_proposed_with_where_it_was_read(changed, update):
    async with changed() as peers:
        told = await update(services=services_with_prices(peers, priced))

    assert told.code == 0
    assert set(told.proposed) == {
        (SONNET, "lifecycle"), (NEXT,), ("gpt-oss-120b", "price"), (NEWCOMER,)
    }  # fmt: skip
    sources = {p["profile"]: p["evidence"]["source"] for p in told.json["proposals"]}
    assert sources[SONNET] == sources[NEXT] == "Anthropic models.list"
    assert (sources["gpt-oss-120b"], sources[NEWCOMER]) == ("Cerebras models.list", "Ollama show")
    assert told.proposed[SONNET, "lifecycle"]["retires_on"] == str(LAST_DAY)
    assert told.proposed[SONNET, "lifecycle"]["successor"] == NEXT
    assert any("claude-fable-5-1: its vendor does not list" in notice for notice in told.json["notices"])
    assert KEY not in told.out + told.error


async def test_what_is_written_is_not_proposed_again_and_is_taken_back_at_once(changed, update, tmp_path):
    async with changed() as peers:
        services = services_with_prices(peers, priced)
        first = await update(apply=True, services=services)
        again = await update(apply=True, services=services)

    assert (first.json["written"], again.json["written"]) == (1, None)
    assert again.proposed == {}


async def test_a_model_that_is_to_go_is_announced_everywhere_and_replaced_on_the_day(
    changed, update, connect: Connect, tmp_path, era
):
    folder = tmp_path / "chargehand-home" / "profiles"
    async with changed() as peers:
        assert (await update(apply=True, services=services_with_prices(peers, priced))).code == 0
        # Somebody has evaluated the successor.
        (folder / "mine.yaml").write_text(f"id: {NEXT}\nlifecycle: {{on_probation: false}}\n", encoding="utf-8")
        async with connect(era) as client:
            await client.list_tools()
            instructions = client.instructions or ""
            result = await client.call_tool("route_task", {"task": HARD, "model": SONNET})
        async with own_services() as services:
            diagnosis = await examine(services)

    said = f"{SONNET} stops answering on {LAST_DAY}, in 21 days; its successor is {NEXT}"
    assert instructions.endswith(f"{said}.")
    assert len(instructions) <= 2_000
    assert said in json.dumps(result.structured_content)
    assert (said, "ok") in [(line.finding, line.health) for line in diagnosis.lines if line.what == "retirement"]
    catalogue = load_catalogue(folder)
    day_before = LAST_DAY - dt.timedelta(days=1)
    assert catalogue.models_in_role("validator", day_before)[0].id == SONNET
    assert SONNET not in [p.id for p in catalogue.models_in_role("validator", LAST_DAY)]
    assert NEXT in [p.id for p in catalogue.models_in_role("validator", LAST_DAY)]


async def test_nobody_is_told_of_a_model_that_stays(era):
    async with Client(build_app(own_services, due=lambda: ()), mode=era) as client:
        await client.list_tools()
        instructions = client.instructions or ""

    assert "stops answering" not in instructions
    assert instructions.startswith("Chargehand hands a coding task")


async def test_the_doctor_warns_of_a_role_whose_successor_is_on_probation(changed, update):
    async with changed() as peers:
        await update(apply=True, services=services_with_prices(peers, priced))
        async with own_services() as services:
            diagnosis = await examine(services)

    (line,) = [line for line in diagnosis.lines if line.what == "retirement" and line.finding.startswith(SONNET)]
    assert line.health == "missing"
    assert "on probation" in line.finding


async def test_a_new_local_model_plays_no_role_until_it_was_measured_but_can_be_named(
    changed, update, connect: Connect
):
    async with changed(lambda _: Reply(fenced("def double(count):\n    return 2 * count"))) as peers:
        await update(apply=True, services=services_with_prices(peers))
        async with connect() as client:
            routed = await client.call_tool("route_task", {"task": "Rename n to count: def double(n): return 2 * n"})
            receipt = await delegated(client, NEWCOMER)

    assert routed.structured_content is not None
    assert routed.structured_content["model"] != NEWCOMER
    assert receipt["attempts"][0]["model"] == NEWCOMER
    assert "on probation" in json.dumps(receipt)


async def test_a_price_that_is_announced_shows_in_usage_from_its_day_on_and_not_before(
    changed, update, capsys, tmp_path
):
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

    # Mostly thinking, which is billed as output: what the vendor's cache does to the prompt is lost in it.
    answer = Reply(fenced("def double(count):\n    return 2 * count"), thinking_tokens=5_000)
    async with changed(lambda _: answer) as peers:
        await update(apply=True, services=services_with_prices(peers, announced))
        unseen = load_catalogue(tmp_path / "chargehand-home" / "profiles").profiles["claude-haiku-5-5"].price
        assert unseen == today, "a list without a day of its own is not believed unseen"
        seen = await update(as_json=False, answer="y\n", services=services_with_prices(peers, announced))
        assert "$7 / $35 per million tokens from" in seen.out
        await delegated_on(services_with_prices(peers, in_days=20), "claude-haiku-5-5")
        before = await spent()
        await delegated_on(services_with_prices(peers, in_days=21), "claude-haiku-5-5")
        after = await spent() - before

    assert after == pytest.approx(70 * before, rel=0.05)
