"""An observer that records what an adapter reports during a request."""

from collections.abc import Callable
from dataclasses import dataclass, field

from chargehand.tools.provider import Progress


@dataclass
class Recorder:
    """An observer that records progress and requests."""

    progress: list[Progress] = field(default_factory=list)
    requests: list[tuple[str, int]] = field(default_factory=list)
    on_progress: Callable[[Progress], None] | None = None

    def progressed(self, progress: Progress) -> None:
        self.progress.append(progress)
        if self.on_progress is not None:
            self.on_progress(progress)

    def sent(self, host: str, bytes_sent: int) -> None:
        self.requests.append((host, bytes_sent))

    @property
    def phases(self) -> list[str]:
        """The phases in order, each once."""
        names = [progress.phase for progress in self.progress]
        return [name for position, name in enumerate(names) if position == 0 or names[position - 1] != name]
