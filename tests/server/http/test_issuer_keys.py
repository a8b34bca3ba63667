"""When the issuer is asked for its keys, who waits for it, and what its old keys are good for."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest

from chargehand.server.http.issuer_keys import (
    KEYS_MAX_STALE_S,
    KEYS_REFRESH_AFTER_S,
    KEYS_TTL_S,
    RETRY_AFTER_S,
    IssuerKeys,
    IssuerUnavailable,
    NoSuchKey,
)

pytestmark = pytest.mark.anyio

Opening = Callable[..., AbstractAsyncContextManager[Any]]
BOUND_S = 20
"""For waits; nothing here tests how long it takes."""


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def opens(keys: IssuerKeys, key_id: str = "one") -> str:
    try:
        with anyio.fail_after(BOUND_S):
            await keys.key("ES256", key_id)
    except (IssuerUnavailable, NoSuchKey) as error:
        return type(error).__name__
    return "opens"


@pytest.mark.parametrize("age_s", [31, KEYS_REFRESH_AFTER_S + 1])
async def test_a_key_at_hand_opens_while_a_strangers_token_waits_for_a_slow_issuer(open_issuer: Opening, age_s: float):
    clock = Clock()
    async with open_issuer() as issuer, anyio.create_task_group() as group:
        keys = IssuerKeys(issuer.url, clock)
        await keys.key("ES256", "one")
        clock.now_s = age_s
        issuer.held = anyio.Event()
        group.start_soon(opens, keys, "unknown")
        while len(issuer.asked) < 3:
            await anyio.lowlevel.checkpoint()

        assert await opens(keys) == "opens"
        issuer.held.set()


async def test_all_who_wait_share_one_fetch_and_one_who_hangs_up_does_not_end_it(open_issuer: Opening):
    async with open_issuer() as issuer:
        keys = IssuerKeys(issuer.url)
        issuer.held = anyio.Event()
        found: list[str] = []

        async def wait() -> None:
            found.append(await opens(keys))

        async with anyio.create_task_group() as waiting:
            async with anyio.create_task_group() as impatient:
                impatient.start_soon(wait)
                while not issuer.asked:
                    await anyio.lowlevel.checkpoint()
                waiting.start_soon(wait)
                waiting.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                impatient.cancel_scope.cancel()
            issuer.held.set()

    assert found == ["opens", "opens"]
    assert issuer.asked == ["/.well-known/oauth-authorization-server", "/keys"]


async def test_old_keys_open_for_an_hour_while_the_issuer_is_away_and_then_no_more(open_issuer: Opening):
    clock = Clock()
    async with open_issuer() as issuer:
        keys = IssuerKeys(issuer.url, clock)
        await keys.key("ES256", "one")
        issuer.is_away = True
        found: dict[float, list[str]] = {}
        for age_s in (KEYS_TTL_S + 1, KEYS_MAX_STALE_S, KEYS_MAX_STALE_S + 1):
            clock.now_s = age_s
            found[age_s] = [await opens(keys) for _ in range(3)]

    assert found == {
        KEYS_TTL_S + 1: ["opens"] * 3,
        KEYS_MAX_STALE_S: ["opens"] * 3,
        KEYS_MAX_STALE_S + 1: ["IssuerUnavailable"] * 3,
    }


async def test_an_issuer_that_comes_back_opens_as_soon_as_callers_were_told_to_come_again(open_issuer: Opening):
    clock = Clock()
    async with open_issuer() as issuer:
        keys = IssuerKeys(issuer.url, clock)
        issuer.is_away = True
        away = [await opens(keys), await opens(keys)]
        asked = len(issuer.asked)
        issuer.is_away = False
        clock.now_s = RETRY_AFTER_S

        assert (away, asked) == (["IssuerUnavailable"] * 2, 1)
        assert await opens(keys) == "opens"


async def test_a_key_that_the_issuer_does_not_have_is_asked_for_no_more_than_twice_a_minute(open_issuer: Opening):
    clock = Clock()
    async with open_issuer() as issuer:
        keys = IssuerKeys(issuer.url, clock)
        found = [await opens(keys, "unknown")]
        clock.now_s = 30
        found.append(await opens(keys, "unknown"))

    assert found == ["NoSuchKey"] * 2
    assert len(issuer.asked) == 2


async def test_what_an_issuer_that_is_away_answers_is_said_once(open_issuer: Opening, caplog: pytest.LogCaptureFixture):
    clock = Clock()
    async with open_issuer() as issuer:
        issuer.is_away = True
        keys = IssuerKeys(issuer.url, clock)
        await opens(keys)
        clock.now_s = RETRY_AFTER_S
        await opens(keys)

    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [
        f"the keys of {issuer.url} cannot be fetched: {issuer.url}/.well-known/oauth-authorization-server answers with"
        f" HTTP 503, {issuer.url}/.well-known/openid-configuration answers with HTTP 404"
    ]


async def test_an_issuer_that_calls_itself_otherwise_than_typed_is_named_once(
    open_issuer: Opening, caplog: pytest.LogCaptureFixture
):
    clock = Clock()
    async with open_issuer() as issuer:
        keys = IssuerKeys(f"{issuer.url}/", clock)
        await keys.key("ES256", "one")
        clock.now_s = KEYS_TTL_S + 1
        await keys.key("ES256", "one")

    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [
        f"--issuer is {issuer.url}/, but it calls itself {issuer.url}. Give it like that: tokens must name it just as"
        " you do."
    ]
