"""The one seam between our decisions and the vendors: what is asked, what comes back, what goes wrong.

ProviderError
├── Unavailable             ask another model; this one cannot answer at all
│   ├── Unreachable         nothing listens, or the connection fails
│   ├── MissingKey          no key where hosts keep keys
│   ├── AuthenticationFailed
│   ├── OutOfCredit
│   └── UnknownModelId      not installed, or retired by its vendor
├── Busy                    the same request may work later
│   ├── RateLimited         with the wait the vendor named
│   └── Overloaded
├── RequestRefused          the same request will never work on this model
│   ├── ContextTooLong
│   ├── NotLocal            local_only, and this model is elsewhere
│   └── InvalidRequest
├── BrokenStream            the answer began and did not end
├── GenerationTimeout       our own clock ran out
└── UnusableAnswer          a complete reply that holds no usable answer; it is billed
    ├── Truncated           max_output_tokens cut it
    ├── Refused             the model declined
    └── EmptyAnswer         nothing visible, as when thinking used the budget
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..profiles.model import ModelProfile


@dataclass(frozen=True)
class Thinking:
    """How hard the model is to think about this request."""

    on: bool
    effort: str | None = None
    """The vendor's word, one of the profile's `thinking.efforts`. None: the vendor's default."""


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    author: Literal["user", "assistant"]
    text: str
    vendor_state: Any = None
    """What the adapter gave with an earlier answer, thinking included: opaque (hence Any), only for
    the model that made it, and only sent back where the profile says so. None: text only."""
    state_tokens: int = 0
    """What `vendor_state` adds to the text, by the counters of the answer it came with."""


@dataclass(frozen=True)
class GenerationRequest:
    """One request to one model; all limits are the caller's, and hard."""

    profile: ModelProfile
    system: str
    turns: Sequence[Turn]
    thinking: Thinking
    max_output_tokens: int
    """Thinking and visible answer together."""
    timeout_s: float
    """Seconds from the first byte sent to the last byte read, a cold load included."""
    answer_schema: Mapping[str, object] | None = None
    """A JSON schema that the visible answer must follow. None: free text."""
    local_only: bool = False
    """True: the adapter refuses to send a byte to a host that is not local."""
    attempt_id: int | None = None
    """Where it stands in the books, for whoever must find it there again. None: it is in no book."""


@dataclass(frozen=True)
class Usage:
    """Tokens by the vendor's own counters, where it has any."""

    input_tokens: int = 0
    """The whole prompt, cached parts included."""
    output_tokens: int = 0
    """Thinking included."""
    thinking_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None
    """What the vendor says it charged. None: it does not say, and the profile's price counts."""
    is_estimated: bool = False
    """True: the vendor counted nothing, and these are estimates from the text."""

    @property
    def visible_tokens(self) -> int:
        """Output tokens of the visible answer."""
        return max(0, self.output_tokens - self.thinking_tokens)


@dataclass(frozen=True)
class Generation:
    """A model's whole reply."""

    text: str
    usage: Usage
    seconds: float
    """From the first byte sent to the last byte read."""
    load_seconds: float = 0.0
    """The part of `seconds` that went into loading the model into memory (Ollama's cold start)."""
    first_token_seconds: float | None = None
    """The part of `seconds` before the first piece of the reply, the load included. None: no piece came."""
    vendor_state: Any = None
    """For `Turn.vendor_state` of a repair. Opaque, hence Any."""


@dataclass(frozen=True)
class Progress:
    """How far a reply has come."""

    phase: Literal["waiting", "loading", "thinking", "answering"]
    usage: Usage
    """What will be billed if it stops here: the vendor's counters so far, else an estimate from the text."""


class Observer(Protocol):
    """Whom an adapter tells what happens while it happens."""

    def progressed(self, progress: Progress) -> None:
        """Called for each piece of the reply; must return at once."""
        ...

    def sent(self, host: str, bytes_sent: int) -> None:
        """Called for each HTTP request that leaves, before it leaves. bytes_sent: its body."""
        ...


