"""The model's answers: which are heard, and what to do when one says nothing."""

from collections.abc import Sequence

from voice_agent.dialogue import calling
from voice_agent.dialogue.answers import Answer
from voice_agent.dialogue.books import Awaited, Books
from voice_agent.dialogue.carried import Onset
from voice_agent.dialogue.playout import Utterance
from voice_agent.dialogue.values import (
    Abandon,
    AgentSaid,
    AnswerDropped,
    AnswerFailed,
    Command,
    Finish,
    Moment,
    Play,
    Send,
    Stuck,
    Tell,
    TokensUsed,
)
from voice_agent.errors import Unauthorized
from voice_agent.formats import BYTES_PER_SAMPLE, samples_to_s
from voice_agent.realtime.codec import usage_of
from voice_agent.realtime.events import (
    AudioDelta,
    CancelResponse,
    DeleteItem,
    ErrorDetail,
    Item,
    ResponseInfo,
    TokenDetails,
    known,
)
from voice_agent.realtime.providers import Verdict, cause_of, judge, under_pressure

FAILED_PAUSE_S = 1.0
"""Before an answer that failed is asked for again."""

PRESSURE_PAUSE_S = 5.0
"""The same, when the server said that it has too much to do."""


def begins(books: Books, info: ResponseInfo, at: Moment) -> Sequence[Command]:
    """Assign the response to a turn. One that an older turn is owed, while the user speaks, is stale.

    So is every one that comes into a silence which the user has asked for.
    """
    awaited, books.awaited = books.awaited, None
    asked_in = books.requests.take_granted(awaited.turn if awaited else None, now=at.now)
    if books.hushed and asked_in is None:
        asked_in = books.turn - 1
    if (books.user_speaks or books.hushed) and asked_in is not None and asked_in != books.turn:
        books.answers.begin(info.id, asked_in, now=at.now)
        return [Send(CancelResponse(response_id=info.id))]
    if books.user_speaks:  # a server that answers has stopped listening, whether it said so or not
        books.questions.end(None, at)
        books.user_speaks = False
    books.answers.begin(info.id, books.turn, now=at.now)
    return []


