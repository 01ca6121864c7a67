"""The service manager: readiness and status by sd_notify(3). Does nothing outside systemd.

Nothing here waits for it, as the event loop would, too: what a busy manager does not take is said again when
the next thing is, a second later at the latest. Only the last words wait for it, and not for long.
"""

import os
from collections import deque
from contextlib import suppress
from time import monotonic_ns

from sdnotify import SystemdNotifier

MAX_UNSENT = 64
LAST_WORDS_S = 0.2
"""How long each of what is still unsaid at the end may take; the first that is not taken ends it."""

BEAT = "WATCHDOG=1"


class ServiceManager:
    """Tells systemd how the daemon is; for a unit with ``Type=notify``."""

    def __init__(self) -> None:
        # Without the variable the notifier would leave an open socket behind.
        self._notifier = SystemdNotifier() if os.environ.get("NOTIFY_SOCKET") else None
        self._unsent: deque[str] = deque(maxlen=MAX_UNSENT)
        self._leaving = False
        if self._notifier is not None and self._notifier.socket is not None:
            self._notifier.socket.setblocking(False)
            self._notifier.debug = True  # then it says what has failed

    def ready(self) -> None:
        """The daemon does its work, or does it again (systemd then goes on with what waits for it)."""
        if not self._leaving:
            self._notify("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again, until ``ready``."""
        if not self._leaving:
            self._notify(f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns() // 1000}")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._notify(f"STATUS={' '.join(text.split())}")

    def alive(self, *, well: bool = True) -> None:
        """The event loop turns, and nothing is ill that a restart could cure (``well``).

        For a unit with ``WatchdogSec=``, which ends who does not say so.
        """
        if well and "WATCHDOG_USEC" in os.environ and BEAT not in self._unsent:
            self._notify(BEAT)
        self._send()

    def stopping(self) -> None:
        """The daemon is on its way out, and nothing else is to be said of its state."""
        self._leaving = True
        self._notify("STOPPING=1")

    def close(self) -> None:
        """Say what is still unsaid, if the manager takes it, and let go of the socket."""
        if self._notifier is not None and self._notifier.socket is not None:
            self._notifier.socket.settimeout(LAST_WORDS_S)
            self._send()
            self._notifier.socket.close()

    def _notify(self, state: str) -> None:
        if self._notifier is not None:
            self._unsent.append(state)
            self._send()

    def _send(self) -> None:
        with suppress(OSError):
            while self._notifier is not None and self._unsent:
                # sd_notify(3) wants UTF-8; the notifier's Latin-1 keeps these bytes as they are.
                self._notifier.notify(self._unsent[0].encode().decode("latin-1"))
                self._unsent.popleft()
