"""The sound card's own volume, by ALSA's `amixer`: for cards whose analogue stage should do the work.

`amixer` is part of alsa-utils, which every Debian with sound has; its `-M` maps percents as ears count. It
runs beside the event loop with a deadline, since a card that has gone may keep it for ever.
"""

import subprocess

from voice_agent.audio.helper import in_helper
from voice_agent.audio.volume import FULL
from voice_agent.errors import AudioError

DEADLINE_S = 3.0


class MixerFailed(AudioError):
    """The mixer control could not be set; the text says why."""


class Mixer:
    """One simple mixer control of one card, as `amixer -D CARD sset CONTROL` takes them."""

    def __init__(self, card: str, control: str, *, deadline_s: float = DEADLINE_S) -> None:
        self._command = ["amixer", "-q", "-M", "-D", card, "sset", control]
        self._deadline_s = deadline_s

    async def set(self, level: int) -> None:
        """Set it to 0 ... 100 percent, and switch it on or off; raises ``MixerFailed``."""

        def work() -> None:
            self._run(f"{min(level, FULL)}%", "unmute" if level else "mute")

        try:
            await in_helper(work, name="mixer", deadline_s=2 * self._deadline_s)
        except TimeoutError as error:
            raise MixerFailed("the sound card does not answer") from error

    def _run(self, *values: str) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own words, and no shell
                [*self._command, *values],
                capture_output=True,
                text=True,
                timeout=self._deadline_s,
                check=False,
            )
        except FileNotFoundError as error:
            raise MixerFailed("amixer is not installed; apt install alsa-utils") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MixerFailed(str(error)) from error
        if done.returncode:
            said = done.stderr.strip() or f"exit code {done.returncode}"
            raise MixerFailed(f"{said}; `amixer -D CARD scontrols` lists what there is")
