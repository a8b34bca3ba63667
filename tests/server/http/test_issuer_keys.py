"""When the issuer's keys are fetched, which callers wait, and how long cached keys stay usable."""

import json
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import JSONResponse, Response

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
BOUND_S = 60
"""Upper bound of each wait; no test measures the time."""


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def try_key(keys: IssuerKeys, key_id: str = "one") -> str:
    try:
        with anyio.fail_after(BOUND_S):
            await keys.key("ES256", key_id)
    except (IssuerUnavailable, NoSuchKey) as error:
        return type(error).__name__
    return "opens"


@pytest.mark.parametrize("age_s", [31, KEYS_REFRESH_AFTER_S + 1])
async def test_a_cached_key_is_usable_while_an_unknown_key_waits_for_a_slow_issuer(open_issuer: Opening, age_s: float):
    clock = Clock()
    async with open_issuer() as issuer, anyio.create_task_group() as group:
        keys = IssuerKeys(issuer.url, clock)
        await keys.key("ES256", "one")
        clock.now_s = age_s
        issuer.gate = anyio.Event()
        group.start_soon(try_key, keys, "unknown")
        while len(issuer.requested_paths) < 3:
            await anyio.lowlevel.checkpoint()

        assert await try_key(keys) == "opens"
        issuer.gate.set()


async def test_waiting_callers_share_one_fetch_that_survives_a_cancelled_caller(open_issuer: Opening):
    async with open_issuer() as issuer:
        keys = IssuerKeys(issuer.url)
        issuer.gate = anyio.Event()
        results: list[str] = []

        async def wait() -> None:
            results.append(await try_key(keys))

        async with anyio.create_task_group() as waiting:
            async with anyio.create_task_group() as cancelled:
                cancelled.start_soon(wait)
                while not issuer.requested_paths:
                    await anyio.lowlevel.checkpoint()
                waiting.start_soon(wait)
                waiting.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                cancelled.cancel_scope.cancel()
            issuer.gate.set()

    assert results == ["opens", "opens"]
    assert issuer.requested_paths == ["/.well-known/oauth-authorization-server", "/keys"]


async def test_cached_keys_stay_usable_up_to_the_stale_limit_while_the_issuer_is_unavailable(open_issuer: Opening):
    clock = Clock()
    async with open_issuer() as issuer:
        keys = IssuerKeys(issuer.url, clock)
        await keys.key("ES256", "one")
        issuer.is_unavailable = True
        results: dict[float, list[str]] = {}
        for age_s in (KEYS_TTL_S + 1, KEYS_MAX_STALE_S, KEYS_MAX_STALE_S + 1):
            clock.now_s = age_s
            results[age_s] = [await try_key(keys) for _ in range(3)]

    assert results == {
        KEYS_TTL_S + 1: ["opens"] * 3,
        KEYS_MAX_STALE_S: ["opens"] * 3,
        KEYS_MAX_STALE_S + 1: ["IssuerUnavailable"] * 3,
    }


async def test_a_withdrawn_key_is_refused_once_the_cached_keys_have_expired(open_issuer: Opening):
    clock = Clock()
    async with open_issuer() as issuer:
        keys = IssuerKeys(issuer.url, clock)
        await keys.key("ES256", "one")
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        issuer.published = [{**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(other)), "kid": "two"}]
        clock.now_s = KEYS_TTL_S + 1

        assert await try_key(keys) == "NoSuchKey"


@pytest.mark.parametrize(
    "place", ["/.well-known/oauth-authorization-server/realms/a", "/realms/a/.well-known/openid-configuration"]
)
async def test_an_issuer_with_a_path_is_found_in_both_standard_places(open_issuer: Opening, place: str):
    async with open_issuer() as issuer:
        issuer.path, issuer.metadata_path = "/realms/a", place

        assert await try_key(IssuerKeys(issuer.url + issuer.path)) == "opens"


@pytest.mark.parametrize(
    "metadata",
    [JSONResponse({}), JSONResponse([]), Response("<html>")],
    ids=["empty", "a list", "a page"],
)
async def test_an_issuer_whose_metadata_cannot_be_used_is_unavailable(open_issuer: Opening, metadata: Response):
    async with open_issuer() as issuer:
        issuer.metadata = metadata

        assert await try_key(IssuerKeys(issuer.url)) == "IssuerUnavailable"


async def test_an_issuer_without_a_usable_key_is_unavailable(open_issuer: Opening):
    async with open_issuer() as issuer:
        issuer.published = [{"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "one"}]

        assert await try_key(IssuerKeys(issuer.url)) == "IssuerUnavailable"


async def test_a_recovered_issuer_is_asked_again_after_retry_after(open_issuer: Opening):
    clock = Clock()
    async with open_issuer() as issuer:
        keys = IssuerKeys(issuer.url, clock)
        issuer.is_unavailable = True
        while_unavailable = [await try_key(keys), await try_key(keys)]
        request_count = len(issuer.requested_paths)
        issuer.is_unavailable = False
        clock.now_s = RETRY_AFTER_S

        assert (while_unavailable, request_count) == (["IssuerUnavailable"] * 2, 1)
        assert await try_key(keys) == "opens"


async def test_an_unknown_key_is_not_fetched_again_within_30_seconds(open_issuer: Opening):
    clock = Clock()
    async with open_issuer() as issuer:
        keys = IssuerKeys(issuer.url, clock)
        results = [await try_key(keys, "unknown")]
        clock.now_s = 30
        results.append(await try_key(keys, "unknown"))

    assert results == ["NoSuchKey"] * 2
    assert len(issuer.requested_paths) == 2


async def test_the_failure_of_an_issuer_is_logged_once(open_issuer: Opening, caplog: pytest.LogCaptureFixture):
    clock = Clock()
    async with open_issuer() as issuer:
        issuer.is_unavailable = True
        keys = IssuerKeys(issuer.url, clock)
        await try_key(keys)
        clock.now_s = RETRY_AFTER_S
        await try_key(keys)

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        f"the keys of {issuer.url} cannot be fetched: {issuer.url}/.well-known/oauth-authorization-server answers with"
        f" HTTP 503, {issuer.url}/.well-known/openid-configuration answers with HTTP 404"
    ]


async def test_an_issuer_that_names_itself_differently_is_logged_once(
    open_issuer: Opening, caplog: pytest.LogCaptureFixture
):
    clock = Clock()
    async with open_issuer() as issuer:
        keys = IssuerKeys(f"{issuer.url}/", clock)
        await keys.key("ES256", "one")
        clock.now_s = KEYS_TTL_S + 1
        await keys.key("ES256", "one")

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        f"--issuer is {issuer.url}/, but it calls itself {issuer.url}. Give it like that: tokens must name it just as"
        " you do."
    ]
