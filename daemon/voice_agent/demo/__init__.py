"""The demo: the real daemon and a local server in conversation, shown, recorded and judged.

With a microphone and a loudspeaker a person talks to it (``live``); without, or on request, a scripted user
talks through a virtual sound card (``virtual``). The server is a process of its own: its models never
disturb the daemon's audio.

    command -+- server     the child process            -.
             |- voices     the user's sentences          |- before
             |- stage      the real Agent, observed      -'
             |- virtual | live  -> Evidence
             |- screen     the timeline while it happens
             |- chronicle  facts -> turns
             |- measure    turns + recording -> milliseconds
             |- expectations, summary, picture: what is left behind
"""

from voice_agent.demo.command import main

__all__ = ["main"]
