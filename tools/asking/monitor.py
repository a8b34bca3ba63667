"""What was sent for one task, and how far the current reply is."""

from collections.abc import Callable
from dataclasses import dataclass, field

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
    has_sent: bool = False
    """Whether the current request was sent."""

    @property
    def has_begun(self) -> bool:
        """Whether the current reply has begun, even if only with the vendor's token counts."""
        last = self.last
        return last is not None and (last.phase in ("thinking", "answering") or not last.usage.is_estimated)

    def begin(self) -> None:
        self.last, self.has_sent = None, False

    def waits(self, ahead: int) -> None:
        """Report that the request is queued behind so many others."""
        if self.notify is not None:
            self.notify("waiting", 0, ahead)

    def progressed(self, progress: Progress) -> None:
        self.last = progress
        if self.notify is not None:
            self.notify(progress.phase, progress.usage.output_tokens, 0)

    def sent(self, host: str, bytes_sent: int) -> None:
        self.has_sent = True
        seen = self.traffic.setdefault(host, Traffic())
        seen.requests += 1
        seen.bytes += bytes_sent
