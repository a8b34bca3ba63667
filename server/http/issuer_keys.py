"""The keys of an OAuth issuer: fetched when needed, shared by all who wait, and kept while the issuer is away."""

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

KEYS_RENEWED_S = 300.0
"""From this age on, keys are fetched anew while the old ones still open: in steady use nobody waits for it."""
KEYS_FRESH_S = 600.0
"""Up to this age, keys open without the issuer being asked."""
KEYS_KEPT_S = 3_600.0
"""Up to this age, keys open while the issuer cannot be reached. A key that it withdrew meanwhile opens as long."""
KEYS_AGAIN_AFTER_S = 30.0
"""How soon the issuer is asked again for a key that it did not have."""
RETRY_AFTER_S = 2
"""How soon an issuer that could not be reached is asked again."""
_PATIENCE_S = 10.0

# By type and curve of a key (RFC 7518, RFC 8037). Signatures only: with a shared secret, whoever verifies could issue.
_ALGORITHMS: dict[tuple[Any, Any], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}


class NoSuchKey(Exception):
    """The issuer has no key that the token could be signed with."""


class IssuerAway(AuthenticationError):
    """The issuer cannot be reached, and without it nobody can say whether a token counts."""


class IssuerKeys:
    def __init__(self, issuer: str, now: Callable[[], float] = time.monotonic) -> None:
        """now: seconds of a clock that never goes back."""
        self._issuer = issuer
        self._now = now
        self._keys: list[jwt.PyJWK] = []
        self._fetched = float("-inf")
        self._failed = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, algorithm: str, key_id: str | None) -> jwt.PyJWK:
        """The key for a token's signature. Waits for the issuer only where no key at hand will do.

        algorithm, key_id: of the token's header; None: it names no key. Raises NoSuchKey or IssuerAway.
        """
        key = self._fitting(algorithm, key_id)
        if self._age_s > (KEYS_AGAIN_AFTER_S if key is None else KEYS_RENEWED_S):
            fetching = self._fetch()
            if fetching is not None and (key is None or not self._hold):
                await asyncio.wait([fetching])
                key = self._fitting(algorithm, key_id)
        if key is not None and self._hold:
            return key
        if self._is_away:
            raise IssuerAway
        raise NoSuchKey("its issuer has no key for its algorithm and key id, or several and it names none")

    def _fitting(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        fitting = [key for key in self._keys if key.algorithm_name == algorithm and key_id in (None, key.key_id)]
        return fitting[0] if len(fitting) == 1 or (fitting and key_id is not None) else None

    @property
    def _age_s(self) -> float:
        return self._now() - self._fetched

    @property
    def _is_away(self) -> bool:
        return self._failed > self._fetched

    @property
    def _hold(self) -> bool:
        """Whether the keys at hand still open."""
        return self._age_s <= (KEYS_KEPT_S if self._is_away else KEYS_FRESH_S)

    def _fetch(self) -> asyncio.Task[None] | None:
        """The one fetch under way. None: the last one has just failed."""
        if self._fetching is None or self._fetching.done():
            if self._now() - self._failed < RETRY_AFTER_S:
                return None
            # A task of its own: whoever waits for it may hang up, and the others still get the keys.
            self._fetching = asyncio.create_task(self._renew())
        return self._fetching

    async def _renew(self) -> None:
        try:
            with anyio.fail_after(_PATIENCE_S):
                self._keys = await self._published()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
            said = str(error) or type(error).__name__
            level = logging.INFO if self._is_away else logging.WARNING
            logger.log(level, "the keys of %s cannot be fetched: %s", self._issuer, said)
            self._failed = self._now()
        else:
            self._fetched = self._now()

    async def _published(self) -> list[jwt.PyJWK]:
        async with httpx2.AsyncClient(timeout=_PATIENCE_S, follow_redirects=False) as client:
            address = await self._address_of_keys(client)
            found = (await client.get(address)).raise_for_status().json()
        keys = [usable for key in found["keys"] for usable in _usable(key)]
        if not keys:
            raise ValueError(f"{address} has no key that verifies signatures")
        return keys

    async def _address_of_keys(self, client: httpx2.AsyncClient) -> str:
        """As its metadata says: RFC 8414 section 3, else OpenID Connect Discovery section 4."""
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
                told = answer.json()
                self._compare(str(told["issuer"]), address)
                return str(told["jwks_uri"])
            answers.append(f"{address} answers with HTTP {answer.status_code}")
        raise ValueError(", ".join(answers))

    def _compare(self, told: str, address: str) -> None:
        if told.rstrip("/") != self._issuer.rstrip("/"):
            raise ValueError(f"{address} speaks for another issuer, {told}")
        if told != self._issuer and not self._keys:  # said once, at the first fetch
            said = "--issuer is %s, but it calls itself %s. Give it like that: tokens must name it just as you do."
            logger.warning(said, self._issuer, told)


def _usable(shown: Any) -> list[jwt.PyJWK]:
    """What an issuer shows as a key (JSON, hence Any), for each algorithm that it may be used with."""
    key = cast("dict[str, Any]", shown if isinstance(shown, dict) else {})
    usable: list[jwt.PyJWK] = []
    if key.get("use") in (None, "sig"):
        for algorithm in _ALGORITHMS.get((key.get("kty"), key.get("crv")), ()):
            if key.get("alg") in (None, algorithm):
                with contextlib.suppress(jwt.PyJWTError):
                    usable.append(jwt.PyJWK(key, algorithm))
    return usable
