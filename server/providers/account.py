"""An account with a vendor that requires a key, and its single SDK client."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Generic, Protocol, TypeVar

import anyio
import anyio.to_thread

from ...profiles.model import ModelProfile
from ...tools.provider import (
    Availability,
    Busy,
    GenerationRequest,
    MissingKey,
    NotLocal,
    Observer,
    ProviderError,
    Unreachable,
)
from .deadline import ACCESS_TIMEOUT_S, deadline
from .egress import Gate, not_local, on_behalf_of
from .reply import Clock, PartialReply
from .unreachable import unreachable
from .vendor import Vendor
from .vendor_errors import Translation, translating


class Client(Protocol):
    async def close(self) -> None: ...


class Response(Protocol):
    """What httpx and httpx2 have in common."""

    @property
    def headers(self) -> Mapping[str, str]: ...


_Client = TypeVar("_Client", bound=Client)

Translations = Callable[
    [Vendor, GenerationRequest | None, str, Callable[[], bool]], Mapping[type[Exception], Translation]
]
"""Builds a vendor's error table. Arguments: vendor, request, API key (never shown in a message), and a function that
says whether an answer had begun."""


class Account(Generic[_Client]):
    """Shared by the adapters of vendors with API keys."""

    def __init__(
        self,
        vendor: Vendor,
        api_key: str,
        connect: Callable[[str, Vendor, Gate], _Client],
        translations: Translations,
        gate: Gate,
    ) -> None:
        """api_key: empty means absent, which only a vendor without a key variable accepts.

        connect: imports the SDK and creates its client; called once, in a thread.
        """
        self.vendor = vendor
        self.api_key = api_key.strip()
        self._connect = connect
        self._translations = translations
        self._gate = gate
        self._client: _Client | None = None
        self._client_lock = anyio.Lock()

    @property
    def why_unusable(self) -> str | None:
        """See `Vendor.why_unusable`."""
        return self.vendor.why_unusable(self.api_key)

    def availability(self, profiles: Sequence[ModelProfile]) -> Mapping[str, Availability]:
        """Whether there is a key. Nothing is sent, so a wrong key is detected only when it is used."""
        vendor, why_not = self.vendor, self.why_unusable
        return {
            profile.id: Availability(
                is_reachable=why_not is None,
                is_local=vendor.keeps_local(profile),
                host=vendor.host,
                why_not=why_not,
                # A profile written by the user counts as set up, with or without the key.
                is_set_up=why_not is None or profile.base_url is not None,
            )
            for profile in profiles
        }

    async def check_access(self, send: Callable[[_Client], Awaitable[object]]) -> str | None:
        """See `Provider`. send: makes a free request. A busy vendor counts as accessible."""
        if self.why_unusable or self._gate.blocks(self.vendor.host):
            return None
        client = await self.client()
        try:
            with self.translating(), anyio.fail_after(ACCESS_TIMEOUT_S):
                await send(client)
        except TimeoutError:
            return str(unreachable(self.vendor))
        except Busy:
            return None
        except ProviderError as error:
            return str(error)
        return None

    def translating(
        self, request: GenerationRequest | None = None, began: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[None]:
        """Translates the vendor's errors inside the block into our types. request: None if no single one is concerned.

        began: returns whether part of the answer had arrived.
        """
        return translating(self._translations(self.vendor, request, self.api_key, began))

    @asynccontextmanager
    async def asking(
        self, request: GenerationRequest, observer: Observer, clock: Clock
    ) -> AsyncGenerator[tuple[_Client, PartialReply]]:
        """The client, and the reply for the block to fill.

        Inside the block the request's deadline and privacy apply, and errors are translated. Raises NotLocal or
        MissingKey when the request may not, or cannot, be sent here.
        """
        self.check_before_sending(request)
        client = await self.client()
        reply = PartialReply(request, observer, clock)
        reply.enter_phase("waiting")
        with self.translating(request, lambda: reply.has_begun), deadline(request), on_behalf_of(request, observer):
            yield client, reply

    def check_answer(self, response: Response) -> None:
        """Raises Unreachable when a web page came instead of an answer, as from a portal that wants a sign-in."""
        if response.headers.get("content-type", "").startswith("text/html"):
            raise Unreachable(
                f"{self.vendor.url} answered with a web page, not like {self.vendor.name}. Sign in where your network "
                f"asks for it, or correct {self.vendor.address_variable}."
            )

    def check_before_sending(self, request: GenerationRequest) -> None:
        """Raises NotLocal or MissingKey when the request may not, or cannot, be sent here."""
        if request.local_only and not self.vendor.keeps_local(request.profile):
            raise NotLocal(not_local(self.vendor.host))
        if (why := self.why_unusable) is not None:
            raise MissingKey(why)

    async def client(self) -> _Client:
        """The vendor's client, created on the first call."""
        async with self._client_lock:
            if self._client is None:
                # In a thread: importing an SDK takes up to a second and must not block the server.
                connect = partial(self._connect, self.api_key, self.vendor, self._gate)
                self._client = await anyio.to_thread.run_sync(connect, abandon_on_cancel=True)
            return self._client

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()


class OneAccountProvider(Generic[_Client]):
    """The methods of `Provider` that are alike for all vendors with one account."""

    def __init__(
        self, account: Account[_Client], clock: Clock, list_models: Callable[[_Client], Awaitable[object]]
    ) -> None:
        self._account = account
        self._clock = clock
        self._list_models = list_models

    async def availability(
        self,
        profiles: Sequence[ModelProfile],
        *,
        local_only: bool = False,  # noqa: ARG002 - sends nothing
    ) -> Mapping[str, Availability]:
        """See `Account`."""
        return self._account.availability(profiles)

    async def check_access(self) -> str | None:
        """See `Account`."""
        return await self._account.check_access(self._list_models)

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._account.aclose()
