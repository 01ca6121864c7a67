"""The audio edge: between the event loop and PortAudio's callbacks.

* ``ring``: the one structure both threads touch.
* ``edge``: what every callback promises; ``playout`` and ``microphone`` keep it.
* ``speaker``: the event loop's side of the playout; ``ear``: that of the microphone, with a memory.
* ``gate``: whether somebody speaks, judged here; ``silero``: its second opinion.
* ``portaudio``: the only importer of pyaudio; ``helper`` runs its blocking calls off the loop.
* ``cues``: sounds of the daemon's own.
* ``devices``: keeps both streams open, for ever.
"""
