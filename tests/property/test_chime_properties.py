"""Cues in the playout never shift what the books say was heard, and never sound into an answer."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from voice_agent.audio.pcm import samples_in
from voice_agent.audio.speaker import Speaker
from voice_agent.dialogue import Command, Dialogue, Moment, Play, Send, Silence, Tell, TurnStarted
from voice_agent.formats import samples_to_ms
from voice_agent.realtime.events import (
    AudioDelta,
    DeleteItem,
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TruncateItem,
)
from voice_agent.realtime.providers import OPENAI, SessionSettings

RATE = 24_000
ANSWER, CUE = 20_000, -20_000

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("block"), st.integers(1, 960)),
        st.tuples(st.just("block"), st.just(240)),
        st.tuples(st.just("audio"), st.integers(1, 1500)),
        st.tuples(st.just("chime"), st.integers(1, 3000)),
        st.tuples(st.just("done"), st.just(0)),
        st.tuples(st.just("speech"), st.just(0)),
    ),
    max_size=60,
)


@dataclass
class Talk:
    """A dialogue on a real loudspeaker without a device: blocks are asked for by hand."""

    speaker: Speaker = field(init=False)
    dialogue: Dialogue = field(default_factory=lambda: Dialogue(OPENAI, SessionSettings()))
    now: float = 100.0
    response: int = 0
    answers: int = 0
    """Samples of this response's item that have sounded before the newest block."""
    newest: int = 0
    """The same, within it."""
    cues: int = 0
    """Samples of cues that sounded since the last answer or onset of speech came."""
    sounding: bool = False
    """The user has begun to get this response, and not interrupted it."""
    ended: bool = False
    until: int = 0
    """Where the newest of an answer ends."""

    def __post_init__(self) -> None:
        # Without fades: what sounds is what was played, and nothing else.
        self.speaker = Speaker(RATE, fade_ms=0, capacity_s=5, clock=lambda: self.now)

    def block(self, count: int) -> None:
        played, _ = self.speaker.callback(None, count, {}, 0)
        assert played is not None
        samples = samples_in(played).tolist()
        self.answers, self.newest = self.answers + self.newest, samples.count(ANSWER)
        self.cues += samples.count(CUE)
        self.now += count / RATE

    def receive(self, event: ServerEvent) -> list[Command]:
        queued, played = self.speaker.positions()
        commands = list(self.dialogue.receive(event, Moment(self.now, queued, played)))
        for command in commands:
            match command:
                case Play(pcm, starts):
                    self.speaker.play(pcm, starts=starts)
                    self.cues, self.sounding = 0, True
                    self.until = self.speaker.positions().queued
                case Silence():
                    self.speaker.silence()
                    self.cues = 0
        return commands

    def audio(self, count: int) -> None:
        queued, played = self.speaker.positions()
        if self.ended and queued > played:
            return  # one answer at a time: their samples look alike
        if self.ended or not self.sounding:
            self.begin()
        pcm = ANSWER.to_bytes(2, "little") * count
        self.receive(
            AudioDelta(response_id=self.name("r"), item_id=self.name("i"), content_index=0, delta=pcm)
        )

    def begin(self) -> None:
        self.response += 1
        self.answers = self.newest = 0
        self.ended = False
        self.receive(ResponseCreated(response=ResponseInfo(id=self.name("r"))))

    def done(self) -> None:
        if self.response:
            self.ended = True
            self.receive(ResponseDone(response=ResponseInfo(id=self.name("r"), status="completed")))
            self.speaker.finish()

    def name(self, letter: str) -> str:
        return f"{letter}{self.response}"

    def speech(self) -> None:
        """The user speaks: what the server is told of the answer is what has sounded of it."""
        sounded = self.answers
        commands = self.receive(SpeechStarted(item_id=f"u{self.now}"))
        (started,) = [c.fact for c in commands if isinstance(c, Tell) and isinstance(c.fact, TurnStarted)]
        events = [command.event for command in commands if isinstance(command, Send)]
        heard = [event.audio_end_ms for event in events if isinstance(event, TruncateItem)]
        deleted = [event for event in events if isinstance(event, DeleteItem)]
        if heard:
            assert self.sounding
            assert heard == [samples_to_ms(sounded, RATE)]
        if deleted:
            assert samples_to_ms(sounded, RATE) == 0
        if started.interrupts:
            assert self.sounding, "a cue is no answer"
        self.receive(SpeechStopped(item_id=f"u{self.now}"))
        self.sounding = False


@settings(max_examples=300)
@given(steps=STEPS)
def test_cues_shift_nothing_and_give_way(steps: list[tuple[str, int]]) -> None:
    talk = Talk()
    for step, count in steps:
        match step:
            case "block":
                talk.block(count)
                if talk.speaker.positions().played < talk.until:
                    assert talk.cues == 0, "a cue goes on under an answer"
            case "audio":
                talk.audio(count)
            case "chime":
                talk.speaker.chime(CUE.to_bytes(2, "little", signed=True) * count)
            case "done":
                talk.done()
            case "speech":
                talk.speech()
