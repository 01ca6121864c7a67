"""The user's turns: he begins, and what is queued is cut; he stops, and an answer is expected."""

from collections.abc import Sequence

from voice_agent.dialogue import calling
from voice_agent.dialogue.answers import keep_recent
from voice_agent.dialogue.books import Awaited, Books
from voice_agent.dialogue.memory import UserLine
from voice_agent.dialogue.playout import Utterance
from voice_agent.dialogue.values import (
    Command,
    Moment,
    Send,
    Silence,
    Silenced,
    Tell,
    TurnStarted,
    UserSaid,
    UserStopped,
)
from voice_agent.realtime.events import (
    CancelResponse,
    DeleteItem,
    SpeechStarted,
    SpeechStopped,
    TranscriptionCompleted,
    TruncateItem,
)


def begin_turn(books: Books, event: SpeechStarted, at: Moment) -> Sequence[Command]:
    """Barge-in: everything queued is cut, and the server learns what was heard of each item."""
    cut, commands = _cut(books, at, cancels=not books.settings.server_interrupts)
    interrupts = any(utterance.end > at.played for utterance in cut)  # a cue of our own is no answer
    keep_recent(books.turn_of_item, event.item_id, books.turn)
    books.questions.begin(event, books.turn, at)
    books.user_speaks, books.hushed = True, False
    commands.append(Tell(TurnStarted(books.turn, interrupts)))
    commands += calling.give_up(books, at.now)
    if books.early_stop is not None and books.early_stop.item_id == event.item_id:
        commands += end_speech(books, books.early_stop, at)
    books.early_stop = None
    return [*commands, *_silenced(books, cut, at.played)]


def hush(books: Books, at: Moment) -> Sequence[Command]:
    """The user wants silence, and says so otherwise than by speech: what sounds is cut, nothing is owed.

    It is a turn of its own, in which nobody speaks: what still comes is for an older one.
    """
    if books.user_speaks:
        return []
    books.questions.settle(books.turn)
    cut, commands = _cut(books, at, cancels=True)
    books.awaited, books.hushed = None, True
    return [*commands, *calling.give_up(books, at.now), *_silenced(books, cut, at.played)]


def _cut(books: Books, at: Moment, *, cancels: bool) -> tuple[list[Utterance], list[Command]]:
    """End the turn and whatever is to be heard of it. A server that interrupts by itself needs no cancel.

    It would call it an error.
    """
    commands: list[Command] = [Tell(books.said(u, at.played)) for u in books.playout.take_finished(at.played)]
    commands += [Silence()] if at.queued > at.played else []
    cut = books.playout.take_all()
    commands += _corrections(books, cut, at.played)
    if cancels:
        commands += [Send(CancelResponse(response_id=key)) for key in books.answers.under_way()]
    commands += [Tell(books.said(utterance, at.played)) for utterance in cut]
    books.turn += 1
    books.stopped_at = books.onset = None
    return cut, commands


def _silenced(books: Books, cut: Sequence[Utterance], played: int) -> list[Command]:
    if not cut:
        return []
    heard = max(books.ms(utterance.heard(played)) for utterance in cut)
    return [Tell(Silenced(books.turn, len(cut), heard))]


def _corrections(books: Books, cut: Sequence[Utterance], played: int) -> list[Command]:
    """Truncate what was heard in part; delete what was not heard at all (0 ms is refused by servers).

    Of items of an earlier connection the server knows nothing but words: they are left alone.
    """
    commands: list[Command] = []
    ours = [utterance for utterance in cut if not utterance.foreign]
    for utterance in ours:
        item, index = utterance.item_id, utterance.content_index
        heard_ms = books.ms(utterance.heard(played))
        if heard_ms > 0:
            event = TruncateItem(item_id=item, content_index=index, audio_end_ms=heard_ms)
            commands.append(Send(event))
        elif index == 0:
            commands.append(Send(DeleteItem(item_id=item)))
    sounded = {utterance.item_id for utterance in ours}
    for answer in books.answers.under_way().values():
        if answer.turn == books.turn:
            unheard = [item for item in answer.unheard_messages() if item not in sounded]
            commands += [Send(DeleteItem(item_id=item)) for item in unheard]
    return commands


def end_speech(books: Books, event: SpeechStopped, at: Moment) -> Sequence[Command]:
    """The server's endpointing has decided: an answer is expected, or asked for.

    The end may overtake the beginning; then it waits for it.
    """
    if not books.user_speaks and event.item_id and event.item_id not in books.turn_of_item:
        books.early_stop = event
        return []
    late_s = books.questions.end(event, at)
    books.user_speaks = False
    books.stopped_at = at.now
    detection = books.settings.turn_detection
    if detection is not None and detection.create_response is not False:
        books.awaited = Awaited(books.turn, at.now)
    else:
        books.requests.want(books.turn)  # a server that does not answer by itself is asked to
    return [Tell(UserStopped(books.turn, late_s))]


def understand(books: Books, event: TranscriptionCompleted, text: str) -> Sequence[Command]:
    """The user's words have come, perhaps long after the answer to them."""
    named = event.item_id in books.turn_of_item
    turn = books.turn_of_item.get(event.item_id, books.turn)
    key = (books.connection, event.item_id or f"turn {turn}")
    books.memory.enter(key, UserLine(turn, text))
    books.questions.transcribed(event.item_id if named else None, key)
    return [Tell(UserSaid(turn, text))]
