"""Where a figure turns yellow or red. Those that an alert knows, too, are the alert's; a test compares."""

from typing import NamedTuple

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

GOOD, DUBIOUS, BAD, QUIET, NEUTRAL = "green", "yellow", "red", "text", "blue"


class Limits(NamedTuple):
    """Good below the first. Where ``low``, it is good above the first and bad below the second."""

    dubious: float
    bad: float
    low: bool = False

    def steps(self) -> ThresholdsConfig:
        """As Grafana takes them: from the lowest up."""
        if self.low:
            return _steps(BAD, [(self.bad, DUBIOUS), (self.dubious, GOOD)])
        return _steps(GOOD, [(self.dubious, DUBIOUS), (self.bad, BAD)])


def _steps(base: str, marks: list[tuple[float, str]]) -> ThresholdsConfig:
    steps = [Threshold(value=None, color=base)]
    steps += [Threshold(value=value, color=colour) for value, colour in marks]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def plain(colour: str = QUIET) -> ThresholdsConfig:
    """A figure that is neither good nor bad."""
    return _steps(colour, [])


REACH = Limits(0.995, 0.95, low=True)
"""Of the time or the devices; the promise is 99.5 %."""
BUDGET_LEFT = Limits(0.5, 0.0, low=True)
LATE = Limits(0.025, 0.05)
"""Of the answers; the promise is that 95 % begin within 1.5 s."""
IN_TIME = Limits(0.975, 0.95, low=True)
"""The same from the other side."""
WAIT_S = Limits(1.0, 1.5)
"""Of a fleet: the promise."""
DEVICE_WAIT_S = Limits(1.5, 3)
"""Of one device, of which a few slow turns are no news."""
ABSENT = Limits(1, 5)
FAILED = Limits(0.05, 0.2)
BARGE_IN_S = Limits(0.05, 0.1)
GAPS = Limits(0.005, 0.02)
LOST_S = Limits(1, 5)
LAG_S = Limits(0.03, 0.1)
ALLOWANCE = Limits(0.75, 0.9)
SELF_INTERRUPTIONS = Limits(1, 3)
RECONNECTS = Limits(2, 6)
TOOL_FAILED = Limits(0.2, 0.5)
XRUNS = Limits(10, 30)
DEVICE_RESTARTS = Limits(1, 4)
MEMORY_BYTES = Limits(120e6, 300e6)

ALERTED = {
    "VoiceAgentAvailabilityBurnsSlowly": round(1 - REACH.dubious, 3),
    "VoiceAgentLatencyBurnsSlowly": LATE.bad,
    "VoiceAgentFleetCannotConverse": ABSENT.bad,
    "VoiceAgentAnswersFail": FAILED.bad,
    "VoiceAgentAnswersSlow": DEVICE_WAIT_S.bad,
    "VoiceAgentBargeInSlow": BARGE_IN_S.bad,
    "VoiceAgentSpeechTorn": GAPS.bad,
    "VoiceAgentSpeechLost": LOST_S.bad,
    "VoiceAgentLoopLags": LAG_S.bad,
    "VoiceAgentAllowanceLow": ALLOWANCE.bad,
    "VoiceAgentInterruptsItself": SELF_INTERRUPTIONS.bad,
    "VoiceAgentReconnects": RECONNECTS.bad,
    "VoiceAgentToolFails": TOOL_FAILED.bad,
    "VoiceAgentXruns": XRUNS.bad,
    "VoiceAgentSoundDeviceRestarts": DEVICE_RESTARTS.bad,
    "VoiceAgentMemoryGrows": MEMORY_BYTES.bad,
}
"""The same number stands in the alert."""
