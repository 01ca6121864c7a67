"""The user's side: what wants an answer, and where it lies in the captured sound.

    positions (input rate)  --|===question===|----------|===question==...
                           base             end         begin
                             '-- go_live: the server counts its milliseconds from here

What is skipped (withheld on purpose) has positions, but the server does not count it.

A question is one utterance. It is open until an answer to it has been completed without calling tools, or was
told as failed. When a connection is lost, the open questions say what must be asked or sent again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from voice_agent.dialogue.memory import Key
from voice_agent.dialogue.values import Moment
from voice_agent.formats import ms_to_samples, samples_to_s
from voice_agent.realtime.events import SpeechStarted, SpeechStopped

MARGIN_S = 1.0
"""How long sound may be on its way: what was sent so shortly before a sign of life may not have arrived."""

ONSET_MS = 300
"""Endpointing notices speech late: the first sound lies before the position that it reports."""

PLAUSIBLE_S = 15.0
"""A reported position further behind what was sent is not believed: some servers count otherwise.

In the first seconds of a connection much may have been sent in one go, and all of it is believed."""

REPLAY_S = 5.0
"""After sound was sent again, faster than it was spoken, a server gets this long to work it off."""

UNHEARD_S = 15.0
"""In sound that was sent again the server must hear the user within this time."""

KEPT = 8
"""Open questions; more than a few utterances in a row without any answer are one monologue."""


@dataclass(slots=True)
class Question:
    """One utterance of the user. Positions in samples; ``end`` is ``None`` while he speaks.

    ``words``: the memory's line with its words, once they are known. ``begun``: some of its answer has
    arrived. ``attempts``: so many connections were lost over it.
    """

    turn: int
    item_id: str
    begin: int
    started_at: float
    end: int | None = None
    words: Key | None = None
    begun: bool = False
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Resent:
    """Sound with an utterance in it that an earlier connection lost, now sent again from ``begin``."""

    turn: int
    begin: int
    attempts: int
    deadline: float


class Questions:
    """The open questions of one connection, oldest first, and what the server is known to have received."""

    def __init__(self) -> None:
        self._open: list[Question] = []
        self._rate = 0
        self._base = 0
        self._live_at: float | None = None
        self._received = 0
        self._last_end = 0
        self.resent: Resent | None = None

    def __iter__(self) -> Iterator[Question]:
        return iter(self._open)

    @property
    def speaking(self) -> Question | None:
        """The utterance that has not ended."""
        return self._open[-1] if self._open and self._open[-1].end is None else None

    def go_live(self, at: Moment, rate: int) -> None:
        """The captured sound is sent from now on, at ``rate`` Hz."""
        self._rate, self._live_at = rate, at.now
        self._base = self._received = self._last_end = at.sent

    def inherit(self, turn: int, words: Key, attempts: int, at: Moment) -> None:
        """An utterance of an earlier connection whose words are known is to be answered by this one."""
        self._open.append(Question(turn, "", at.sent, at.now, at.sent, words=words, attempts=attempts))

    def expect(self, turn: int, attempts: int, at: Moment) -> None:
        """The sound that is now sent holds an utterance that an earlier connection lost."""
        self.resent = Resent(turn, at.sent, attempts, at.now + UNHEARD_S)

    def take_unheard(self, now: float) -> Resent | None:
        """Give up the utterance that was sent again, if the server did not hear it in time."""
        resent = self.resent
        if resent is None or now < resent.deadline:
            return None
        self.resent = None
        return resent

    # ------------------------------------------------------------------------------------- the book

    def begin(self, event: SpeechStarted, turn: int, at: Moment) -> None:
        """The user begins to speak."""
        reported = self._reported(event.audio_start_ms, at)
        if reported is None:
            begin = at.sent - self._samples(MARGIN_S * 1000)
        else:
            begin = reported - self._samples(ONSET_MS)
        attempts = self.resent.attempts if self.resent else 0
        self.resent = None
        question = Question(turn, event.item_id, max(begin, self._last_end), at.now, attempts=attempts)
        if (unfinished := self.speaking) is not None:
            unfinished.end = question.begin
        self._open = [*self._open, question][-KEPT:]

    def end(self, event: SpeechStopped | None, at: Moment) -> float | None:
        """The user has finished; ``None``: the server did not say so, but acts like it.

        Returns how much sound beyond the end that the server names it had been sent, in seconds.
        """
        reported = self._reported(event.audio_end_ms, at) if event else None
        self._last_end = max(self._last_end, at.sent if reported is None else reported)
        if (question := self.speaking) is not None:
            question.end = self._last_end
        if event is None or reported is None or not event.audio_end_ms or not self._rate:
            return None
        return samples_to_s(at.sent - reported, self._rate)

    def transcribed(self, item_id: str | None, words: Key) -> None:
        """The words of an utterance are in the memory; ``None``: of the last one that has ended."""
        ended = [question for question in self._open if question.end is not None]
        for question in [q for q in ended if item_id in (None, q.item_id)][-1:]:
            question.words = words

    def answering(self, turn: int) -> None:
        """The first sound of an answer has arrived."""
        for question in self._open:
            question.begun |= question.end is not None and question.turn <= turn

    def settle(self, turn: int) -> None:
        """The questions up to ``turn`` are answered, or were told as failed."""
        self._open = [q for q in self._open if q.end is None or q.turn > turn]

    # ------------------------------------------------------------------------- what the server has

    def sign_of_life(self, at: Moment) -> None:
        """The server said something: what was sent a while ago has arrived, and has been listened to."""
        self._received = max(self._received, self._proved(at) - self._samples(MARGIN_S * 1000))

    def unproved(self, at: Moment, *, healthy: bool) -> int | None:
        """From where on the sound may have been lost with the connection; ``None`` if none was sent."""
        if self._live_at is None:
            return None
        if healthy:
            self.sign_of_life(at)
        return max(self._received, self._last_end)

    def _proved(self, at: Moment) -> int:
        """What the server has listened to: not yet all, when sound was just sent again in one go."""
        if self._live_at is None or at.now >= self._live_at + REPLAY_S:
            return at.sent
        return min(at.sent, self._base + self._samples((at.now - self._live_at) * 1000))

    def _reported(self, ms: int, at: Moment) -> int | None:
        """A position that the server named, if it can be true."""
        position, earliest = self._base + at.skipped + self._samples(ms), self._base
        if self._live_at is not None and at.now > self._live_at + PLAUSIBLE_S:
            earliest = max(earliest, at.sent - self._samples(PLAUSIBLE_S * 1000))
        return position if earliest <= position <= at.sent else None

    def _samples(self, ms: float) -> int:
        return ms_to_samples(ms, self._rate)
