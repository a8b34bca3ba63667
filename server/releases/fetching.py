"""Reads one JSON document from a vendor, within limits, through the gate that every request passes.

Not through the vendors' SDKs: they read whatever comes, whole.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import anyio
from pydantic import BaseModel, ValidationError

from ..providers.egress import Gate, client_options
from ..providers.vendor import Vendor

if TYPE_CHECKING:
    import httpx

BODY_AT_MOST_BYTES = 2_000_000
"""A list of a thousand models with all their facts takes about half of it."""
_CONNECT_TIMEOUT_S = 3.0
_ANSWER_TIMEOUT_S = 20.0
_REASON_LENGTH = 160

_Form = TypeVar("_Form", bound=BaseModel)


class NotRead(Exception):
    """A listing that nobody could read; the message says why, and what to do."""


class NotThere(NotRead):
    """Nobody answers there."""


class NotBelieved(NotRead):
    """A listing that is not what it must be: nothing from it is used."""


class Reader:
    """Asks one vendor. Use it as a context, so that its connections are closed."""

    def __init__(self, vendor: Vendor, gate: Gate, headers: Mapping[str, str] | None = None) -> None:
        """headers: what every request carries, the key among them."""
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
            # Counted as it comes: what is packed could unpack to anything.
            headers={**self._headers, "accept": "application/json", "accept-encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def get(self, path: str, form: type[_Form], params: Mapping[str, str | list[str]] | None = None) -> _Form:
        """The document in its form. Raises NotThere or NotBelieved, or NotLocal by the gate."""
        return self._validated(await self._read("GET", path, params=params), form)

    async def post(self, path: str, body: Mapping[str, str], form: type[_Form]) -> _Form:
        """The same for a question with a body."""
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
            raise NotThere(f"{self.vendor.name} does not answer at {self.vendor.host}.") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise NotBelieved(
                f"{self.vendor.name}: the listing broke off ({type(error).__name__}), so nothing from it is used."
            ) from error

    async def _body(self, response: "httpx.Response") -> bytes:
        name = self.vendor.name
        if response.status_code in (401, 403):
            raise NotBelieved(f"{name} refuses the key ({response.status_code}): correct {self.vendor.key_variable}.")
        if response.status_code != 200:
            raise NotBelieved(f"{name} answers with status {response.status_code} and no listing.")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise NotBelieved(
                f"{name}: the listing is compressed, although it was requested uncompressed; nothing from it is used."
            )
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > BODY_AT_MOST_BYTES:
                raise NotBelieved(
                    f"{name}: the listing is longer than {BODY_AT_MOST_BYTES:,} bytes; nothing from it is used."
                )
        return bytes(body)

    def _validated(self, body: bytes, form: type[_Form]) -> _Form:
        try:
            return form.model_validate_json(body, strict=True)
        except ValidationError as error:
            raise NotBelieved(why_not_believed(self.vendor.name, error)) from error


def why_not_believed(name: str, error: ValidationError) -> str:
    """The first thing that is wrong with a listing; what it held is shown by its beginning, and only if printable."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    place = f"{field[:80]}: " if field else ""
    reason = first["msg"].removeprefix("Value error, ")[:_REASON_LENGTH]
    return f"{name}: the listing is not valid ({place}{reason}); nothing from it is used."
