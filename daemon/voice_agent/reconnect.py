"""When to try again: from why a session ended, and how long it had served, to the next delay.

Full jitter everywhere (a uniform draw between a floor and a ceiling), so that a fleet which lost the same
server does not come back at the same instant. What the ceiling is depends on whom haste would hurt:

==========  =======================================  ==================================================
temper      what has happened                        the pause
==========  =======================================  ==================================================
routine     a limit, a restart, after good service   up to ``first_s``
offline     the provider was not reached             up to 1 s: haste costs only ourselves
obstructed  reached, but something is in the way     doubles from ``first_s`` to 10 s
weather     reached, and it broke                    doubles from ``first_s`` to ``cap_s``
busy        it asked for patience                    what it asked for, and then 8 s doubling to ``cap_s``
refused     key, model, quota, settings              1 to 2 min, doubling to 5 to 10 min
==========  =======================================  ==================================================

A session that has served well is always retried at once, yet forgives failures only by degrees: one for each
5 s of service, all after a minute. So a server that closes at once never sees a tight loop.
"""

from collections.abc import Callable
from enum import Enum
from math import inf, log2
from random import random
from typing import NamedTuple

from voice_agent.errors import Cause, SessionError, Unauthorized

STABLE_S = 60.0
"""A session that has been ready for this long has proved that all is well."""

FORGIVEN_S = 5.0
"""Service that makes up for one failure: one new session in 5 s strains nobody."""

OFFLINE_CEILING_S = 1.0
OBSTRUCTED_CEILING_S = 10.0

BUSY_FIRST_S = 8.0
"""A thousand devices at ten admissions a second need a hundred seconds: the spread must get there quickly."""

REFUSED_FIRST_S, REFUSED_CAP_S = 120.0, 600.0
"""Ceilings; the floor is half of them. Only people can cure a refusal, and they want to see it cured soon."""


class Temper(Enum):
    """How to take a failure."""

    ROUTINE = "routine"
    OFFLINE = "offline"
    OBSTRUCTED = "obstructed"
    WEATHER = "weather"
    BUSY = "busy"
    REFUSED = "refused"


class Retry(NamedTuple):
    """The next try: after ``delay_s``; ``failures`` in a row since a session last proved stable."""

    delay_s: float
    temper: Temper
    failures: int


_TEMPERS: dict[Temper, frozenset[Cause]] = {
    Temper.ROUTINE: frozenset(
        {
            Cause.CLOSED,
            Cause.GOING_AWAY,
            Cause.RESTARTING,
            Cause.EXPIRED,
            Cause.RENEWED,
            Cause.PARKED,
            Cause.ALLOWANCE,
        }
    ),
    Temper.OFFLINE: frozenset({Cause.DNS, Cause.UNREACHABLE, Cause.TIMEOUT}),
    Temper.OBSTRUCTED: frozenset({Cause.TLS, Cause.PORTAL, Cause.REFUSED}),
    Temper.BUSY: frozenset({Cause.RATE_LIMITED, Cause.TRY_LATER, Cause.OVERLOADED}),
    Temper.REFUSED: frozenset(
        {
            Cause.BAD_REQUEST,
            Cause.UNAUTHORIZED,
            Cause.FORBIDDEN,
            Cause.NOT_FOUND,
            Cause.POLICY,
            Cause.BAD_KEY,
            Cause.BAD_INTENT,
            Cause.QUOTA,
            Cause.KEY,
            Cause.SETTINGS,
        }
    ),
}
_BY_CAUSE = {cause: temper for temper, causes in _TEMPERS.items() for cause in causes}


class Reconnect:
    """The policy of one daemon; outlives sessions. ``draw`` gives uniform numbers in [0, 1)."""

    def __init__(
        self, first_s: float = 0.25, cap_s: float = 60.0, *, draw: Callable[[], float] = random
    ) -> None:
        self._first_s = min(first_s, cap_s)
        self._cap_s = cap_s
        self._draw = draw
        self._strikes = dict.fromkeys(Temper, 0.0)
        self._refusals = 0
        self._failures = 0

    def start_delay(self, spread_s: float) -> float:
        """Seconds before the first try of a process: a fleet is often restarted at once."""
        return spread_s * self._draw()

    def ended(self, error: SessionError, *, lived_s: float) -> Retry:
        """A try has failed or a session has ended, after having been ready for ``lived_s`` (0: never)."""
        self._forgive(lived_s)
        temper = self._temper(error, lived_s)
        if temper is not Temper.ROUTINE:
            self._failures += 1
        floor_s, ceiling_s = self._pause(temper, error, served=lived_s >= FORGIVEN_S)
        return Retry(floor_s + (ceiling_s - floor_s) * self._draw(), temper, self._failures)

    def _forgive(self, lived_s: float) -> None:
        forgiven = lived_s / FORGIVEN_S if lived_s < STABLE_S else inf
        self._strikes = {temper: max(strikes - forgiven, 0.0) for temper, strikes in self._strikes.items()}
        if lived_s >= FORGIVEN_S:
            self._refusals = 0  # whoever serves us has been talked to: the next refusal is a new one
        if lived_s >= STABLE_S:
            self._failures = 0

    def _temper(self, error: SessionError, lived_s: float) -> Temper:
        temper = _BY_CAUSE.get(error.cause, Temper.WEATHER)
        if isinstance(error, Unauthorized):
            return Temper.REFUSED
        if temper is Temper.ROUTINE and lived_s < STABLE_S:
            return Temper.WEATHER  # a server that says goodbye at once, again and again
        return Temper.BUSY if error.retry_after_s is not None else temper

    def _pause(self, temper: Temper, error: SessionError, *, served: bool) -> tuple[float, float]:
        """Floor and ceiling, in seconds; counts what the provider has suffered."""
        match temper:
            case Temper.ROUTINE:
                return 0.0, self._first_s
            case Temper.OFFLINE:
                waited = error.cause is Cause.TIMEOUT  # the try itself was pause enough
                return 0.0, self._first_s if waited else max(OFFLINE_CEILING_S, self._first_s)
            case Temper.OBSTRUCTED:
                return 0.0, self._doubled(temper, self._first_s, min(OBSTRUCTED_CEILING_S, self._cap_s))
            case Temper.WEATHER:
                ceiling_s = self._doubled(temper, self._first_s, self._cap_s)
                return 0.0, self._first_s if served else ceiling_s
            case Temper.BUSY:
                asked_s = error.retry_after_s or 0.0
                return asked_s, asked_s + self._doubled(temper, BUSY_FIRST_S, self._cap_s)
            case Temper.REFUSED:
                ceiling_s = min(REFUSED_FIRST_S * 2**self._refusals, REFUSED_CAP_S)
                self._refusals = min(self._refusals + 1, 10)
                floor_s = max(ceiling_s / 2, error.retry_after_s or 0.0)
                return floor_s, floor_s + ceiling_s / 2

    def _doubled(self, temper: Temper, first_s: float, cap_s: float) -> float:
        """The ceiling after the strikes of this kind so far; adds one, unless it would make no difference.

        Each temper has its own: a bad line is no reason to let a busy server wait for a minute.
        """
        strikes = self._strikes[temper]
        self._strikes[temper] = min(strikes + 1, max(log2(max(cap_s / first_s, 1.0)), strikes))
        return min(first_s * 2**strikes, cap_s)
