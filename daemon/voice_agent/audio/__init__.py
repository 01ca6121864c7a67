"""The audio edge: between the event loop and PortAudio's callbacks.

* ``ring``: the one structure both threads touch.
* ``edge``: what every callback promises; ``playout`` and ``microphone`` keep it.
* ``speaker``: the event loop's side of the playout; ``ear``: that of the microphone, with a memory.
* ``gate``: whether somebody speaks, judged here; ``silero``: its second opinion.
* ``portaudio``: the only importer of pyaudio; ``names``: which device is meant; ``alsa``: what the kernel
  knows of it; ``rates``: between mono at a session's rate and what a device can do.
* ``cues``: sounds of the daemon's own.
* ``devices``: both streams, open for ever: a ``keeper`` for each over one ``soundsystem``, whose calls a
  ``helper`` runs off the loop; ``states``: how they are.
"""
