"""The socket of the realtime session: one WebSocket connection, text frames in and out.

* ``connection``: opens, tunes and closes it; sends and receives.
* ``failures``: what can go wrong, in the words of our error tree.
* ``resolver``: names to addresses, when name servers are slow, silent or gone.
* ``witness``: what aiohttp knows of a connection and does not tell.
"""

from voice_agent.wire.connection import Endpoint, Socket, connect

__all__ = ["Endpoint", "Socket", "connect"]
