"""Whether the microphone brings sound, and the loudspeaker's reaches it.

What is recorded is measured and thrown away.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voice_agent.audio.pcm import samples_in
from voice_agent.audio.portaudio import Direction
from voice_agent.doctor.case import Case
from voice_agent.doctor.devices import ends
from voice_agent.doctor.findings import Finding, NotChecked, fail
from voice_agent.doctor.instance import running_daemon
from voice_agent.doctor.streams import Player, Recorder, Wish, opened, until
from voice_agent.errors import AudioError
from voice_agent.formats import ms_to_samples

if TYPE_CHECKING:
    from voice_agent.doctor.loopback import Heard

AGAIN = "unplug it and plug it in again; restart the sound server"
SETTLING_MS = 300
"""Microphones begin with a click and find their level."""
RECORDING_S = 2.0
QUICK_RECORDING_S = 1.0


async def microphone(case: Case) -> Sequence[Finding]:
    """It brings sound, at a useful level."""
    wanted = ends(case.settings, Direction.INPUT)
    seconds = SETTLING_MS / 1000 + (QUICK_RECORDING_S if case.quick else RECORDING_S)
    recorder = Recorder(wanted.rate, seconds)
    try:
        async with opened(Wish(Direction.INPUT, *wanted, recorder.callback)):
            await until(recorder.wanted, lambda: recorder.taken)
    except AudioError as error:
        case.usable.discard(Direction.INPUT)
        return [fail("microphone", str(error), AGAIN)]
    import numpy as np

    from voice_agent.doctor.levels import judged_levels
    from voice_agent.doctor.signals import levels

    settled = np.array(recorder.samples)[ms_to_samples(SETTLING_MS, wanted.rate) :]
    return [judged_levels(levels(settled, wanted.rate), recorder.overflows)]


async def loudspeaker(case: Case) -> Sequence[Finding]:
    """It plays; and the microphone tells how late, how loud, and how well that can be taken away again."""
    if await running_daemon(case.settings):
        raise NotChecked("the running daemon would take the test sound for speech; stop it first")
    from voice_agent.doctor.loopback import judged_loopback

    try:
        heard = await _heard(case)
        if heard.is_torn:  # once may be chance: somebody else was busy
            heard = await _heard(case)
    except AudioError as error:
        return [fail("loudspeaker", str(error), AGAIN)]
    return judged_loopback(heard, latency_ms=case.settings.audio.output.latency_ms)


async def _heard(case: Case) -> "Heard":
    """Play the test sounds and listen, if there is a microphone."""
    from voice_agent.doctor.loopback import Course, Heard

    mouth, ear = (ends(case.settings, direction) for direction in (Direction.OUTPUT, Direction.INPUT))
    course = Course(with_murmur=not case.quick)
    player = Player(samples_in(course.sound(mouth.rate).tobytes()), mouth.rate, clock=case.clock)
    recorder = Recorder(ear.rate, course.seconds + 1, clock=case.clock)
    wishes = [Wish(Direction.OUTPUT, *mouth, player.callback)]
    if Direction.INPUT in case.usable:
        wishes.append(Wish(Direction.INPUT, *ear, recorder.callback))
    async with opened(*wishes) as streams:
        await until(round(course.seconds * mouth.rate), lambda: player.given)
        told_s = [stream.latency_s for stream in streams]
    return Heard(course, player, recorder, ear.rate, mouth.rate, told_s)
