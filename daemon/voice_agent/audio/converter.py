"""libsamplerate, the distribution's own, through ctypes: the only module that knows it.

Its ``SRC_SINC_FASTEST`` is a windowed sinc with 97 dB of signal to noise and a pass band of 80 % (its
documentation). A call keeps the GIL: it lasts a quarter of a millisecond, and to get the GIL back from a busy
loop costs a callback 2 to 19 ms (ADR 24).
"""

import ctypes
import weakref
from functools import cache
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LIBRARY = "libsamplerate.so.0"
SINC_FASTEST = 2
SPARE = 16
"""Samples that may come out beyond what the ratio says, after a block that brought less."""


class _Data(ctypes.Structure):
    """SRC_DATA of <samplerate.h>, 0.1 and 0.2 alike."""

    _fields_ = (
        ("data_in", ctypes.c_void_p),
        ("data_out", ctypes.c_void_p),
        ("input_frames", ctypes.c_long),
        ("output_frames", ctypes.c_long),
        ("input_frames_used", ctypes.c_long),
        ("output_frames_gen", ctypes.c_long),
        ("end_of_input", ctypes.c_int),
        ("src_ratio", ctypes.c_double),
    )


@cache
def _library() -> ctypes.PyDLL:
    """Raises OSError if it is not installed."""
    library = ctypes.PyDLL(LIBRARY)
    library.src_new.restype = ctypes.c_void_p
    library.src_new.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int))
    library.src_process.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Data))
    library.src_delete.argtypes = (ctypes.c_void_p,)
    return library


class Converter:
    """A stream of mono floats at ``ratio`` times its rate; the state is kept from one call to the next.

    Raises OSError if the library is not installed, ValueError for a ratio beyond 1/256 to 256.
    """

    def __init__(self, ratio: float) -> None:
        library, error = _library(), ctypes.c_int()
        if not library.src_is_valid_ratio(ctypes.c_double(ratio)):
            raise ValueError(f"no rate can be changed {ratio:g} times")
        self._state = library.src_new(SINC_FASTEST, 1, ctypes.byref(error))
        if not self._state:
            raise MemoryError(f"libsamplerate's error {error.value}")
        weakref.finalize(self, library.src_delete, self._state)
        self._process = library.src_process
        self._data = _Data(src_ratio=ratio)

    def process(self, samples: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """All that can be had of these and earlier ones by now."""
        import numpy as np

        taken = np.ascontiguousarray(samples, np.float32)
        out = np.empty(ceil(len(taken) * self._data.src_ratio) + SPARE, np.float32)
        data = self._data
        data.data_in, data.input_frames = taken.ctypes.data, len(taken)
        data.data_out, data.output_frames = out.ctypes.data, len(out)
        if error := self._process(self._state, ctypes.byref(data)):
            raise ValueError(f"libsamplerate's error {error}")
        if data.input_frames_used < len(taken):
            raise ValueError(f"{len(taken) - data.input_frames_used} samples did not fit")
        return out[: data.output_frames_gen]
