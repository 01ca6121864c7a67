"""Names to addresses, when name servers are slow, silent or gone.

The C library's look-up blocks for as long as it likes: 5 s for each lost packet, half a minute in all. So
it runs in daemon threads of our own: unlike the event loop's executor's, they do not hold up the exit, and
there are never more than four. Who waits asks again every second, as a fresh question gets through before
the old one is repeated; the answer to somebody else's question will do as well.

An address that was right within a day is used again while no name server answers (RFC 8767 calls it
serving stale): a wrong one does no harm, as TLS asks the server for its name.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import NamedTuple

from aiohttp.abc import AbstractResolver, ResolveResult

LOOK_UPS = 4
"""At the same time, in the whole process."""

ASK_AGAIN_S = 1.0
LIMIT_S = 8.0
"""For one connection attempt: short of the upgrade's limit, so that the blame is where it belongs."""

KEPT_S = 86400.0

_FINAL = {socket.EAI_NONAME, socket.EAI_NODATA}
"""The name server has answered: there is no such name, or it has no address."""


class Question(NamedTuple):
    """What is looked up."""

    host: str
    family: socket.AddressFamily


class Address(NamedTuple):
    """One answer: a numeric host."""

    host: str
    family: socket.AddressFamily
    proto: int


LookUp = Callable[[Question], Sequence[Address]]
"""Blocks; raises OSError."""


def system_look_up(question: Question) -> Sequence[Address]:
    """As the system does it: hosts file, name servers, mDNS."""
    host, family = question
    found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        Address(socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0], kind, proto)
        for kind, _, proto, _, address in found
    ]


class Resolver(AbstractResolver):
    """Shared by all connections: it bounds threads and remembers."""

    def __init__(
        self,
        look_up: LookUp = system_look_up,
        *,
        ask_again_s: float = ASK_AGAIN_S,
        limit_s: float = LIMIT_S,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._look_up = look_up
        self._ask_again_s = ask_again_s
        self._limit_s = limit_s
        self._clock = clock
        self._slots = threading.BoundedSemaphore(LOOK_UPS)
        self._known: dict[Question, tuple[float, Sequence[Address]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of ``host``; OSError if there are none, or nobody says."""
        addresses = await self._addresses(Question(host, family))
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Nothing to let go: the threads end by themselves."""

    async def _addresses(self, question: Question) -> Sequence[Address]:
        answer = _Answer(question)
        try:
            return await self._ask_until(self._clock() + self._limit_s, answer)
        except socket.gaierror as error:
            if error.errno in _FINAL or not (known := self._remembered(question)):
                raise
            return known
        finally:
            answer.found.cancel()

    async def _ask_until(self, deadline: float, answer: "_Answer") -> Sequence[Address]:
        while self._clock() < deadline:
            self._ask(answer)
            await asyncio.wait([answer.found], timeout=self._ask_again_s)
            if answer.found.done():
                return answer.found.result()
            if known := self._remembered(answer.question):
                return known
        raise socket.gaierror(socket.EAI_AGAIN, f"no name server answered within {self._limit_s:g} s")

    def _remembered(self, question: Question) -> Sequence[Address]:
        at, addresses = self._known.get(question, (0.0, []))
        return addresses if self._clock() - at < KEPT_S else []

    def _ask(self, answer: "_Answer") -> None:
        if self._slots.acquire(blocking=False):
            threading.Thread(target=self._in_thread, args=[answer], name="name look-up", daemon=True).start()

    def _in_thread(self, answer: "_Answer") -> None:
        question = answer.question
        try:
            found = self._look_up(question)
        except UnicodeError:  # from Python's IDNA: a label is empty or too long
            answer.deliver(socket.gaierror(socket.EAI_NONAME, "not a host name"))
        except OSError as error:
            answer.deliver(error)
        else:
            self._known[question] = (self._clock(), found)
            answer.deliver(found)
        finally:
            self._slots.release()


class _Answer:
    """Somebody's wait for an answer; delivered from any thread, the first one counts."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.found: asyncio.Future[Sequence[Address]] = asyncio.get_running_loop().create_future()

    def deliver(self, result: Sequence[Address] | OSError) -> None:
        with suppress(RuntimeError):  # the loop is closed: the process is on its way out
            self.found.get_loop().call_soon_threadsafe(partial(self._settle, result))

    def _settle(self, result: Sequence[Address] | OSError) -> None:
        if self.found.done():
            return
        if isinstance(result, OSError):
            self.found.set_exception(result)
        else:
            self.found.set_result(result)


def _result(host: str, port: int, address: Address) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address.host,
        port=port,
        family=address.family,
        proto=address.proto,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


SYSTEM = Resolver()
"""The process's own, as the threads that it bounds are."""
