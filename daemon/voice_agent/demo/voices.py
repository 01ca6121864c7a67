"""The virtual user's voice: every sentence is synthesised before the conversation, in a child process.

Models then leave no thread, no memory and no load behind in the process whose audio is on show.
``python -m voice_agent.demo.voices SPEECH RATE`` reads sentences, one a line, and writes for each its size in
bytes as eight digits and its PCM16.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence

from voice_agent.demo.server import own_command
from voice_agent.errors import ConfigError, VoiceAgentError

PITCH = 0.9
"""The one English voice is the agent's: the user speaks with it lowered, so that they can be told apart."""
SIZE_DIGITS = 8

Voice = Callable[[str, int], bytes]


async def synthesised(speech: str, sentences: Sequence[str], rate: int) -> list[bytes]:
    """PCM16 at ``rate`` Hz of each sentence, in the voice of ``speech``'s user."""
    command = own_command("voice_agent.demo.voices", speech, str(rate))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    try:
        out, errors = await process.communicate("\n".join(sentences).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise VoiceAgentError(f"no voice for the user: {lines[-1]}")
    return _pieces(out)


def _pieces(stream: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(stream):
        begin = at + SIZE_DIGITS
        at = begin + int(stream[at:begin])
        found.append(stream[begin:at])
    return found


def _voice(speech: str) -> Voice:
    match speech:
        case "light":
            from voice_agent.embedded.programs import clear_voice

            return clear_voice().speak
        case "ru":
            from voice_agent.embedded.programs import russian_voice

            return russian_voice("user").speak
    return _lowered()


def _lowered() -> Voice:
    from voice_agent.embedded.hibari import HibariTts
    from voice_agent.embedded.resample import to_floats, to_pcm

    voice = HibariTts()

    def speak(sentence: str, rate: int) -> bytes:
        return to_pcm(to_floats(voice.speak(sentence, rate)), round(rate * PITCH), rate)

    return speak


def _child(speech: str, rate: int) -> int:
    try:
        speak = _voice(speech)
    except (ConfigError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for line in sys.stdin.buffer.read().decode().splitlines():
        pcm = speak(line, rate)
        sys.stdout.buffer.write(b"%0*d" % (SIZE_DIGITS, len(pcm)) + pcm)
    return 0


if __name__ == "__main__":
    sys.exit(_child(sys.argv[1], int(sys.argv[2])))
