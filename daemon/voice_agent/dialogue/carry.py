"""From one connection to the next: what is handed over, and how it is taken over."""

from collections.abc import Sequence
from dataclasses import replace

from voice_agent.dialogue import calling
from voice_agent.dialogue.books import Books
from voice_agent.dialogue.carried import Carried
from voice_agent.dialogue.memory import heard_words
from voice_agent.dialogue.playout import Utterance
from voice_agent.dialogue.questions import Question
from voice_agent.dialogue.values import AnswerFailed, Command, Fact, Moment, Tell

MAX_CARRIES = 3
"""An utterance that ended so many connections without an answer is given up: it may be what ends them.

One that goes on is not: its end is not known, and the sound that is kept to be sent again is bounded."""


def take_over(books: Books, carried: Carried, at: Moment) -> list[Command]:
    """Make what was carried this connection's own."""
    books.stopped_at, books.onset = carried.stopped_at, carried.onset
    for words in carried.words:
        books.questions.inherit(carried.turn, words, carried.attempts, at)
    if carried.owed:
        books.requests.want(books.turn)
    elif carried.question is not None:
        books.questions.expect(carried.question, carried.attempts, at)
    gone = [utterance for utterance in carried.sounding if utterance.end > at.queued]
    if gone:
        books.onset = None
    for utterance in carried.sounding:
        if utterance not in gone:
            books.playout.add(utterance)
    return [Tell(books.said(utterance, utterance.begin)) for utterance in gone]  # the playout was made anew


def hand_over(books: Books, at: Moment, *, healthy: bool) -> Carried:
    """What the next connection has to make good."""
    facts: list[Fact] = [books.said(u, at.played) for u in books.playout.take_finished(at.played)]
    carried = _obligations(books, Carried(books.turn), at, facts, healthy=healthy)
    if not carried.attempts:
        facts += _cut_off(books)
    calling.hand_over(books)
    sounding = _sounding(books)
    facts += [books.said(utterance, at.played) for utterance in sounding if utterance.end <= at.played]
    return replace(
        carried,
        sounding=tuple(utterance for utterance in sounding if utterance.end > at.played),
        stopped_at=books.stopped_at if carried.owed or books.onset else None,
        onset=books.onset,
        facts=tuple(facts),
    )


def _cut_off(books: Books) -> list[Fact]:
    """An answer that had begun to sound is not asked for again, unless a tool was to be heard from."""
    reason = "the connection was lost in the middle of it"
    return [
        AnswerFailed(answer.turn, "cut", reason)
        for answer in books.answers.under_way().values()
        if answer.sounded and answer.turn == books.turn
    ]


def _sounding(books: Books) -> list[Utterance]:
    """What is queued or sounding, for a connection that does not know it; remembered as if heard in full."""
    handed = []
    for utterance in books.playout.take_all():
        books.said(utterance, utterance.end)
        handed.append(utterance if utterance.foreign else _made_foreign(books, utterance))
    return handed


def _made_foreign(books: Books, utterance: Utterance) -> Utterance:
    """Of an utterance that had not arrived in full, only the words that had."""
    arrived = utterance.received
    text = books.answer(utterance.response_id).words_of(utterance.item_id).text
    return replace(
        utterance,
        key=(books.connection, utterance.item_id),
        text=heard_words(text, arrived, arrived, books.output_rate, complete=utterance.complete),
        complete=True,
        broken=not utterance.complete,
    )


# --------------------------------------------------------------------------------- what the user is owed


def _obligations(books: Books, carried: Carried, at: Moment, facts: list[Fact], *, healthy: bool) -> Carried:
    """To be asked for if his words are known, else to be heard again in the captured sound."""
    asked = [question for question in books.questions if not _answered(books, question)]
    due = [q for q in asked if q.end is None or q.attempts < MAX_CARRIES]
    facts += [_given_up(question.turn) for question in asked if question not in due]
    carried = replace(carried, resend_from=books.questions.unproved(at, healthy=healthy))
    if (resent := books.questions.resent) is not None:
        again = replace(carried, resend_from=resent.begin, question=resent.turn)
        return replace(again, attempts=resent.attempts)  # nobody has heard it: this one does not count
    return _due(books, carried, due) if due else carried


def _due(books: Books, carried: Carried, due: Sequence[Question]) -> Carried:
    """From the first utterance on whose words are not known, everything is heard again."""
    carried = replace(carried, attempts=max(question.attempts for question in due) + 1)
    unknown = next((index for index, question in enumerate(due) if not _known(books, question)), None)
    if unknown is None:
        return replace(carried, words=tuple(question.words for question in due if question.words))
    for question in due[unknown:]:
        if question.words is not None:
            books.memory.forget(question.words)  # these words will be heard again
    return replace(carried, resend_from=due[unknown].begin, question=due[-1].turn)


def _answered(books: Books, question: Question) -> bool:
    """Some of an answer was there, and nothing more is to come: no tool, no request."""
    coming = books.calls.pending_in(books.turn) or books.requests.pending_in(books.turn)
    return question.begun and not (question.turn == books.turn and coming)


def _known(books: Books, question: Question) -> bool:
    return question.words is not None and question.words in books.memory


def _given_up(turn: int) -> AnswerFailed:
    return AnswerFailed(turn, "given up", f"{MAX_CARRIES + 1} connections were lost over it")
