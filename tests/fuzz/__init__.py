"""Nonsense for whatever reads foreign bytes: none of it may end in an exception that nobody expects.

* ``targets``: who is fed, and what must hold whatever comes.
* ``seeds``: sense, to begin with.
* ``mutation``: from sense to nonsense.
* ``found``: inputs that once did harm; ``test_fuzz`` tries them all again, and a few thousand new ones.

``make fuzz`` goes on for as long as it is told to, guided by coverage where atheris is installed.
"""
