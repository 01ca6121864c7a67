"""A real TCP socket that stops hearing: segments vanish before they are acknowledged, as on dead Wi-Fi.

A classic BPF filter on the socket itself (SO_ATTACH_FILTER, socket(7)); the kernel asks it for every incoming
segment, and needs no root for it. On a connection, neither data nor acknowledgements arrive: the other side
resends and, at last, gives up. On a listening socket, SYNs vanish, and connections accepted later inherit
the filter. The socket can still send; a hole in both directions takes a filter at both ends, or an end that
keeps silent.
"""

import ctypes
import socket
import struct
from asyncio.trsock import TransportSocket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27
"""From asm-generic/socket.h; Python's ``socket`` does not name them."""

LOAD_ABSOLUTE, JUMP_IF_GREATER_OR_EQUAL, RETURN = 0x20, 0x35, 0x06
"""BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JGE|BPF_K, BPF_RET|BPF_K (linux/bpf_common.h)."""

RANDOM = 0xFFFFF000 + 56
"""SKF_AD_OFF + SKF_AD_RANDOM (linux/filter.h): a fresh 32-bit number instead of a word of the packet."""

WHOLE, NOTHING = 0xFFFFFFFF, 0

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant: one ``struct sock_filter``."""

Sock = socket.socket | TransportSocket


def vanish(sock: Sock, share: float = 1.0) -> None:
    """From now on lose this ``share`` (0..1) of what arrives at ``sock``; replaces an earlier loss."""
    _attach(sock, [(RETURN, 0, 0, NOTHING)] if share >= 1 else _losing(share))


def restore(sock: Sock) -> None:
    """Hear again. What was lost meanwhile is sent again by the other side, if that still lives."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    except FileNotFoundError:  # ENOENT: there was no filter
        return


@contextmanager
def half_open(sock: Sock, share: float = 1.0) -> Iterator[None]:
    """Lose ``share`` of what arrives at ``sock`` inside this block."""
    vanish(sock, share)
    try:
        yield
    finally:
        restore(sock)


def _losing(share: float) -> list[Instruction]:
    return [
        (LOAD_ABSOLUTE, 0, 0, RANDOM),
        (JUMP_IF_GREATER_OR_EQUAL, 0, 1, int(share * 2**32)),
        (RETURN, 0, 0, WHOLE),
        (RETURN, 0, 0, NOTHING),
    ]


def _attach(sock: Sock, program: Sequence[Instruction]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *line) for line in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))  # struct sock_fprog
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)
