"""Names to addresses: name servers that hang, fail, lie low and come back."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

import pytest

from voice_agent.errors import Cause, SessionError
from voice_agent.wire import Endpoint, connect
from voice_agent.wire.resolver import LOOK_UPS, Address, Question, Resolver, system_look_up

HOST = "provider.example"
AN_ADDRESS = Address("192.0.2.1", socket.AF_INET, 0)
ANOTHER = Address("192.0.2.2", socket.AF_INET, 0)

NOBODY_ANSWERS = socket.gaierror(socket.EAI_AGAIN, "temporary failure")
NO_SUCH_NAME = socket.gaierror(socket.EAI_NONAME, "not known")


class NameServer:
    """Gives these answers in turn, the last one for ever; None is given when it is released."""

    def __init__(self, *answers: Sequence[Address] | OSError | None) -> None:
        self._answers = list(answers)
        self._lock = threading.Lock()
        self.released = threading.Event()
        self.threads: set[threading.Thread] = set()
        self.asked = 0

    def __call__(self, _question: Question) -> Sequence[Address]:
        self.threads.add(threading.current_thread())
        with self._lock:
            self.asked += 1
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            self.released.wait(20)
            return [AN_ADDRESS]
        if isinstance(answer, OSError):
            raise answer
        return answer

    @property
    def busy(self) -> int:
        return sum(thread.is_alive() for thread in self.threads)


@pytest.fixture
def hanging() -> Iterator[NameServer]:
    server = NameServer(None)
    yield server
    server.released.set()


def _resolver(server: NameServer, clock: Callable[[], float] = monotonic) -> Resolver:
    return Resolver(server, ask_again_s=0.02, limit_s=0.2, clock=clock)


async def _addresses(resolver: Resolver) -> list[str]:
    return [found["host"] for found in await resolver.resolve(HOST, 443)]


def test_an_address_comes_with_all_that_a_connection_needs() -> None:
    [found] = asyncio.run(_resolver(NameServer([AN_ADDRESS])).resolve(HOST, 443))
    assert (found["hostname"], found["host"], found["port"]) == (HOST, "192.0.2.1", 443)


def test_the_system_knows_this_machine() -> None:
    assert system_look_up(Question("127.0.0.1", socket.AF_INET)) == [Address("127.0.0.1", socket.AF_INET, 6)]


@pytest.mark.parametrize("error", [NOBODY_ANSWERS, NO_SUCH_NAME])
def test_a_first_failure_is_told_as_it_is(error: OSError) -> None:
    with pytest.raises(socket.gaierror) as told:
        asyncio.run(_addresses(_resolver(NameServer(error))))
    assert told.value.errno == error.errno


def test_what_cannot_be_a_name_has_no_address() -> None:
    def encode(question: Question) -> Sequence[Address]:
        question.host.encode("idna")
        return []

    with pytest.raises(socket.gaierror):
        asyncio.run(Resolver(encode).resolve("a" * 70 + ".example"))


# ------------------------------------------------------------------------------------------- hanging


def test_a_hanging_look_up_is_given_up_in_time(hanging: NameServer) -> None:
    started = monotonic()
    with pytest.raises(socket.gaierror, match="no name server answered"):
        asyncio.run(_addresses(_resolver(hanging)))
    assert 0.15 < monotonic() - started < 2.0  # the loop's own exit included


def test_hanging_look_ups_do_not_pile_up_and_do_not_hold_up_the_exit(hanging: NameServer) -> None:
    resolver = _resolver(hanging)
    for _ in range(3):
        with pytest.raises(socket.gaierror):
            asyncio.run(_addresses(resolver))
    assert hanging.busy == LOOK_UPS == hanging.asked
    assert all(thread.daemon for thread in hanging.threads)


def test_threads_that_come_back_are_used_again(hanging: NameServer) -> None:
    resolver = _resolver(hanging)
    with pytest.raises(socket.gaierror):
        asyncio.run(_addresses(resolver))
    hanging.released.set()
    for thread in tuple(hanging.threads):
        thread.join(5)
    for _ in range(2 * LOOK_UPS):
        assert asyncio.run(_addresses(resolver)) == ["192.0.2.1"]
    assert hanging.asked == 3 * LOOK_UPS


def test_a_fresh_question_gets_through_while_the_old_one_hangs() -> None:
    server = NameServer(None, [ANOTHER])
    assert asyncio.run(_addresses(_resolver(server))) == ["192.0.2.2"]
    server.released.set()


def test_the_answer_to_somebody_elses_question_will_do(hanging: NameServer) -> None:
    async def run() -> None:
        resolver = _resolver(hanging)
        with pytest.raises(socket.gaierror):  # leaves four threads behind
            await _addresses(resolver)
        waiting = asyncio.create_task(_addresses(resolver))
        await asyncio.sleep(0)
        hanging.released.set()
        assert await waiting == ["192.0.2.1"]
        assert hanging.asked == LOOK_UPS

    asyncio.run(run())


def test_a_connection_attempt_blames_the_name_server(hanging: NameServer) -> None:
    async def run() -> SessionError:
        try:
            async with connect(Endpoint(f"ws://{HOST}/"), resolver=_resolver(hanging)):
                raise AssertionError("connected")
        except SessionError as error:
            return error

    assert asyncio.run(run()).cause is Cause.DNS


# ---------------------------------------------------------------------------------------- remembered


@pytest.mark.parametrize("trouble", [None, NOBODY_ANSWERS])
def test_an_address_that_was_right_is_used_while_nobody_answers(trouble: OSError | None) -> None:
    server = NameServer([AN_ADDRESS], trouble)
    resolver = _resolver(server)
    for _ in range(2):
        assert asyncio.run(_addresses(resolver)) == ["192.0.2.1"]
    server.released.set()


def test_a_name_that_is_no_more_is_believed() -> None:
    resolver = _resolver(NameServer([AN_ADDRESS], NO_SUCH_NAME))
    asyncio.run(_addresses(resolver))
    with pytest.raises(socket.gaierror):
        asyncio.run(_addresses(resolver))


def test_a_name_server_that_answers_is_asked_every_time() -> None:
    resolver = _resolver(NameServer([AN_ADDRESS], [ANOTHER]))
    assert [asyncio.run(_addresses(resolver)) for _ in range(2)] == [["192.0.2.1"], ["192.0.2.2"]]


def test_an_address_is_not_believed_for_ever() -> None:
    now = [1000.0]
    resolver = _resolver(NameServer([AN_ADDRESS], NOBODY_ANSWERS), lambda: now[0])
    asyncio.run(_addresses(resolver))
    now[0] += 86399
    assert asyncio.run(_addresses(resolver)) == ["192.0.2.1"]
    now[0] += 2
    with pytest.raises(socket.gaierror):
        asyncio.run(_addresses(resolver))
