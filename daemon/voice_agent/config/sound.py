"""Settings of what is heard and played: devices, echo, gate, cues."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

CueName = Literal[
    "ready",
    "listening",
    "thinking",
    "lost",
    "back",
    "loudspeaker_back",
    "muted",
    "unmuted",
    "timer",
    "alarm",
    "offline",
    "trouble",
    "refused",
    "allowance",
    "no_answer",
    "no_microphone",
    "microphone_back",
]


class AudioInput(Struct, frozen=True):
    """The microphone. `voice-agent devices` lists names."""

    device: Annotated[
        str,
        Meta(
            min_length=1,
            description='"default", a name or an unambiguous part of one, an ALSA id as hw:CARD=Device,DEV=0,'
            " or a USB socket as usb:1-1.4; never a number",
        ),
    ] = "default"
    channel: Annotated[
        int,
        Meta(ge=0, le=8, description="The only channel that is heard, counted from 1; 0: the mean of all"),
    ] = 0
    flat_after_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="A microphone that brings but one value for so long is taken for muted or broken,"
            " in seconds; 0: never",
        ),
    ] = 1.5
    buffer_s: Annotated[
        float, Meta(ge=1, le=60, description="Audio kept while no server can take it, in seconds")
    ] = 10.0


class AudioOutput(Struct, frozen=True):
    """The loudspeaker."""

    device: Annotated[str, Meta(min_length=1, description="As for the microphone")] = "default"
    block_ms: Annotated[
        int,
        Meta(ge=5, le=100, description="What one playback callback asks for, in ms; silence takes one block"),
    ] = 10
    buffer_s: Annotated[
        float,
        Meta(
            ge=5, le=900, description="Longest answer buffered for the sound card, in seconds (5.8 MB = 120)"
        ),
    ] = 120.0
    fade_ms: Annotated[
        float, Meta(ge=0, le=50, description="Fade-out of an interrupted answer, in ms; 0: a hard cut")
    ] = 5.0
    latency_ms: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=2000,
                examples=[40.0],
                description="From callback to ear, in ms; not set: what the sound system says",
            ),
        ]
        | None
    ) = None
    volume: Annotated[
        int,
        Meta(
            ge=0,
            le=130,
            description="Volume until somebody changes it: 100 leaves answers as they come, below that every"
            " step is half a decibel, 0 is silence; above 100: louder, with soft limiting",
        ),
    ] = 100
    mixer: Annotated[
        str,
        Meta(
            description="ALSA mixer control that sets the volume instead, as `amixer scontrols` names it,"
            ' e.g. "PCM"; empty: none'
        ),
    ] = ""
    mixer_card: Annotated[
        str, Meta(min_length=1, description='Card of that control, as for `amixer -D`, e.g. "hw:Device"')
    ] = "default"


class Audio(Struct, frozen=True):
    """Sound devices."""

    echo: Annotated[
        Literal["auto", "aec", "half-duplex", "off"],
        Meta(
            description="Against a loudspeaker near the microphone. aec: its echo is cancelled (extra `aec`);"
            " half-duplex: nobody is heard while it sounds; auto: aec while that does well, else half-duplex;"
            " off: for headphones, and for speakerphones that cancel echo themselves"
        ),
    ] = "auto"
    half_duplex_guard_ms: Annotated[
        float,
        Meta(
            ge=0,
            le=5000,
            description="How long half-duplex stays deaf after the loudspeaker's last sound, in ms",
        ),
    ] = 500.0
    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class Gate(Struct, frozen=True):
    """Which captured sound goes to the server, while there is a session."""

    mode: Annotated[
        Literal["always", "voice", "push-to-talk"],
        Meta(
            description="always: all of it, and the server hears who speaks; voice: what a voice gate on this"
            " device takes for speech; push-to-talk: what is said while a button is pressed"
        ),
    ] = "always"
    pre_roll_ms: Annotated[
        int, Meta(ge=500, le=2000, description="Sound from before a voice that is sent with it, in ms")
    ] = 500
    trailing_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="Sound that is sent after a voice has ended, in ms; never less than"
            " session.turn_detection.silence_duration_ms + 500",
        ),
    ] = 1000
    talk_s: Annotated[
        float, Meta(ge=1, le=600, description="A press of the button ends by itself after this time, in s")
    ] = 30.0


class Cues(Struct, frozen=True):
    """Short sounds and phrases of the daemon's own, which say why nothing happens."""

    enabled: Annotated[bool, Meta(description="Whether there are any")] = True
    language: Annotated[
        Literal["auto", "ru", "en"],
        Meta(description="Their language; auto: that of session.languages, or of the instructions"),
    ] = "auto"
    quiet: Annotated[tuple[CueName, ...], Meta(description="Names of those that are not to sound")] = ()
    folder: Annotated[
        str,
        Meta(
            description="Absolute path of a folder with sounds to play instead: NAME.wav or"
            " LANGUAGE-NAME.wav, PCM16, mono or stereo, 8 to 48 kHz, at most 10 s; empty: none"
        ),
    ] = ""
