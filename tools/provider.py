"""The interface between our decisions and the vendors: requests, responses and errors.

ProviderError
├── Unavailable             this model cannot answer at all: ask another
│   ├── Unreachable         nothing listens, or the connection fails
│   ├── MissingKey          the vendor's key is not in the environment
│   ├── AuthenticationFailed
│   ├── OutOfCredit
│   └── UnknownModelId      not installed, misspelled, or retired by its vendor
├── Busy                    the same request may work later
│   ├── RateLimited         with the wait that the vendor requested
│   ├── Overloaded
│   └── VendorFailed
├── RequestRefused          the same request will never work on this model
│   ├── ContextTooLong
│   ├── NotLocal            local_only, and this model is remote
│   └── InvalidRequest
├── BrokenStream            the reply began and did not end
├── GenerationTimeout       our own timeout expired
└── UnusableAnswer          a complete reply that holds no usable answer; it is billed
    ├── Truncated           max_output_tokens or the window cut it
    ├── Refused             the model declined
    └── EmptyAnswer         nothing visible, as when thinking used up the budget
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..profiles.model import ModelProfile


@dataclass(frozen=True)
class Thinking:
    """How much the model should think about this request."""

    on: bool
    effort: str | None = None
    """The vendor's name for it, one of the profile's `thinking.efforts`. None: the vendor's default."""


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    author: Literal["user", "assistant"]
    text: str
    vendor_state: Any = None
    """The adapter's state from an earlier answer, thinking included. Opaque (hence Any), valid only for the model that
    produced it, and sent back only where the profile allows it. None: text only."""
    state_tokens: int = 0
    """The tokens that `vendor_state` adds to the text, as counted with the answer it came from."""


@dataclass(frozen=True)
class GenerationRequest:
    """One request to one model; all limits are hard."""

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
    """The id of its attempt in the ledger. None: it is not recorded."""


@dataclass(frozen=True)
class Usage:
    """Token counts, the vendor's own where it reports them."""

    input_tokens: int = 0
    """The whole prompt, cached parts included."""
    output_tokens: int = 0
    """Thinking included."""
    thinking_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None
    """The cost reported by the vendor. None: not reported, so the profile's price applies."""
    price_factor: float = 1.0
    """What the vendor charges, as a multiple of the profile's price."""
    is_estimated: bool = False
    """True: the vendor reported no counts, so these are estimated from the text."""

    @property
    def visible_tokens(self) -> int:
        """Output tokens of the visible answer."""
        return max(0, self.output_tokens - self.thinking_tokens)


@dataclass(frozen=True)
class Generation:
    """A model's complete reply."""

    text: str
    usage: Usage
    seconds: float
    """From the first byte sent to the last byte read."""
    load_seconds: float = 0.0
    """The part of `seconds` spent loading the model into memory (Ollama's cold start)."""
    first_token_seconds: float | None = None
    """The part of `seconds` before the first chunk of the reply, loading included. None: no chunk arrived."""
    vendor_state: Any = None
    """For `Turn.vendor_state` in a repair. Opaque, hence Any."""


@dataclass(frozen=True)
class Progress:
    """The progress of a reply."""

    phase: Literal["waiting", "loading", "thinking", "answering"]
    usage: Usage
    """The vendor's counters so far, or an estimate from the text if that is more."""
    has_final_counts: bool = False
    """True: the vendor's counters cover the whole output, with thinking that it does not show."""


class Observer(Protocol):
    """Receives an adapter's events during a request."""

    def progressed(self, progress: Progress) -> None:
        """Called for each chunk of the reply; must return immediately."""
        ...

    def sent(self, host: str, bytes_sent: int) -> None:
        """Called before each HTTP request is sent. bytes_sent: the size of its body."""
        ...


