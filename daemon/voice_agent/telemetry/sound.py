"""The metrics of the sound: capture, playout, echo, devices."""

from voice_agent.telemetry.row import Row

CANCELLER = ("converging", "good", "diverging", "no echo")

SOUND = (
    Row(
        "capture_seconds_total",
        "counter",
        "Sound that the microphone brought.",
        lambda now: now.capture.captured_s,
    ),
    Row(
        "capture_lost_seconds_total",
        "counter",
        "Captured sound that was meant for a server and never reached one.",
        lambda now: now.capture.lost_s,
    ),
    Row(
        "capture_withheld_seconds_total",
        "counter",
        "Captured sound that was kept from the server on purpose, by reason.",
        lambda now: now.capture.withheld_s,
        ("reason",),
    ),
    Row(
        "microphone_muted",
        "gauge",
        "1 while the microphone is closed because somebody wants it so.",
        lambda now: float(now.capture.muted),
    ),
    Row(
        "capture_resent_seconds_total",
        "counter",
        "Captured sound that was sent again, to a new session.",
        lambda now: now.capture.resent_s,
    ),
    Row(
        "capture_sent_seconds_total",
        "counter",
        "Captured sound that was sent to the server, repeated sound included.",
        lambda now: now.capture.streamed_s,
    ),
    Row(
        "capture_backlog_seconds",
        "gauge",
        "Captured sound that waits to be sent.",
        lambda now: now.capture.backlog_s,
    ),
    Row(
        "capture_delay_seconds",
        "histogram",
        "From the capture of a piece of sound to its being taken for the socket; repeated sound left out.",
        lambda now: now.capture.delays,
    ),
    Row(
        "volume_level",
        "gauge",
        "The volume as people set it: 100 leaves answers as they come.",
        lambda now: float(now.playout.volume),
    ),
    Row(
        "playout_received_seconds_total",
        "counter",
        "Answers' sound that arrived and was to be played.",
        lambda now: now.playout.received_s,
    ),
    Row(
        "playout_seconds_total",
        "counter",
        "Answers' sound given to the loudspeaker.",
        lambda now: now.playout.played_s,
    ),
    Row(
        "playout_flushed_seconds_total",
        "counter",
        "Answers' sound given up because the user spoke.",
        lambda now: now.playout.flushed_s,
    ),
    Row(
        "playout_lost_seconds_total",
        "counter",
        "Answers' sound refused because buffers were full.",
        lambda now: now.playout.lost_s,
    ),
    Row(
        "playout_buffered_seconds",
        "gauge",
        "Sound that is queued and was not heard yet.",
        lambda now: now.playout.buffered_s,
    ),
    Row(
        "playout_latency_seconds",
        "gauge",
        "From being given to the device to being heard, as the device reports it.",
        lambda now: now.playout.latency_s,
    ),
    Row(
        "playout_silencing_seconds",
        "histogram",
        "From the order to fall silent to the last sound given to the device: a flush, when the server hears"
        " the user, or a hold, when the echo guard does.",
        lambda now: now.playout.quiet,
        ("order",),
    ),
    Row(
        "playout_gaps_total",
        "counter",
        "Silences that tore a stretch of speech.",
        lambda now: now.playout.gaps,
    ),
    Row("playout_gap_seconds_total", "counter", "How long they were.", lambda now: now.playout.gap_s),
    Row(
        "playout_lateness_seconds",
        "gauge",
        "Nearly all pieces of answers came too late for their pace by less than this.",
        lambda now: now.playout.lateness_s,
    ),
    Row(
        "playout_hold_seconds",
        "gauge",
        "How long the beginning of an answer is held back for that; 0 if the server is ahead anyway.",
        lambda now: now.playout.hold_s,
    ),
    Row(
        "echo_mode",
        "gauge",
        "1 for what is done about echo now.",
        lambda now: {mode: float(mode == now.echo.mode) for mode in ("aec", "half-duplex", "off")},
        ("mode",),
    ),
    Row(
        "echo_erle_decibels",
        "gauge",
        "How much softer the canceller made the echo lately; absent without one.",
        lambda now: now.echo.erle_db,
    ),
    Row(
        "echo_delay_seconds",
        "gauge",
        "From being played to being heard by the microphone; absent until it is known.",
        lambda now: now.echo.delay_s,
    ),
    Row(
        "echo_canceller_state",
        "gauge",
        "1 for how the canceller is doing; absent without one.",
        lambda now: {
            state: float(state == now.echo.canceller) for state in CANCELLER if now.echo.canceller is not None
        },
        ("state",),
    ),
    Row(
        "echo_suspicions_total",
        "counter",
        "Times that the loudspeaker was turned down because somebody might speak over it.",
        lambda now: now.echo.suspicions,
    ),
    Row(
        "echo_confirmed_total",
        "counter",
        "Times that it was silenced because somebody did.",
        lambda now: now.echo.confirmed,
    ),
    Row(
        "echo_false_alarms_total",
        "counter",
        "Times that the server heard nobody then, and the loudspeaker went on.",
        lambda now: now.echo.false_alarms,
    ),
    Row(
        "echo_half_duplex_seconds_total",
        "counter",
        "Captured sound withheld because the loudspeaker sounded and no canceller could be relied on.",
        lambda now: now.echo.half_duplex_s,
    ),
    Row(
        "device_open",
        "gauge",
        "1 while the sound device is open and calls back.",
        lambda now: {way: float(device.is_open) for way, device in now.devices.items()},
        ("direction",),
    ),
    Row(
        "device_callback_age_seconds",
        "gauge",
        "Since the sound device last called back; absent before it ever did.",
        lambda now: {
            way: device.callback_age_s
            for way, device in now.devices.items()
            if device.callback_age_s is not None
        },
        ("direction",),
    ),
    Row(
        "device_callbacks_total",
        "counter",
        "Blocks of sound that the device brought or asked for.",
        lambda now: {way: device.callbacks for way, device in now.devices.items()},
        ("direction",),
    ),
    Row(
        "device_callback_errors_total",
        "counter",
        "Audio callbacks that failed and gave silence.",
        lambda now: {way: device.callback_errors for way, device in now.devices.items()},
        ("direction",),
    ),
    Row(
        "device_xruns_total",
        "counter",
        "Overflows of the microphone and underflows of the loudspeaker, as PortAudio reports them.",
        lambda now: {way: device.xruns for way, device in now.devices.items()},
        ("direction",),
    ),
    Row(
        "device_rate_hertz",
        "gauge",
        "The rate at which the sound device runs; absent while it is not open.",
        lambda now: {way: device.rate for way, device in now.devices.items() if device.rate is not None},
        ("direction",),
    ),
    Row(
        "device_resampled",
        "gauge",
        "1 while that is not the session's rate, and sound is converted.",
        lambda now: {way: float(device.resampled) for way, device in now.devices.items()},
        ("direction",),
    ),
    Row("device_openings_total", "counter", "Streams that were opened.", lambda now: now.device_openings),
    Row(
        "device_restarts_total",
        "counter",
        "Streams that were closed after they had been open: they stopped calling back, brought nothing but"
        " one value (flat), were lent for a look at new devices (renewed), or somebody asked for it.",
        lambda now: {
            (way, reason): count
            for way, device in now.devices.items()
            for reason, count in device.restarts.items()
        },
        ("direction", "reason"),
    ),
    Row(
        "device_calls_abandoned_total",
        "counter",
        "Calls into the sound system that hung and were left behind.",
        lambda now: now.device_calls_abandoned,
    ),
)
