"""What a day has used of the provider: seconds of sound and tokens, against caps, across restarts.

The wall clock is asked for one thing, the date, and is not trusted with it: a small computer begins in 1970
until the network tells it better, and a typing error may send it to 2099. The rules:

* A date that goes back takes the count with it. It never begins a new allowance.
* A later date begins a new allowance, once: dates whose allowance has begun are remembered, and a clock that
  comes to one of them again takes the count there. So an error forward and its correction cost one allowance
  more at the most, and what was used in advance is not given a second time.
* Only after ``WAKING_S`` of life in one allowance may a remembered date begin again: that is a clock that was
  set back for good, and its midnights are as good as any. Nobody is locked out for years.

The count lives in a small file; without one it lives as long as the process.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from voice_agent.storage import Excuses, Store

FILE = "budget.json"
SAVE_EVERY_S = 60.0  # memory cards wear out
EXIT_S = 2.0  # a disk that hangs must not hold up the exit
WAKING_S = 22 * 3600.0  # a day, less an hour of summer time and one of doubt
REMEMBERED = 8  # dates; ``WAKING_S`` does for the rest

EXCUSES = Excuses(
    reading="cannot read what the day has used; counting from zero",
    writing="cannot keep what the day has used; counting in memory",
)


class Day(Struct, frozen=True):
    """One allowance and what was used of it; what the file holds."""

    day: date
    """Where the clock says it is."""
    begun: tuple[date, ...] = ()
    """Dates whose allowance has begun, oldest first."""
    awake_s: Annotated[float, Meta(ge=0)] = 0.0
    """Life of the daemon within this allowance."""
    sent_s: Annotated[float, Meta(ge=0)] = 0.0
    received_s: Annotated[float, Meta(ge=0)] = 0.0
    tokens: dict[str, Annotated[int, Meta(ge=0)]] = msgspec.field(default_factory=dict)

    def at(self, today: date) -> "Day":
        """This allowance, or the next one, on the date that the clock shows."""
        if today == self.day:
            return self
        if today < self.day or (today in self.begun and self.awake_s < WAKING_S):
            return msgspec.structs.replace(self, day=today)
        before = (each for each in self.begun if each != today)
        return Day(today, begun=(*before, today)[-REMEMBERED:])


class BudgetStatistics(NamedTuple):
    """What was used of the present allowance."""

    sent_s: float
    """Sound streamed to the provider."""
    received_s: float
    """Sound that came from it."""
    tokens: Mapping[str, int]
    """By kind."""
    exhausted: str
    """Which cap is reached: ``audio``, ``tokens``, or empty."""


class Budget:
    """The day's account. Belongs to the event loop; only writing the file happens beside it.

    ``audio_minutes`` and ``tokens`` are the caps, zero meaning none; no ``directory``: nothing survives.
    """

    def __init__(
        self,
        *,
        audio_minutes: float = 0.0,
        tokens: int = 0,
        directory: Path | None = None,
        today: Callable[[], date] = lambda: datetime.now().astimezone().date(),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = Store(directory / FILE, Day, EXCUSES) if directory else None
        self.limit(audio_minutes=audio_minutes, tokens=tokens)
        self._today = today
        self._clock = clock
        self._looked_at = self._saved_at = clock()
        self._day = (self._store and self._store.read()) or Day(today(), begun=(today(),))

    def limit(self, *, audio_minutes: float, tokens: int, directory: Path | None = None) -> None:
        """From now on, these are the caps; what was used counts. ``directory``: where to keep the account."""
        self.cap_s = audio_minutes * 60
        self.cap_tokens = tokens
        if directory and not self._store:
            self._store = Store(directory / FILE, Day, EXCUSES)

    def streamed(self, *, sent_s: float = 0.0, received_s: float = 0.0) -> None:
        """Note sound, in seconds of sound."""
        day = self._look()
        self._day = msgspec.structs.replace(
            day, sent_s=day.sent_s + sent_s, received_s=day.received_s + received_s
        )

    def spent(self, tokens: Mapping[str, int]) -> None:
        """Note tokens by kind; kinds must not contain each other, for they are added up."""
        day = self._look()
        counts = {kind: day.tokens.get(kind, 0) + count for kind, count in tokens.items()}
        self._day = msgspec.structs.replace(day, tokens=day.tokens | counts)

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left for today."""
        return bool(self._reached())

    def statistics(self) -> BudgetStatistics:
        """Today's account as it is now."""
        reached = self._reached()
        return BudgetStatistics(self._day.sent_s, self._day.received_s, self._day.tokens, reached)

    def close(self) -> None:
        """Save at the end of the process; waits for it a little."""
        self._look()
        if self._store:
            self._store.write(self._day, wait_s=EXIT_S)

    def _reached(self) -> str:
        day = self._look()
        if self.cap_s and day.sent_s + day.received_s >= self.cap_s:
            return "audio"
        return "tokens" if self.cap_tokens and sum(day.tokens.values()) >= self.cap_tokens else ""

    def _look(self) -> Day:
        """Look at clock and calendar, and save now and then."""
        now = self._clock()
        day = msgspec.structs.replace(self._day, awake_s=self._day.awake_s + now - self._looked_at)
        self._day = day.at(self._today())
        self._looked_at = now
        if self._store and now - self._saved_at >= SAVE_EVERY_S:
            self._saved_at = now
            self._store.write(self._day)
        return self._day
