"""When waiting is over: every state that needs the server to move has a deadline and a remedy.

    the user speaks      60 s  -> commit what was heard and ask for an answer
    no response.created  10 s  -> ask for it;         20 s later, or 10 s of silence -> abandon the connection
    no progress in one   30 s  -> cancel it;           5 s later                     -> abandon
    the same in an old one, while the user waits for a new one
                          5 s  -> cancel it;           5 s later                     -> forget it
    a tool is at work    its time limit and 5 s more                                 -> answer for it
    requests refused     4 or 5 times in a row                                       -> abandon

The remedy is told as ``Stuck``. An abandoned connection hands its open questions on to the next one. Slow is
not stuck: live servers took up to 21.5 s from the end of speech to the first sound, and anything that
arrives of a response is progress.
"""

from collections.abc import Iterator

from voice_agent.dialogue import calling
from voice_agent.dialogue.answers import Answer
from voice_agent.dialogue.books import Books
from voice_agent.dialogue.values import Abandon, AnswerFailed, Command, Moment, Send, Stuck, Tell
from voice_agent.errors import Cause, ConnectionLost
from voice_agent.formats import samples_to_s
from voice_agent.realtime.events import CancelResponse, CommitAudio

SPEECH_S = 60.0
"""Nobody talks to a device for so long; a server that never hears the end does not answer, either."""

COMMITTED_S = 10.0
"""After a commit a living server says at least something."""

ANSWER_S = 10.0
"""From the end of speech to ``response.created`` on a server that answers by itself."""

PROGRESS_S = 30.0
"""Between two events of one response. Longer than any pause that was seen."""

OLD_S = 5.0
"""The same for a response of an earlier turn, which stands between the user and his answer."""

CANCELLED_S = 5.0
"""From our cancel to ``response.done``."""

MIN_NAP_S = 0.02
"""``deadline`` is never nearer than this: the playout position moves in blocks of about 10 ms."""


def heal(books: Books, at: Moment) -> Iterator[Command]:
    """Remedies for everything that is overdue."""
    yield from _endless_speech(books, at)
    yield from _missing_answer(books, at)
    yield from _stalled_answers(books, at)
    yield from calling.answer_for(books, books.calls.overdue(at.now), at.now)
    if (resent := books.questions.take_unheard(at.now)) is not None:
        yield Tell(AnswerFailed(resent.turn, "unheard", "the server heard nobody in what was sent again"))


def _endless_speech(books: Books, at: Moment) -> Iterator[Command]:
    question = books.questions.speaking
    if question is None or at.now < question.started_at + SPEECH_S:
        return
    books.questions.end(None, at)
    books.user_speaks = False
    books.stopped_at = at.now
    books.committed_at = at.now
    books.requests.want(books.turn)
    yield Tell(Stuck(books.turn, "endless_speech", "committed"))
    yield Send(CommitAudio())


def _missing_answer(books: Books, at: Moment) -> Iterator[Command]:
    if books.committed_at is not None and at.now >= books.committed_at + COMMITTED_S:
        books.committed_at = None
        yield from _abandon(books, "endless_speech", "the server says nothing to a speech without end")
    if books.awaited is not None and at.now >= books.awaited.since + ANSWER_S:
        turn, books.awaited = books.awaited.turn, None
        if turn == books.turn:
            books.requests.want(turn)
            yield Tell(Stuck(turn, "no_response", "asked"))
    if books.requests.take_lost(at.now) == books.turn:
        yield from _abandon(books, "no_response", "the server does not answer")
    if books.requests.hopeless:
        books.requests.give_up()
        yield from _abandon(books, "refused", "the server refuses every request for an answer")


def _stalled_answers(books: Books, at: Moment) -> Iterator[Command]:
    for response_id, answer in books.answers.under_way().items():
        if answer.cancelled_at is not None and at.now >= answer.cancelled_at + CANCELLED_S:
            answer.over = True
            if answer.turn == books.turn:
                yield from _abandon(books, "no_progress", "the server does not end its answer")
        elif answer.cancelled_at is None and at.now >= _patience_ends(books, answer):
            answer.cancelled_at = at.now
            yield Tell(Stuck(answer.turn, "no_progress", "cancelled"))
            yield Send(CancelResponse(response_id=response_id))


def _patience_ends(books: Books, answer: Answer) -> float:
    if answer.turn == books.turn or books.user_speaks or books.stopped_at is None:
        return answer.last_at + PROGRESS_S
    return min(answer.last_at + PROGRESS_S, max(answer.last_at, books.stopped_at) + OLD_S)


def _abandon(books: Books, kind: str, text: str) -> Iterator[Command]:
    yield Tell(Stuck(books.turn, kind, "abandoned"))
    yield Abandon(ConnectionLost(text, cause=Cause.STUCK))


def deadline(books: Books, at: Moment) -> float | None:
    """When the first remedy, or the first news from the loudspeaker, is due (monotonic seconds)."""
    times = list(_deadlines(books, at))
    return max(min(times), at.now + MIN_NAP_S) if times else None


def _deadlines(books: Books, at: Moment) -> Iterator[float]:
    if books.onset is not None:
        yield at.now + samples_to_s(books.onset.position - at.played, books.output_rate)
    if (end := books.playout.next_end) is not None:
        yield at.now + samples_to_s(end - at.played, books.output_rate)
    if (question := books.questions.speaking) is not None:
        yield question.started_at + SPEECH_S
    if (resent := books.questions.resent) is not None:
        yield resent.deadline
    if books.committed_at is not None:
        yield books.committed_at + COMMITTED_S
    if books.awaited is not None:
        yield books.awaited.since + ANSWER_S
    for answer in books.answers.under_way().values():
        yield (
            _patience_ends(books, answer)
            if answer.cancelled_at is None
            else answer.cancelled_at + CANCELLED_S
        )
    if (asked := books.requests.deadline(free=books.free())) is not None:
        yield asked
    if (tool := books.calls.deadline) is not None:
        yield tool
