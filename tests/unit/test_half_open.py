"""The tests' black hole does what the tests believe of it."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fakes.half_open import half_open, restore, vanish

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        ours = stack.enter_context(socket.create_connection(listener.getsockname()))
        theirs = stack.enter_context(listener.accept()[0])
        for end in (ours, theirs):
            end.settimeout(5)
        yield ours, theirs


def test_what_is_sent_into_a_hole_does_not_arrive_but_is_not_refused_either(pair: Pair) -> None:
    ours, theirs = pair
    vanish(theirs)
    ours.sendall(b"lost")
    theirs.settimeout(0.3)
    with pytest.raises(TimeoutError):
        theirs.recv(10)


def test_a_restored_link_delivers_what_was_sent_meanwhile(pair: Pair) -> None:
    ours, theirs = pair
    with half_open(theirs):
        ours.sendall(b"late")
    assert theirs.recv(10) == b"late"


def test_a_socket_without_a_filter_can_be_restored(pair: Pair) -> None:
    restore(pair[1])


def test_a_lossy_link_loses_some_segments_and_delivers_all_bytes(pair: Pair) -> None:
    ours, theirs = pair
    ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    vanish(theirs, share=0.3)
    for number in range(50):
        ours.sendall(bytes([number]))
    heard = b""
    while len(heard) < 50:
        heard += theirs.recv(50)
    assert heard == bytes(range(50))
    info = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    assert struct.unpack_from("=I", info, 100) > (0,)  # tcpi_total_retrans (linux/tcp.h)


def test_a_listener_in_a_hole_answers_no_connection_attempt() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        half_open(listener),
        pytest.raises(TimeoutError),
    ):
        socket.create_connection(listener.getsockname(), timeout=0.3)


def test_a_hole_breaks_the_connection_at_its_user_timeout(pair: Pair) -> None:
    ours, theirs = pair
    ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)
    with half_open(theirs):
        ours.sendall(b"lost")
        with pytest.raises(TimeoutError) as broken:
            ours.recv(1)
    assert broken.value.errno is not None  # ETIMEDOUT from the kernel, not our own time limit