@dataclass(frozen=True)
class Availability:
    """Whether a model can be asked now, as far as can be told without a paid request."""

    is_reachable: bool
    is_local: bool
    """True: what is sent to it stays on the machine (or on a host the user calls local)."""
    host: str
    why_not: str | None = None
    """The reason and the exact command or variable that would mend it. None: it is reachable."""
    is_loaded: bool | None = None
    """True: in memory already, no cold load ahead. None: does not apply, or not known."""
    context_tokens: int | None = None
    """The window the server itself states. None: not stated; the profile's figure counts."""
    build: str | None = None
    """Digest and quantization of the very weights (Ollama). None: the vendor does not say."""
    is_set_up: bool | None = True
    """False: it lacks the key that its user would have to get. None: it needs nothing of the kind, and nothing
    tells whether it is used here (Ollama, while it does not answer)."""
    queue: str | None = None
    """The server before which requests wait for their turn: it takes few at a time. None: it takes them all."""

    def window_of(self, profile: ModelProfile) -> int | None:
        """What prompt and answer may take together, in tokens. None: it is not known."""
        return self.context_tokens or profile.context_tokens


class Provider(Protocol):
    """A vendor, as the tools see it. `server/providers/` holds the adapters."""

    async def availability(
        self, profiles: Sequence[ModelProfile], *, local_only: bool = False
    ) -> Mapping[str, Availability]:
        """Whether each of this vendor's profiles can be asked, by profile id. Never raises for the network.

        local_only: no host elsewhere is spoken to, and what only it could tell is not known.
        """
        ...

    async def check_access(self) -> str | None:
        """Why the vendor does not let us in, with the remedy; None when it does, or when nothing is set up.

        Sends one free request, within a few seconds. Never raises for the network.
        """
        ...

    async def generate(self, request: GenerationRequest, observer: Observer) -> Generation:
        """The model's whole reply. Raises a ProviderError; cancelling it closes the connection."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class ProviderError(Exception):
    """A request that brought no usable answer. The message names the remedy, never a key or a prompt."""


class Unavailable(ProviderError):
    """The model cannot answer at all: ask another."""


class Unreachable(Unavailable):
    """Nothing listens there, or the connection fails."""


class MissingKey(Unavailable):
    """The vendor's key is not in the environment."""


class AuthenticationFailed(Unavailable):
    """The vendor does not accept the key."""


class OutOfCredit(Unavailable):
    """The account has nothing left, or its spend limit is reached."""


class UnknownModelId(Unavailable):
    """The vendor does not know the model id: not installed, misspelled, or retired."""


class Busy(ProviderError):
    """The same request may work later."""


class RateLimited(Busy):
    """Too many requests."""

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        """retry_after_s: the wait that the vendor named, in seconds. None: it named none."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Busy):
    """The vendor, or the local queue, has no capacity now."""


class VendorFailed(Busy):
    """The vendor itself failed."""


class RequestRefused(ProviderError):
    """The same request will never work on this model."""


class ContextTooLong(RequestRefused):
    """Prompt and answer do not fit the model's window, or the prompt was cut to fit."""


class NotLocal(RequestRefused):
    """The request may not leave the machine, and this model is not on it. Nothing was sent."""


class InvalidRequest(RequestRefused):
    """The vendor refuses the request's form: a defect in a profile's rules or in the adapter."""


class BrokenStream(ProviderError):
    """The reply began and did not end."""


class GenerationTimeout(ProviderError):
    """`timeout_s` ran out before the reply was complete."""


class UnusableAnswer(ProviderError):
    """A complete reply without a usable answer."""

    def __init__(self, message: str, generation: Generation) -> None:
        """generation: what came, and what it is billed at."""
        super().__init__(message)
        self.generation = generation


class Truncated(UnusableAnswer):
    """max_output_tokens, or the window, cut the visible answer."""


class Refused(UnusableAnswer):
    """The model declined to answer."""


class EmptyAnswer(UnusableAnswer):
    """Nothing visible came back, as when thinking used up the budget."""
