"""Recognition that is told: for a language whose recogniser no package registry brings.

Everything around it stays real: when somebody speaks is heard, what is said stands on a sheet.
"""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from voice_agent.errors import Unreadable


class SheetStt:
    """Gives the sheet's next line for each utterance; nothing when the sheet is at its end.

    An utterance may be asked about before it is over, as a guess. Audio that begins with all the audio of the
    last question is that utterance, heard further: it gets the same line.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = deque(lines)
        self._text = ""
        self._pcm = b""

    def transcribe(self, pcm: bytes) -> str:
        """What the sheet says was said in PCM16 at 16 kHz."""
        if not (self._pcm and pcm.startswith(self._pcm)):
            self._text = self._lines.popleft() if self._lines else ""
        self._pcm = pcm
        return self._text


def load_sheet(path: Path) -> tuple[str, ...]:
    """The utterances in a text file, one a line; blank lines mean nothing."""
    try:
        return tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    except OSError as error:
        raise Unreadable(str(path), f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise Unreadable(str(path), f"is not UTF-8 at byte {error.start}") from error
