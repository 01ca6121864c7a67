"""The doctor: examines a device and says in one line each what it saw and what would cure it.

    command -- course     one by one        -- findings, report
       |- settings        configuration, key
       |- devices         there, free       -- holders, streams
       |- sound           levels, echo      -- streams, levels, loopback, signals, canceller
       |- clock
       |- network         name, connection  -- certificate
       |- provider        a session         -- remedies
       |- machine         disk, memory, optional packages
       '- instance        another daemon

``case`` is what the checks know of the device and tell each other. Those named ``judged_...`` are pure: from
figures to a finding.
"""

from voice_agent.doctor.command import main

__all__ = ["main"]
