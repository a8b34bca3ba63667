"""Whether a bearer token counts, and whose it is. Tokens are compared and forgotten: none is logged or sent on."""

import logging
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier

from .binding import Entrance

logger = logging.getLogger(__name__)

KEYS_FRESH_S = 600.0
KEYS_AGAIN_AFTER_S = 30.0
"""How soon the issuer is asked again for a key that it did not have."""
_PATIENCE_S = 10.0

# Signatures only: with a shared secret, whoever can verify could also issue.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def verifier(entrance: Entrance, resource: str) -> TokenVerifier:
    """resource: the address that the issuer's tokens must be made out for."""
    return _Tokens(entrance, IssuerKeys(entrance.issuer) if entrance.issuer else None, resource)


class _Tokens(TokenVerifier):
    def __init__(self, entrance: Entrance, keys: "IssuerKeys | None", resource: str) -> None:
        self._entrance = entrance
        self._keys = keys
        self._resource = resource

    async def verify_token(self, token: str) -> AccessToken | None:
        fixed = self._entrance.token
        if fixed is not None and secrets.compare_digest(token.encode(), fixed.get_secret_value().encode()):
            return AccessToken(token="", client_id="token", scopes=list(self._entrance.scopes))
        if self._keys is None:
            return None
        try:
            claims = await self._claims(token, self._keys)
        except (jwt.PyJWTError, _NoKeys) as error:
            logger.info("a token was refused: %s", error)
            return None
        client, subject = claims.get("client_id") or claims.get("azp"), claims.get("sub")
        return AccessToken(
            token="",
            client_id=str(client or subject),
            subject=None if subject is None else str(subject),
            scopes=_scopes(claims),
            expires_at=int(claims["exp"]),
            resource=self._resource,
            claims={"iss": claims["iss"]},
        )

    async def _claims(self, token: str, keys: "IssuerKeys") -> dict[str, Any]:
        """The token's claims (of any type, hence Any), once signature, issuer, audience and time hold."""
        header = jwt.get_unverified_header(token)
        key = await keys.key(str(header.get("kid", "")))
        return jwt.decode(
            token,
            key,
            algorithms=list(_ALGORITHMS),
            audience=self._resource,
            issuer=self._entrance.issuer,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )


class IssuerKeys:
    """The keys of an OAuth issuer, fetched when needed and kept for a while."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer.rstrip("/")
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._turn = anyio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK:
        """Raises _NoKeys when the issuer has no such key or cannot be asked."""
        async with self._turn:
            age_s = time.monotonic() - self._fetched
            if age_s > KEYS_FRESH_S or (key_id not in self._keys and age_s > KEYS_AGAIN_AFTER_S):
                self._fetched = time.monotonic()
                self._keys = await self._fetch()
        if key_id not in self._keys:
            raise _NoKeys(f"{self._issuer} has no key of that id")
        return self._keys[key_id]

    async def _fetch(self) -> dict[str, jwt.PyJWK]:
        try:
            async with httpx2.AsyncClient(timeout=_PATIENCE_S, follow_redirects=False) as client:
                address = await self._address_of_keys(client)
                found = (await client.get(address)).raise_for_status().json()
                return {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(found).keys}
        except (httpx2.HTTPError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            logger.warning("the keys of %s cannot be had: %s", self._issuer, error)
            raise _NoKeys(f"the keys of {self._issuer} cannot be had") from error

    async def _address_of_keys(self, client: httpx2.AsyncClient) -> str:
        """As its metadata says: RFC 8414 section 3, else OpenID Connect Discovery section 4."""
        parts = urlsplit(self._issuer)
        root = f"{parts.scheme}://{parts.netloc}"
        for address in (
            f"{root}/.well-known/oauth-authorization-server{parts.path}",
            f"{self._issuer}/.well-known/openid-configuration",
        ):
            answer = await client.get(address)
            if answer.is_success:
                told = answer.json()
                if str(told.get("issuer", "")).rstrip("/") != self._issuer:
                    raise ValueError(f"{address} speaks for another issuer")
                return str(told["jwks_uri"])
        raise ValueError("it has no metadata")


class _NoKeys(Exception):
    """The key that a token is signed with cannot be had."""


def _scopes(claims: dict[str, Any]) -> list[str]:
    said = claims.get("scope", claims.get("scp", ""))
    return said.split() if isinstance(said, str) else [str(scope) for scope in said]
