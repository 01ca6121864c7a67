"""From sense to nonsense: bytes, and lines of JSON that stay JSON but mean something else."""

import json
from collections.abc import Iterator, Sequence
from random import Random

NUMBERS = (0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**40, 0.5, -0.0, 1e308, -1e308, 1e-320)
TEXTS = (
    "",
    "\0",
    "a" * 3000,
    "\ud800",
    "ё",
    "../..",
    "{}",
    "[" * 50,
    "\u2028",
    "%s%n",
    "audio",
    "2026-02-30",
)
SPLICES = (
    b"\xff",
    b"\xed\xa0\x80",
    b"\0",
    b"[" * 3000,
    b'{"a":' * 2000,
    b"1e999",
    b"NaN",
    b"9" * 5000,
    b"\r\n",
    b"\\ud800",
)
MAX_BYTES = 65_536


def drawn(seeds: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Inputs without end, the same ones for the same seed."""
    random = Random(seed)
    while True:
        yield mutated(random.choice(seeds), random, seeds)


def mutated(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Something like ``data``, after one to four changes."""
    for _ in range(random.choice((1, 1, 2, 4))):
        change = random.choice((_lines, _lines, _values, _values, _values, _bits, _splice, _cut))
        data = change(data, random, others)
    return data[:MAX_BYTES]


def _lines(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Events in another order, twice, not at all, or from another story."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            lines.insert(at, random.choice(random.choice(others).split(b"\n")))
        case 1:
            lines.insert(random.randrange(len(lines) + 1), lines[at])
        case 2:
            del lines[at]
        case _:
            to = random.randrange(len(lines))
            lines[at], lines[to] = lines[to], lines[at]
    return b"\n".join(lines)


def _values(data: bytes, random: Random, _others: Sequence[bytes]) -> bytes:
    """One value inside of one line that is JSON; other data are cut up instead."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    try:
        tree = json.loads(lines[at])
    except (ValueError, RecursionError):
        return _splice(data, random, _others)
    lines[at] = json.dumps(_changed(tree, random)).encode()
    return b"\n".join(lines)


def _changed(tree: object, random: Random) -> object:
    match tree:
        case dict() if tree and random.random() < 0.8:
            key = random.choice(list(tree))
            if random.random() < 0.1:
                return {name: value for name, value in tree.items() if name != key}
            return {**tree, key: _changed(tree[key], random)}
        case list() if tree and random.random() < 0.7:
            at = random.randrange(len(tree))
            return [*tree[:at], _changed(tree[at], random), *tree[at + random.randrange(2) :]]
        case str() if random.random() < 0.3:
            return tree[: random.randrange(len(tree) + 1)] + random.choice(TEXTS)
    return random.choice((None, True, [], {}, [tree, tree], random.choice(NUMBERS), random.choice(TEXTS)))


def _bits(data: bytes, random: Random, _others: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _splice(data: bytes, random: Random, _others: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(SPLICES) + data[at:]


def _cut(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """The beginning of this and the end of another."""
    other = random.choice(others)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]
