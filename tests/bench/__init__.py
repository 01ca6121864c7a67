"""``make bench``: what the daemon costs, as ratios to floors measured beside it in the same minutes.

* ``micro``: the ring and the codec against plain copies and the standard library.
* ``player``: the floors, processes of their own without any logic.
* ``paths``: the daemon and the bare player, each with its virtual card, spoken to in the same way.
* ``rounds``: floor and daemon in turns; ``loudspeaker`` says when something sounded.
* ``report``: the table and ``bench-out/bench.json``.
"""
