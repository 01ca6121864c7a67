"""A sound lab without sound hardware: what the demo, ``doctor`` and the audio tests play and speak into.

* ``card``: a virtual sound card as an ALSA plugin inside the process (``virtual_card.c``).
* ``build``: compiles it, once per content.
* ``mouth``: speaks into the card's microphone.
* ``pulse``: a private PulseAudio, for the one question the card cannot answer.
"""
