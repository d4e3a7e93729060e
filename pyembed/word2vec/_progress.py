"""How far training has come."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

_SECONDS = 3.0  # after which progress is shown
_REST = 0.5  # seconds between two times


@dataclass(frozen=True)
class Progress:
    """How far training has come.

    Attributes
    ----------
    epoch : int
        From 1.
    words : int
        That were learned from, each as often as it was there; about, while it goes on.
    total_words : int
        Of all epochs.
    seconds : float
        Since training began.
    loss : float
        The mean of what a prediction has lost in this epoch so far: the sum of
        ``log(1 + exp(-margin))`` over its outputs, which are a word and the negatives, or the turns
        of the way to a word.
    """

    epoch: int
    words: int
    total_words: int
    seconds: float
    loss: float

    @property
    def words_per_second(self) -> float:
        """Words for each second since training began."""
        return self.words / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float:
        """Seconds that the rest will take, at the same speed."""
        speed = self.words_per_second
        return (self.total_words - self.words) / speed if speed > 0 else 0.0

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch}, {self.words / max(self.total_words, 1):.0%}: "
            f"{self.words_per_second:,.0f} words/s, loss {self.loss:.4f}, "
            f"{_clock(self.remaining)} left"
        )


class Line:
    """A line on a terminal that tells the progress, if it takes long."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._shown = 0.0

    def show(self, progress: Progress) -> None:
        """Show it, unless it was shown just now."""
        now = time.monotonic()
        if not self._wanted or progress.seconds < _SECONDS or now - self._shown < _REST:
            return
        if sys.stderr.isatty():
            self._shown = now
            print(f"\r\x1b[K{progress}", end="", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Leave no line behind."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
