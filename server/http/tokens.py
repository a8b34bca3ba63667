"""Verifies bearer tokens and identifies their callers. Tokens are neither stored, logged nor forwarded."""

import logging
import secrets
from typing import Any, cast

import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from .binding import AccessRules
from .issuer_keys import RETRY_AFTER_S, IssuerKeys, NoSuchKey

logger = logging.getLogger(__name__)

LEEWAY_S = 30
"""Tolerated difference between the issuer's clock and this machine's."""


def verifier(access: AccessRules, resource: str) -> TokenVerifier:
    """The verifier for the access rules. resource: the audience required in the issuer's tokens."""
    return _Tokens(access, IssuerKeys(access.issuer) if access.issuer else None, resource)


def issuer_unavailable(_: HTTPConnection, __: Exception) -> Response:
    """The response while the issuer is unreachable: 503 with Retry-After. A 401 would make the host log in again."""
    return JSONResponse(
        {"error": "temporarily_unavailable", "error_description": "The issuer of the token cannot be reached"},
        status_code=503,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


class _WrongToken(Exception):
    """The token is not the fixed one."""


class _Tokens(TokenVerifier):
    def __init__(self, access: AccessRules, keys: IssuerKeys | None, resource: str) -> None:
        self._access = access
        self._keys = keys
        self._resource = resource
        self._logged: set[type[Exception]] = set()

    async def verify_token(self, token: str) -> AccessToken | None:
        fixed = self._access.token
        if fixed is not None and secrets.compare_digest(token.encode(), fixed.get_secret_value().encode()):
            return AccessToken(token="", client_id="token", scopes=list(self._access.scopes))
        if self._keys is None:
            self._log_refusal(_WrongToken("it is not the one in CHARGEHAND_HTTP_TOKEN"))
            return None
        try:
            claims = await self._claims(token, self._keys)
        except (jwt.PyJWTError, NoSuchKey) as error:
            self._log_refusal(error)
            return None
        client, subject = claims.get("client_id") or claims.get("azp"), claims.get("sub")
        return AccessToken(
            token="",
            client_id=str(client or subject),
            subject=None if subject is None else str(subject),
            scopes=_scopes(claims),
            expires_at=int(claims["exp"]) + LEEWAY_S,
            resource=self._resource,
            claims={"iss": claims["iss"]},
        )

    def _log_refusal(self, error: Exception) -> None:
        """Log a refusal, as a warning only once per cause, so that bad tokens cannot flood the log."""
        level = logging.INFO if type(error) in self._logged else logging.WARNING
        self._logged.add(type(error))
        # In ASCII and clipped: PyJWT's messages may quote the token's header, which is untrusted.
        logger.log(level, "a token was refused: %.300s", ascii(str(error))[1:-1])

    async def _claims(self, token: str, keys: IssuerKeys) -> dict[str, Any]:
        """The claims (JSON, hence Any) of a token with valid signature, issuer, audience and time."""
        header = jwt.get_unverified_header(token)
        algorithm = str(header.get("alg"))
        key = await keys.key(algorithm, header.get("kid"))
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                leeway=LEEWAY_S,
                audience=self._resource,
                issuer=self._access.issuer,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        # The signature has been verified by now, so the quoted claims are the issuer's.
        except jwt.InvalidIssuerError as error:
            claim = jwt.decode(token, options={"verify_signature": False})["iss"]
            raise jwt.InvalidIssuerError(f"its iss is {claim}, and --issuer is {self._access.issuer}") from error
        except jwt.InvalidAudienceError as error:
            claim = jwt.decode(token, options={"verify_signature": False})["aud"]
            raise jwt.InvalidAudienceError(f"its aud is {claim}, and this server is {self._resource}") from error


def _scopes(claims: dict[str, Any]) -> list[str]:
    """The token's scopes, from a string or a list; any other form counts as no scopes."""
    claim = claims.get("scope", claims.get("scp"))
    if isinstance(claim, str):
        return claim.split()
    listed = cast("list[Any]", claim if isinstance(claim, list) else [])
    return [scope for scope in listed if isinstance(scope, str)]
