"""Names that resolve slowly or not at all, for one process: a ``getaddrinfo`` before the C library's."""

import subprocess
from pathlib import Path

HOST = "voice-agent.test"
TRY_AGAIN = -3
"""EAI_AGAIN: the resolver itself cannot be reached."""
COMPILE = ("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC")


class Resolver:
    """A name server for ``HOST``; its library and its file are in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._answers = directory / "dns"
        self._library = directory / "resolver.so"
        source = Path(__file__).with_name("resolver.c")
        subprocess.run([*COMPILE, str(source), "-o", str(self._library), "-ldl"], check=True, timeout=60)
        self.answer()

    def answer(self, *, delay_ms: int = 0, error: int = 0) -> None:
        """From now on answer so late, or with this error."""
        scratch = self._answers.with_suffix(".new")
        scratch.write_text(f"{delay_ms} {error}\n")
        scratch.replace(self._answers)

    def environment(self) -> dict[str, str]:
        """What the process needs."""
        return {"LD_PRELOAD": str(self._library), "CHAOS_DNS": str(self._answers)}
