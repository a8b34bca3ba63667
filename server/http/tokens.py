"""Whether a bearer token counts, and whose it is. Tokens are compared and forgotten: none is logged or sent on."""

import logging
import secrets
from typing import Any, cast

import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from .binding import Entrance
from .issuer_keys import RETRY_AFTER_S, IssuerKeys, NoSuchKey

logger = logging.getLogger(__name__)

LEEWAY_S = 30
"""By how much the issuer's clock may differ from this machine's."""


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


class _NotTheToken(Exception):
    """Another token than the fixed one."""


class _Tokens(TokenVerifier):
    def __init__(self, entrance: Entrance, keys: IssuerKeys | None, resource: str) -> None:
        self._entrance = entrance
        self._keys = keys
        self._resource = resource
        self._told: set[type[Exception]] = set()

    async def verify_token(self, token: str) -> AccessToken | None:
        fixed = self._entrance.token
        if fixed is not None and secrets.compare_digest(token.encode(), fixed.get_secret_value().encode()):
            return AccessToken(token="", client_id="token", scopes=list(self._entrance.scopes))
        if self._keys is None:
            self._tell(_NotTheToken("it is not the one in CHARGEHAND_HTTP_TOKEN"))
            return None
        try:
            claims = await self._claims(token, self._keys)
        except (jwt.PyJWTError, NoSuchKey) as error:
            self._tell(error)
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

    def _tell(self, error: Exception) -> None:
        """Once per cause where the operator sees it: a stranger may send as many bad tokens as he likes."""
        level = logging.INFO if type(error) in self._told else logging.WARNING
        self._told.add(type(error))
        # In ASCII and cut: words of PyJWT may quote the token's header, which is a stranger's text.
        logger.log(level, "a token was refused: %.300s", ascii(str(error))[1:-1])

    async def _claims(self, token: str, keys: IssuerKeys) -> dict[str, Any]:
        """The token's claims (of any type, hence Any), once signature, issuer, audience and time hold."""
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
                issuer=self._entrance.issuer,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        # By then the signature has been verified: these are the issuer's words.
        except jwt.InvalidIssuerError as error:
            said = jwt.decode(token, options={"verify_signature": False})["iss"]
            raise jwt.InvalidIssuerError(f"its iss is {said}, and --issuer is {self._entrance.issuer}") from error
        except jwt.InvalidAudienceError as error:
            said = jwt.decode(token, options={"verify_signature": False})["aud"]
            raise jwt.InvalidAudienceError(f"its aud is {said}, and this server is {self._resource}") from error


def _scopes(claims: dict[str, Any]) -> list[str]:
    """What the token allows; a claim in neither of the two forms that issuers use allows nothing."""
    said = claims.get("scope", claims.get("scp"))
    if isinstance(said, str):
        return said.split()
    listed = cast("list[Any]", said if isinstance(said, list) else [])
    return [scope for scope in listed if isinstance(scope, str)]
