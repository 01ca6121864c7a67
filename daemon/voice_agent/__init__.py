"""voice-agent: a headless realtime voice daemon.

Layout, from the inside out (imports only ever point downwards, see ARCHITECTURE.md):

* ``errors``, ``formats``, ``backoff``: the small vocabulary everybody shares.
* ``realtime``: the wire protocol as values, and what differs between providers as data.
* ``dialogue``: the core. Decides what to say, play, silence, truncate and call; performs no I/O.
* ``session``: one connection; carries events into the core and commands out of it.
* ``audio``: the ring between the event loop and PortAudio's callbacks, and the streams.
* ``tools``: what the model may call on this device.
* ``telemetry``: logs, metrics and the service manager.
* ``agent``: keeps sessions and devices alive.
* ``embedded``: a local server of the same protocol, for trying and testing without a cloud.
* ``lab``, ``demo``: a virtual sound card, and a whole conversation held on it.
* ``cli``: the only place that ends the process.
"""

__version__ = "0.1.0"
