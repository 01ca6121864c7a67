"""A fleet that is restarted at once, and a provider that admits a few sessions a second: virtual time."""

from collections import Counter
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import NamedTuple

Pause = Callable[[float | None], float]
"""One device's policy: from the server's ``Retry-After`` (or None) to the seconds until its next request."""


class Rush(NamedTuple):
    """What the provider saw."""

    requests: int
    busiest_second: int
    """Of second and later requests; when everybody comes for the first time is nobody's choice."""
    all_in_s: float


class Provider:
    """Admits ``per_second`` session creations in each second; the rest gets 429."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._admitted: Counter[int] = Counter()

    def admits(self, now: float) -> bool:
        """One request."""
        if self._admitted[int(now)] >= self._per_second:
            return False
        self._admitted[int(now)] += 1
        return True


def rush(
    devices: list[tuple[float, Pause]], *, per_second: int = 10, retry_after_s: float | None = None
) -> Rush:
    """Each device: when it comes first, and its policy. Until everybody is in."""
    provider = Provider(per_second)
    requests, again = 0, Counter[int]()
    coming = [(start, number) for number, (start, _) in enumerate(devices)]
    heapify(coming)
    now = 0.0
    while coming:
        now, number = heappop(coming)
        requests += 1
        if not provider.admits(now):
            coming_back = now + devices[number][1](retry_after_s)
            again[int(coming_back)] += 1
            heappush(coming, (coming_back, number))
    return Rush(requests, max(again.values(), default=0), now)
