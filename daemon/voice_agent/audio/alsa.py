"""What the kernel and ALSA know of sound cards beyond PortAudio's names: ids, USB sockets, fewest channels.

A card's number is the order in which the kernel met it, and so is the number that PortAudio hangs behind a
device's name, ``(hw:1,0)``. What stays is the card's id, as in ``hw:CARD=Device``, and the socket that a USB
card is plugged into, as in ``1-1.4``. Two cards of one make differ in nothing else.
"""

import ctypes
import re
from pathlib import Path
from typing import NamedTuple

LIBRARY = "libasound.so.2"

CAPTURE = 1
NONBLOCK = 1
"""snd_pcm_stream_t and the mode of snd_pcm_open, of <alsa/pcm.h>."""

USB_PLACE = re.compile(r"(\d+-\d+(?:\.\d+)*)(?::[\d.]+)?")
"""How the kernel names what is plugged in (bus-port.port...), and the interface thereof."""


class Card(NamedTuple):
    """A sound card that the kernel has now."""

    number: int
    """Its place in the order of arrival; means nothing tomorrow."""
    id: str
    """Unique among the cards that there are."""
    usb: str
    """The socket, as in ``1-1.4``; empty if it is none of USB's."""


class Cards:
    """The kernel's list of cards. Empty where there is no ALSA."""

    def __init__(
        self, listed: Path = Path("/proc/asound/cards"), devices: Path = Path("/sys/class/sound")
    ) -> None:
        self._listed = listed
        self._devices = devices

    def read(self) -> frozenset[Card]:
        """The cards that there are now."""
        try:
            text = self._listed.read_text(errors="replace")
        except OSError:
            return frozenset()
        found = re.findall(r"^ *(\d+) \[(\S+) *\]:", text, re.MULTILINE)
        return frozenset(Card(int(number), name, self._usb(number)) for number, name in found)

    def _usb(self, number: str) -> str:
        place = (self._devices / f"card{number}" / "device").resolve()
        matches = [match[1] for part in place.parts if (match := USB_PLACE.fullmatch(part))]
        return matches[-1] if matches else ""


def fewest_channels(pcm: str, *, capture: bool) -> int:
    """The fewest channels that this PCM can be opened with; 1 if that cannot be told. May block.

    PortAudio opens a stereo loudspeaker in mono without a word, and plays on the left.
    """
    try:
        alsa = ctypes.CDLL(LIBRARY)
    except OSError:
        return 1
    handle, params, fewest = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint(1)
    if alsa.snd_pcm_open(ctypes.byref(handle), pcm.encode(), CAPTURE if capture else 0, NONBLOCK) < 0:
        return 1
    try:
        alsa.snd_pcm_hw_params_malloc(ctypes.byref(params))
        if alsa.snd_pcm_hw_params_any(handle, params) >= 0:
            alsa.snd_pcm_hw_params_get_channels_min(params, ctypes.byref(fewest))
    finally:
        alsa.snd_pcm_hw_params_free(params)
        alsa.snd_pcm_close(handle)
    return max(fewest.value, 1)


def has_default() -> bool:
    """Whether ALSA's configuration has a ``pcm.!default``, or there is no ALSA to ask."""
    try:
        alsa = ctypes.CDLL(LIBRARY)
    except OSError:
        return True
    alsa.snd_config_search.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    alsa.snd_config_update()
    root, found = ctypes.c_void_p.in_dll(alsa, "snd_config"), ctypes.c_void_p()
    return bool(root.value) and alsa.snd_config_search(root, b"pcm.default", ctypes.byref(found)) >= 0
