"""The service manager: readiness and status by sd_notify(3). Does nothing outside systemd."""

import os
from time import monotonic_ns

from sdnotify import SystemdNotifier


class ServiceManager:
    """Tells systemd how the daemon is; for a unit with ``Type=notify``."""

    def __init__(self) -> None:
        # Without the variable the notifier would leave an open socket behind.
        self._notifier = SystemdNotifier() if os.environ.get("NOTIFY_SOCKET") else None
        self._leaving = False

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

    def alive(self) -> None:
        """The event loop turns: for a unit with ``WatchdogSec=``, which ends who does not say so."""
        if "WATCHDOG_USEC" in os.environ:
            self._notify("WATCHDOG=1")

    def stopping(self) -> None:
        """The daemon is on its way out, and nothing else is to be said of its state."""
        self._leaving = True
        self._notify("STOPPING=1")

    def close(self) -> None:
        """Let go of the socket."""
        if self._notifier is not None and self._notifier.socket is not None:
            self._notifier.socket.close()

    def _notify(self, state: str) -> None:
        if self._notifier is not None:
            # sd_notify(3) wants UTF-8; the notifier encodes as Latin-1, which keeps these bytes as they are.
            self._notifier.notify(state.encode().decode("latin-1"))
