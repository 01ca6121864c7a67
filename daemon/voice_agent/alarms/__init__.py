"""Timers and alarms: which are set, when they are due, and how they ring.

* ``clock``: what the clocks show, and when a time of day comes.
* ``entries``: a timer and an alarm as values, and what the file holds.
* ``names``: what they are called, and which of them somebody means.
* ``book``: all that are set, and what becomes of them as clocks turn and jump. Pure.
* ``clockwork``: the book, kept on disk and asked at the present time.
* ``bell``: rings what is due until somebody has heard it.
"""