def hear(books: Books, event: AudioDelta, at: Moment) -> Sequence[Command]:
    """Play it if it belongs to this turn."""
    answer = books.answer(event.response_id)
    if answer.turn != books.turn:
        samples = len(event.delta) // BYTES_PER_SAMPLE
        return [Tell(AnswerDropped(answer.turn, samples_to_s(samples, books.output_rate)))]
    utterance = books.playout.find(event.item_id, event.content_index)
    starts = utterance is None
    if utterance is None:
        utterance = Utterance(event.item_id, event.content_index, event.response_id, books.turn)
        books.playout.add(utterance)
    pcm = utterance.whole_samples(event.delta)
    utterance.extend(at.queued, len(pcm) // BYTES_PER_SAMPLE)
    utterance.complete |= answer.ended
    if not pcm:
        return []
    answer.sounded = True
    books.questions.answering(books.turn)
    if books.stopped_at is not None and books.onset is None:
        books.onset = Onset(at.queued, at.now)
    return [Play(pcm, starts)]


def sound_ends(books: Books, response_id: str, at: Moment) -> list[Command]:
    """The server has sent all of an item's sound, or ends the response without having said so."""
    return [Finish()] if books.playout.ends_with(response_id, at.queued) else []


def item_done(books: Books, response_id: str, item: Item, at: Moment) -> Sequence[Command]:
    """A call is complete, or an utterance will not grow."""
    if item.type == "function_call":
        return calling.make(books, response_id, item, at.now)
    if item.type == "mcp_approval_request":
        return calling.refuse(books, response_id, item)
    for utterance in books.playout:
        if utterance.item_id == item.id and not utterance.foreign:
            utterance.complete = True
    return []


# ------------------------------------------------------------------------------------- the end of one


def ends(books: Books, info: ResponseInfo, at: Moment) -> Sequence[Command]:
    """Close the books on a response, and see whether it did its work."""
    answer = books.answer(info.id)
    commands = sound_ends(books, info.id, at)
    for item in info.output:
        answer.worked |= item.type != "message"
        if item.type == "function_call":
            commands += calling.make(books, info.id, item, at.now)
    first_end, answer.over, answer.ended = not answer.ended, True, True
    books.playout.complete(info.id)
    books.requests.server_is_free()
    calling.follow(books, books.calls.response_over(info.id, info.status, spoke=answer.sounded))
    commands += [Tell(said) for said in _unspoken(books, answer)]
    if first_end:
        commands += [Tell(used) for used in _bill(answer, info)]
        commands += _conclude(books, answer, info, at)
    return commands


def _unspoken(books: Books, answer: Answer) -> list[AgentSaid]:
    """Items of an answer that came as text only."""
    if answer.turn != books.turn:
        return []
    sounding = {utterance.item_id for utterance in books.playout}
    texts = answer.unspoken_words().items()
    return [AgentSaid(answer.turn, item, text, 0, 0) for item, text in texts if item not in sounding]


def _bill(answer: Answer, info: ResponseInfo) -> list[TokensUsed]:
    if (usage := usage_of(info)) is None:
        return []
    read = usage.input_token_details or TokenDetails()
    made = usage.output_token_details or TokenDetails()
    return [
        TokensUsed(
            answer.turn,
            input_text=max(usage.input_tokens - read.audio_tokens, read.text_tokens),
            input_audio=read.audio_tokens,
            input_cached=read.cached_tokens,
            output_text=max(usage.output_tokens - made.audio_tokens, made.text_tokens),
            output_audio=made.audio_tokens,
        )
    ]


def _conclude(books: Books, answer: Answer, info: ResponseInfo, at: Moment) -> Sequence[Command]:
    """Whether the user got his answer, will get it, or must be told that he will not."""
    if answer.turn != books.turn or books.user_speaks:
        return []
    mute = not answer.sounded
    match info.status:
        case "failed":
            return _failed(books, answer, info, at)
        case "cancelled" if answer.cancelled_at is not None:
            return ask_again(books, answer, "no_progress", "it did not go on", at.now)
        case "completed" if mute and not answer.worked:
            return _mute(books, answer, info, at)
        case _ if books.promised():
            return []
        case "incomplete":
            return fail(books, answer.turn, info.status, reason_of(info))
        case "cancelled" if mute:
            return fail(books, answer.turn, info.status, reason_of(info))
        case "completed" if mute and not answer.called:
            books.awaited = Awaited(answer.turn, at.now)  # the server's own tools: it goes on by itself
        case _:
            books.questions.settle(answer.turn)
    return []


def _mute(books: Books, answer: Answer, info: ResponseInfo, at: Moment) -> Sequence[Command]:
    """Words without sound: seen after a history was restored. What nobody heard must not be remembered."""
    ids = {*answer.messages, *answer.words, *(known(item.id) for item in info.output)} - {""}
    again = books.asked_again != answer.turn
    deletions = [Send(DeleteItem(item_id=item)) for item in sorted(ids)] if again else []
    return [*deletions, *ask_again(books, answer, "no_audio", "it came without sound", at.now)]


def _failed(books: Books, answer: Answer, info: ResponseInfo, at: Moment) -> Sequence[Command]:
    error = _error_of(info)
    if judge(error) is Verdict.REFUSED:
        told = fail(books, answer.turn, "failed", reason_of(info))
        return [*told, Abandon(Unauthorized(reason_of(info), cause=cause_of(error)))]
    if books.promised():
        return []
    if answer.sounded:
        return fail(books, answer.turn, "failed", reason_of(info))
    pause_s = PRESSURE_PAUSE_S if under_pressure(error) else FAILED_PAUSE_S
    return ask_again(books, answer, "failed", reason_of(info), at.now, pause_s)


def ask_again(
    books: Books, answer: Answer, kind: str, reason: str, now: float, pause_s: float = 0.0
) -> Sequence[Command]:
    """Ask for an answer once more, but only once a turn, and not for one that was heard in part."""
    if books.asked_again == answer.turn or answer.sounded:
        return fail(books, answer.turn, kind, reason)
    books.asked_again = answer.turn
    books.requests.want(answer.turn, now + pause_s)
    return [Tell(Stuck(answer.turn, kind, "asked_again"))]


def fail(books: Books, turn: int, status: str, reason: str) -> list[Command]:
    """Tell that there will be no answer in ``turn``."""
    books.questions.settle(turn)
    return [Tell(AnswerFailed(turn, status, reason))]


def _error_of(info: ResponseInfo) -> ErrorDetail:
    details = info.status_details
    return details.error if details and isinstance(details.error, ErrorDetail) else ErrorDetail()


def reason_of(info: ResponseInfo) -> str:
    """Why a response is not ``completed``, in the server's words."""
    error, details = _error_of(info), info.status_details
    return error.told or error.code or (details and details.reason) or ""
