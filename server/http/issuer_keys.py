"""A cache of an OAuth issuer's keys: fetched on demand, once for all waiters, and kept while it is unavailable."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import httpx2
import jwt
from starlette.authentication import AuthenticationError

logger = logging.getLogger(__name__)

KEYS_REFRESH_AFTER_S = 300.0
"""From this age on, keys are refreshed in the background, so that in steady use no request waits."""
KEYS_TTL_S = 600.0
"""Up to this age, keys are accepted while the issuer is reachable; older ones require a refresh first."""
KEYS_MAX_STALE_S = 3_600.0
"""Up to this age, keys are accepted while the issuer is unreachable, even ones that it has revoked meanwhile."""
UNKNOWN_KEY_RETRY_S = 30.0
"""Minimum age of the keys before they are fetched again for an unknown key."""
RETRY_AFTER_S = 2
"""Minimum delay after a failed fetch."""
_TIMEOUT_S = 10.0

# By a key's type and curve (RFC 7518, RFC 8037). Asymmetric only: with a shared secret, a verifier could issue tokens.
_ALGORITHMS: dict[tuple[Any, Any], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}


class NoSuchKey(Exception):
    """The issuer has no key that matches the token."""


class IssuerUnavailable(AuthenticationError):
    """The issuer cannot be reached, so the token cannot be verified."""


class IssuerKeys:
    def __init__(self, issuer: str, now: Callable[[], float] = time.monotonic) -> None:
        """now: a monotonic clock, in seconds."""
        self._issuer = issuer
        self._now = now
        self._keys: list[jwt.PyJWK] = []
        self._fetched = float("-inf")
        self._failed = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, algorithm: str, key_id: str | None) -> jwt.PyJWK:
        """The key for a token's signature. Waits for the issuer only if no cached key is valid.

        algorithm, key_id: from the token's header; key_id None: not given. Raises NoSuchKey or IssuerUnavailable.
        """
        key = self._matching(algorithm, key_id)
        if self._age_s > (UNKNOWN_KEY_RETRY_S if key is None else KEYS_REFRESH_AFTER_S):
            fetching = self._fetch()
            if fetching is not None and (key is None or not self._are_valid):
                await asyncio.wait([fetching])
                key = self._matching(algorithm, key_id)
        if key is not None and self._are_valid:
            return key
        if self._is_unavailable:
            raise IssuerUnavailable
        raise NoSuchKey("its issuer has no key for its algorithm and key id, or several and it names none")

    def _matching(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        matching = [key for key in self._keys if key.algorithm_name == algorithm and key_id in (None, key.key_id)]
        return matching[0] if len(matching) == 1 or (matching and key_id is not None) else None

    @property
    def _age_s(self) -> float:
        return self._now() - self._fetched

    @property
    def _is_unavailable(self) -> bool:
        return self._failed > self._fetched

    @property
    def _are_valid(self) -> bool:
        """Whether the cached keys may still be used."""
        return self._age_s <= (KEYS_MAX_STALE_S if self._is_unavailable else KEYS_TTL_S)

    def _fetch(self) -> asyncio.Task[None] | None:
        """The pending fetch, started if there is none. None: the last one failed within RETRY_AFTER_S."""
        if self._fetching is None or self._fetching.done():
            if self._now() - self._failed < RETRY_AFTER_S:
                return None
            # A separate task: a waiter may disconnect, and the others still get the keys.
            self._fetching = asyncio.create_task(self._renew())
        return self._fetching

    async def _renew(self) -> None:
        try:
            with anyio.fail_after(_TIMEOUT_S):
                self._keys = await self._fetch_keys()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error) or type(error).__name__
            level = logging.INFO if self._is_unavailable else logging.WARNING
            logger.log(level, "the keys of %s cannot be fetched: %s", self._issuer, reason)
            self._failed = self._now()
        else:
            self._fetched = self._now()

    async def _fetch_keys(self) -> list[jwt.PyJWK]:
        async with httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client:
            address = await self._jwks_url(client)
            found = (await client.get(address)).raise_for_status().json()
        keys = [usable for key in found["keys"] for usable in _verification_keys(key)]
        if not keys:
            raise ValueError(f"{address} has no key that verifies signatures")
        return keys

    async def _jwks_url(self, client: httpx2.AsyncClient) -> str:
        """`jwks_uri` from the issuer's metadata: RFC 8414 section 3, or OpenID Connect Discovery section 4."""
        base = self._issuer.rstrip("/")
        parts = urlsplit(base)
        root = f"{parts.scheme}://{parts.netloc}"
        answers: list[str] = []
        for address in (
            f"{root}/.well-known/oauth-authorization-server{parts.path}",
            f"{base}/.well-known/openid-configuration",
        ):
            answer = await client.get(address)
            if answer.is_success:
                metadata = answer.json()
                self._check_issuer(str(metadata["issuer"]), address)
                return str(metadata["jwks_uri"])
            answers.append(f"{address} answers with HTTP {answer.status_code}")
        raise ValueError(", ".join(answers))

    def _check_issuer(self, stated: str, address: str) -> None:
        if stated.rstrip("/") != self._issuer.rstrip("/"):
            raise ValueError(f"{address} speaks for another issuer, {stated}")
        if stated != self._issuer and not self._keys:  # logged once, at the first fetch
            message = "--issuer is %s, but it calls itself %s. Give it like that: tokens must name it just as you do."
            logger.warning(message, self._issuer, stated)


def _verification_keys(jwk: Any) -> list[jwt.PyJWK]:
    """A JWK from the issuer (JSON, hence Any), once for each signature algorithm it may be used with."""
    key = cast("dict[str, Any]", jwk if isinstance(jwk, dict) else {})
    usable: list[jwt.PyJWK] = []
    if key.get("use") in (None, "sig"):
        for algorithm in _ALGORITHMS.get((key.get("kty"), key.get("crv")), ()):
            if key.get("alg") in (None, algorithm):
                with contextlib.suppress(jwt.PyJWTError):
                    usable.append(jwt.PyJWK(key, algorithm))
    return usable
