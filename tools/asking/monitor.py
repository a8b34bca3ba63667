"""What was sent for one task, and how far the current reply is."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from ..provider import Progress


@dataclass
class Traffic:
    """The requests and bytes that went to one host."""

    requests: int = 0
    bytes: int = 0


@dataclass
class RequestMonitor:
    """Counts requests and follows their replies; an `Observer` for the providers."""

    notify: Callable[[str, int, int], None] | None = None
    """Called with the phase, the output tokens so far, and the number of requests queued ahead. None: not called."""
    traffic: dict[str, Traffic] = field(default_factory=dict[str, Traffic])
    """By host, over all requests."""
    last: Progress | None = None
    """The newest progress of the current request."""
    sent_at: float | None = None
    """When the current request was sent, by the event loop's clock. None: it was not."""
    answering_since: float | None = None
    """When its visible answer began, by the event loop's clock. None: it did not."""

    @property
    def has_begun(self) -> bool:
        """Whether the current reply has begun, even if only with the vendor's token counts."""
        last = self.last
        return last is not None and (last.phase in ("thinking", "answering") or not last.usage.is_estimated)

    @property
    def is_counted(self) -> bool:
        """Whether the vendor has counted the whole of the current reply."""
        return self.last is not None and self.last.has_final_counts

    @property
    def thought_s(self) -> float:
        """Seconds from sending the current request until its visible answer began, or until now. 0 if not sent."""
        until = anyio.current_time() if self.answering_since is None else self.answering_since
        return 0.0 if self.sent_at is None else until - self.sent_at

    def begin(self) -> None:
        self.last, self.sent_at, self.answering_since = None, None, None

    def waits(self, ahead: int) -> None:
        """Report that the request is queued behind so many others."""
        if self.notify is not None:
            self.notify("waiting", 0, ahead)

    def progressed(self, progress: Progress) -> None:
        self.last = progress
        if progress.phase == "answering" and self.answering_since is None:
            self.answering_since = anyio.current_time()
        if self.notify is not None:
            self.notify(progress.phase, progress.usage.output_tokens, 0)

    def sent(self, host: str, bytes_sent: int) -> None:
        self.sent_at = anyio.current_time()
        seen = self.traffic.setdefault(host, Traffic())
        seen.requests += 1
        seen.bytes += bytes_sent
