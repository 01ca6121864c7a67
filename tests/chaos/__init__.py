"""The real daemon meets faults drawn from a seed, and is judged by what the room and the server heard.

    __main__ -> lanes (several worlds side by side) -> one Round a fault -> report

A ``World`` is one daemon process, its virtual sound card, the network (``proxy``, ``resolver``) and the
embedded server with a mind (``mind``) that knows every utterance by its samples. ``kinds`` is the table of
faults. Nothing is judged by the daemon's own account, but for what it says it could not do.
"""
