"""Whether a bearer token counts, and whose it is. Tokens are compared and forgotten: none is logged or sent on."""

import logging
import secrets
from typing import Any

import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from .binding import Entrance
from .issuer_keys import RETRY_AFTER_S, IssuerKeys, NoSuchKey

logger = logging.getLogger(__name__)

# Signatures only: with a shared secret, whoever can verify could also issue.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def verifier(entrance: Entrance, resource: str) -> TokenVerifier:
    """resource: the address that the issuer's tokens must be made out for."""
    return _Tokens(entrance, IssuerKeys(entrance.issuer) if entrance.issuer else None, resource)


def undecided(_: HTTPConnection, __: Exception) -> Response:
    """The answer while the issuer is away: come again. A 401 would send the host to log in anew."""
    return JSONResponse(
        {"error": "temporarily_unavailable", "error_description": "The issuer of the token cannot be reached"},
        status_code=503,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


class _Tokens(TokenVerifier):
    def __init__(self, entrance: Entrance, keys: IssuerKeys | None, resource: str) -> None:
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
        except (jwt.PyJWTError, NoSuchKey) as error:
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

    async def _claims(self, token: str, keys: IssuerKeys) -> dict[str, Any]:
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


def _scopes(claims: dict[str, Any]) -> list[str]:
    said = claims.get("scope", claims.get("scp", ""))
    return said.split() if isinstance(said, str) else [str(scope) for scope in said]
