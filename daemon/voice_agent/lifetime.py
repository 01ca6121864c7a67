"""How long a session lives: when to renew it, and when to let it rest.

Providers end sessions at a limit of their own (OpenAI after 60 minutes, Azure after 30; Yandex does not say),
without warning. So a session is renewed in a quiet moment before it: a successor is opened, takes over, and
the old one is closed. A limit that no profile knows is learned from how sessions end::

    age   0 ------------------------- renew ------------ prepare ---- limit
              serves                    in a quiet         a successor   what was prepared
                                        moment             stands by     takes over at once

A provider's word (``session_expired``) is believed at once; a mere closing only when two sessions in a row
were closed at the same age. A session that outlives what was learned refutes it.
"""

from enum import Enum

from voice_agent.errors import Cause

MARGIN = 0.1
MAX_MARGIN_S = 120.0
"""Renewal begins this long before the limit: a tenth of it, two minutes at most."""

LAST_CALL = 0.25
"""The last part of the margin: a successor then stands by even if there was no quiet moment."""

QUIET_S = 2.0
"""Nobody has spoken for this long: people who pause for breath are not disturbed."""

SHORTEST_LIMIT_S = 60.0
"""A session that ends sooner was not ended for its age."""

SAME_AGE = 0.02
"""Two ages within this fraction of each other are one limit."""

_BY_THE_SERVER = frozenset({Cause.CLOSED, Cause.GOING_AWAY, Cause.DROPPED})


class Step(Enum):
    """What should happen to the live session now."""

    SERVE = "serve"
    PREPARE = "prepare"
    """Open a successor; it takes over in the first quiet moment, or when this session ends."""
    RENEW = "renew"
    """A quiet moment: hand over to a successor."""
    PARK = "park"
    """Nobody has spoken for long: close it, and listen locally."""


class Lifetime:
    """What is known about the length of sessions; outlives them all.

    ``limit_s``: the provider's own limit, if its profile or the configuration states one; 0 for none, ever.
    ``park_after_s``: quiet after which a session rests; 0 for never.
    """

    def __init__(
        self,
        limit_s: float | None,
        park_after_s: float = 0.0,
        *,
        quiet_s: float = QUIET_S,
        shortest_s: float = SHORTEST_LIMIT_S,
    ) -> None:
        self._stated_s = limit_s
        self._park_after_s = park_after_s
        self._quiet_s = quiet_s
        self._shortest_s = shortest_s
        self._learned_s: float | None = None
        self._last_closed_s: float | None = None

    @property
    def limit_s(self) -> float | None:
        """The age at which a session is expected to be ended: stated, or learned."""
        known = [limit for limit in (self._stated_s or None, self._learned_s) if limit]
        return min(known) if known and self._stated_s != 0 else None

    def step(
        self, age_s: float, quiet_s: float | None, *, farewell: bool = False, outdated: bool = False
    ) -> Step:
        """What to do with a session of this age, quiet for this long (``None``: it is not quiet).

        ``farewell``: the user has taken leave, and rests as soon as it is quiet. ``outdated``: the settings
        by which the session was opened have changed since.
        """
        self._refute(age_s)
        is_quiet = quiet_s is not None and quiet_s >= self._quiet_s
        if is_quiet and farewell:
            return Step.PARK
        if self._park_after_s and quiet_s is not None and quiet_s >= self._park_after_s:
            return Step.PARK
        if outdated:
            return Step.RENEW if is_quiet else Step.PREPARE
        limit_s = self.limit_s
        if limit_s is None:
            return Step.SERVE
        margin_s = min(limit_s * MARGIN, MAX_MARGIN_S)
        if is_quiet and age_s >= limit_s - margin_s:
            return Step.RENEW
        return Step.PREPARE if age_s >= limit_s - margin_s * LAST_CALL else Step.SERVE

    def ended(self, cause: Cause, age_s: float) -> None:
        """A session was ended from outside at this age."""
        if age_s < self._shortest_s:
            return
        if cause is Cause.EXPIRED:
            self._learned_s = age_s
        elif cause in _BY_THE_SERVER:
            last_s, self._last_closed_s = self._last_closed_s, age_s
            if last_s is not None and abs(last_s - age_s) <= age_s * SAME_AGE:
                self._learned_s = min(last_s, age_s)

    def _refute(self, age_s: float) -> None:
        if self._learned_s is not None and age_s > self._learned_s * (1 + MARGIN):
            self._learned_s = self._last_closed_s = None