@dataclass(frozen=True)
class Availability:
    """Whether a model can be asked now, as far as is known without a paid request."""

    is_reachable: bool
    is_local: bool
    """True: text sent to it stays on the machine (or on a host that the user declared local)."""
    host: str
    why_not: str | None = None
    """The reason, with the exact command or variable that fixes it. None: it is reachable."""
    is_loaded: bool | None = None
    """True: already in memory, no cold load ahead. None: not applicable or unknown."""
    context_tokens: int | None = None
    """The context window reported by the server. None: not reported; the profile's figure applies."""
    build: str | None = None
    """Digest and quantization of the weights (Ollama). None: the vendor does not report them."""
    api_model: str | None = None
    """The wire id of another build, asked because the profile's own is not installed (Ollama). None: the profile's."""
    is_set_up: bool | None = True
    """False: the required key is missing. None: no key is required, and whether the user has set it up is unknown
    (Ollama while it does not respond)."""
    queue: str | None = None
    """The server whose request queue applies, because it takes few requests at a time. None: no queue."""

    def window_of(self, profile: ModelProfile) -> int | None:
        """The tokens that prompt and answer may take together. None: unknown."""
        return self.context_tokens or profile.context_tokens


class Provider(Protocol):
    """The interface of a vendor's adapter. The adapters are in `server/providers/`."""

    async def availability(
        self, profiles: Sequence[ModelProfile], *, local_only: bool = False
    ) -> Mapping[str, Availability]:
        """The availability of each of this vendor's profiles, by profile id. Never raises for network errors.

        local_only: remote hosts are not contacted, so anything only they could report is unknown.
        """
        ...

    async def check_access(self) -> str | None:
        """Why the vendor denies access, with the remedy; None if it grants access or nothing is set up.

        Sends one free request, within a few seconds. Never raises for network errors.
        """
        ...

    async def generate(self, request: GenerationRequest, observer: Observer) -> Generation:
        """The model's complete reply. Raises a ProviderError; cancelling closes the connection."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class ProviderError(Exception):
    """A request without a usable answer. The message names the remedy, never a key or a prompt."""


class Unavailable(ProviderError):
    """The model cannot answer at all: ask another."""


class Unreachable(Unavailable):
    """Nothing listens there, or the connection fails."""


class MissingKey(Unavailable):
    """The vendor's key is not in the environment."""


class AuthenticationFailed(Unavailable):
    """The vendor does not accept the key."""


class OutOfCredit(Unavailable):
    """The account's credit or spend limit is used up."""


class UnknownModelId(Unavailable):
    """The vendor does not know the model id: not installed, misspelled, or retired."""


class Busy(ProviderError):
    """The same request may work later."""


class RateLimited(Busy):
    """Too many requests."""

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        """retry_after_s: the wait that the vendor requested, in seconds. None: it requested none."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Busy):
    """The vendor or the local queue has no capacity at present."""


class VendorFailed(Busy):
    """The vendor itself failed."""


class RequestRefused(ProviderError):
    """The same request will never work on this model."""


class ContextTooLong(RequestRefused):
    """Prompt and answer exceed the model's window, or the server truncated the prompt."""


class NotLocal(RequestRefused):
    """The request must stay on the machine, and this model is remote. Nothing was sent."""


class InvalidRequest(RequestRefused):
    """The vendor rejects the request's format: a defect in a profile's rules or in the adapter."""


class BrokenStream(ProviderError):
    """The reply began and did not end."""


class GenerationTimeout(ProviderError):
    """`timeout_s` ran out before the reply was complete."""


class UnusableAnswer(ProviderError):
    """A complete reply without a usable answer."""

    def __init__(self, message: str, generation: Generation) -> None:
        """generation: the reply, with its billed usage."""
        super().__init__(message)
        self.generation = generation


class Truncated(UnusableAnswer):
    """max_output_tokens, or the window, cut the visible answer."""


class Refused(UnusableAnswer):
    """The model declined to answer."""


class EmptyAnswer(UnusableAnswer):
    """Nothing visible came back, as when thinking used up the budget."""
