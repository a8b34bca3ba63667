"""Reads JSON documents from a vendor, with limits on size and time, through the outgoing gate.

The vendors' SDKs are not used because they read a response whole, whatever its size.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import anyio
from pydantic import BaseModel, ValidationError

from ..providers.egress import Gate, client_options
from ..providers.vendor import Vendor

if TYPE_CHECKING:
    import httpx

MAX_BODY_BYTES = 2_000_000
"""A listing of a thousand models with all fields takes about half of it."""
_CONNECT_TIMEOUT_S = 3.0
_ANSWER_TIMEOUT_S = 20.0
_REASON_LENGTH = 160

_Form = TypeVar("_Form", bound=BaseModel)


class ListingUnavailable(Exception):
    """A listing could not be read; the message says why, and what to do."""


class VendorUnreachable(ListingUnavailable):
    """Nothing answers at the vendor's address."""


class InvalidListing(ListingUnavailable):
    """The vendor refused, or the listing is invalid; nothing from it is used."""


class Reader:
    """Sends requests to one vendor. Use it as an async context manager, which closes its connections."""

    def __init__(self, vendor: Vendor, gate: Gate, headers: Mapping[str, str] | None = None) -> None:
        """headers: sent with every request; the key is one of them."""
        self.vendor = vendor
        self._gate = gate
        self._headers = headers or {}
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> "Reader":
        import httpx

        self._client = httpx.AsyncClient(
            base_url=self.vendor.url,
            timeout=httpx.Timeout(_ANSWER_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            **client_options(self.vendor, self._gate),
            # Uncompressed, so that the size limit holds: a compressed body could expand to any size.
            headers={**self._headers, "accept": "application/json", "accept-encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def get(self, path: str, form: type[_Form], params: Mapping[str, str | list[str]] | None = None) -> _Form:
        """The document, parsed as `form`. Raises VendorUnreachable, InvalidListing, or NotLocal from the gate."""
        return self._validated(await self._read("GET", path, params=params), form)

    async def post(self, path: str, body: Mapping[str, str], form: type[_Form]) -> _Form:
        """The same for a POST with a JSON body."""
        return self._validated(await self._read("POST", path, body=body), form)

    async def _read(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | list[str]] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> bytes:
        import httpx

        if self._client is None:
            raise RuntimeError("a reader is used as a context")
        try:
            with anyio.fail_after(_ANSWER_TIMEOUT_S):
                async with self._client.stream(method, path, params=params, json=body) as response:
                    return await self._body(response)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise VendorUnreachable(f"{self.vendor.name} does not answer at {self.vendor.host}.") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise InvalidListing(
                f"{self.vendor.name}: the listing broke off ({type(error).__name__}), so nothing from it is used."
            ) from error

    async def _body(self, response: "httpx.Response") -> bytes:
        name = self.vendor.name
        if response.status_code in (401, 403):
            where = self.vendor.credentials or self.vendor.address_variable
            raise InvalidListing(f"{name} refuses the key ({response.status_code}): correct {where}.")
        if response.status_code != 200:
            raise InvalidListing(f"{name} answers with status {response.status_code} and no listing.")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise InvalidListing(
                f"{name}: the listing is compressed, although it was requested uncompressed; nothing from it is used."
            )
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise InvalidListing(
                    f"{name}: the listing is longer than {MAX_BODY_BYTES:,} bytes; nothing from it is used."
                )
        return bytes(body)

    def _validated(self, body: bytes, form: type[_Form]) -> _Form:
        try:
            return form.model_validate_json(body, strict=True)
        except ValidationError as error:
            raise InvalidListing(why_invalid(self.vendor.name, error)) from error


def why_invalid(name: str, error: ValidationError) -> str:
    """An error message with the first validation error, clipped. Of the rejected data it quotes at most a model id."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    place = f"{field[:80]}: " if field else ""
    reason = first["msg"].removeprefix("Value error, ")[:_REASON_LENGTH]
    return f"{name}: the listing is not valid ({place}{reason}); nothing from it is used."
