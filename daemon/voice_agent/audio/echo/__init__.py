"""Echo: what the microphone hears of our own loudspeaker, and whether somebody speaks over it.

``reference`` (what was played beside what was heard) -> ``canceller`` (takes it away, tells levels)
-> ``meter`` (how well that works) and ``barge`` (whether somebody speaks): together the ``listener``
-> ``guard`` (what becomes of the frame and of the playout).
"""
