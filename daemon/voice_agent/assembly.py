"""From the configuration to the values that the parts are made of: the one place that knows both."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from voice_agent.alarms.clockwork import EXCUSES, FILE, Clockwork
from voice_agent.alarms.entries import Kept
from voice_agent.audio.cues import NAMES, RINGS, Cues, Language, language_of
from voice_agent.audio.mixer import Mixer
from voice_agent.budget import Budget
from voice_agent.config import Config
from voice_agent.credentials import Secret, find_named
from voice_agent.dialogue import Memory
from voice_agent.errors import ConfigError
from voice_agent.lifetime import Lifetime
from voice_agent.realtime.events import ToolSpec, TurnDetection
from voice_agent.realtime.providers import PROVIDERS, Place, Provider, SessionSettings, custom, endpoint
from voice_agent.reconnect import Reconnect
from voice_agent.repeats import Repeats
from voice_agent.storage import Store, state_directory
from voice_agent.tools.base import DEVICE, Tool, Toolbox
from voice_agent.tools.clock import clock_tool
from voice_agent.tools.device import Device, Elsewhere, device_tools
from voice_agent.tools.plugins import Context
from voice_agent.tools.timers import timer_tools
from voice_agent.tools.volume import volume_tool
from voice_agent.tools.weather import Home, Units, WeatherService, weather_tool
from voice_agent.wire import Endpoint
from voice_agent.wire.resolver import SYSTEM

if TYPE_CHECKING:
    from voice_agent.tools.mcp.keeper import Keeper

log = logging.getLogger(__name__)
_missing = Repeats(log)

MIB = 1024 * 1024
CONTROL_SOCKET = "control"


def provider_for(config: Config) -> Provider:
    """The profile of the configured kind of server."""
    wanted = config.provider
    if wanted.kind == "custom":
        found = custom(wanted.url, wanted.auth_header, wanted.auth_scheme, yandex=wanted.dialect == "yandex")
    else:
        found = PROVIDERS[wanted.kind].with_bearer() if wanted.auth == "bearer" else PROVIDERS[wanted.kind]
    model = config.session.transcription_model
    return replace(found, transcription_model=model) if model else found


def endpoint_for(config: Config, secret: Secret | None) -> Endpoint:
    """Where to connect, and with which headers."""
    wanted, provider = config.provider, provider_for(config)
    place = Place(wanted.model, wanted.folder, wanted.resource, wanted.deployment)
    headers = {}
    if secret is not None:
        headers[provider.auth_header] = f"{provider.auth_scheme} {secret.reveal()}".strip()
    return Endpoint(
        url=wanted.url or endpoint(provider, place),
        headers=headers,
        max_frame_bytes=wanted.max_message_mib * MIB,
    )


def settings_for(config: Config, tools: tuple[ToolSpec, ...]) -> SessionSettings:
    """What to ask of a session."""
    wanted, provider = config.session, provider_for(config)
    detection = wanted.turn_detection
    return SessionSettings(
        instructions=wanted.instructions,
        voice=wanted.voice,
        role=wanted.role,
        speed=wanted.speed,
        languages=wanted.languages,
        input_rate=wanted.input_rate or provider.input_rate,
        output_rate=wanted.output_rate or provider.output_rate,
        turn_detection=TurnDetection(
            threshold=detection.threshold,
            prefix_padding_ms=detection.prefix_padding_ms,
            silence_duration_ms=detection.silence_duration_ms,
            create_response=detection.create_response,
            interrupt_response=detection.interrupt_response,
        ),
        tools=tools,
        web_search=config.tools.web_search.enabled,
        file_search=config.tools.file_search.vector_store_id,
    )


def toolbox_for(config: Config, device: Device | None = None, clockwork: Clockwork | None = None) -> Toolbox:
    """The tools that the operator has enabled; ``device`` and ``clockwork`` are what they may command."""
    toolbox = Toolbox()
    for source, tools in tools_for(config, device or Elsewhere(), clockwork).items():
        toolbox.put(source, tools, trusted=True)
    return toolbox


def tools_for(config: Config, device: Device, clockwork: Clockwork | None) -> Mapping[str, Sequence[Tool]]:
    """The same by their source."""
    known: tuple[Tool, ...] = (
        weather_for(config),
        clock_tool(),
        *timer_tools(clockwork),
        volume_tool(device),
        *device_tools(device),
    )
    built_in = [tool for tool in known if tool.name in config.tools.enabled]
    return {DEVICE: built_in, "configuration": tuple(declared_tools(config))}


def declared_tools(config: Config) -> Iterator[Tool]:
    """The tools that the operator has declared."""
    for web in config.tools.http:
        if web.enabled:
            from voice_agent.tools.web import web_tool

            yield web_tool(web, SYSTEM)
    for command in config.tools.command:
        if command.enabled:
            from voice_agent.tools.programs import program_tool

            yield program_tool(command)


def tool_servers_for(config: Config, box: Toolbox) -> "tuple[Keeper, ...]":
    """Whoever keeps the configured tool servers connected, and their tools in the box."""
    if not config.tools.mcp:
        return ()
    from voice_agent.tools.mcp.gathering import keepers_for

    return keepers_for(config.tools.mcp, box.put)


def passed_tools_for(config: Config, find: Callable[[str], Secret] = find_named) -> tuple[Raw, ...]:
    """The tools that run at the provider, in its own words; one whose credential is not there is left out."""
    passed = []
    for declaration in config.tools.provider:
        words = {name: value for name, value in declaration.items() if name != "key_from"}
        if name := str(declaration.get("key_from", "")):
            try:
                words["authorization"] = find(name).reveal()
            except ConfigError as error:
                _missing.tell(name, "a tool of the provider is left out", {"reason": str(error)})
                continue
        passed.append(Raw(msgspec.json.encode(words)))
    return tuple(passed)


def plugin_context_for(config: Config) -> Context:
    """What plug-ins may know."""
    return Context(language_for(config), state_directory())


def weather_for(config: Config) -> Tool:
    """The tool that knows the weather, in the language and the units of this device."""
    wanted = config.tools.weather
    service = WeatherService(wanted.geocoding_url, wanted.forecast_url, wanted.timeout_s, SYSTEM)
    american = "en-us" in (tag.lower().replace("_", "-") for tag in config.session.languages)
    units: Units = "imperial" if american else "metric"
    units = units if wanted.units == "auto" else wanted.units
    return weather_tool(service, Home(language_for(config), units, wanted.home.strip()))


def language_for(config: Config) -> Language:
    """What this device speaks."""
    wanted, session = config.cues.language, config.session
    return language_of(session.languages, session.instructions) if wanted == "auto" else wanted


def memory_for(config: Config) -> Memory:
    """What a new session will be told of the ones before it."""
    return Memory(max_turns=config.memory.turns, max_chars=config.memory.chars)


def lifetime_for(config: Config) -> Lifetime:
    """When sessions are renewed and parked."""
    wanted = config.session
    limit_s = provider_for(config).session_max_s if wanted.max_session_s is None else wanted.max_session_s
    return Lifetime(limit_s, wanted.park_after_s)


def clockwork_for(config: Config, state: Path | None) -> Clockwork:
    """Timers and alarms; ``state``: the directory in which they outlive the process."""
    store = Store(state / FILE, Kept, EXCUSES, durable=True) if state else None
    return Clockwork(store, names_in_log=config.log.transcripts)


def cues_for(config: Config) -> Cues:
    """The daemon's own sounds; if there are to be none, still those that people set a timer for."""
    wanted = config.cues
    unasked = () if wanted.enabled else (name for name in NAMES if name not in RINGS)
    return Cues(
        language_for(config),
        quiet=(*wanted.quiet, *unasked),
        folder=Path(wanted.folder) if wanted.folder else None,
    )


def spread_for(config: Config) -> float:
    """Over how many seconds the first connections of a fleet are spread."""
    wanted = config.reconnect.spread_s
    return provider_for(config).spread_s if wanted is None else wanted


def budget_for(config: Config) -> Budget:
    """The day's account; kept across restarts if there is a limit to keep."""
    wanted = config.budget
    is_limited = bool(wanted.audio_minutes or wanted.tokens)
    directory = state_directory() if is_limited else None
    return Budget(audio_minutes=wanted.audio_minutes, tokens=wanted.tokens, directory=directory)


def limit_budget(budget: Budget, config: Config) -> None:
    """Hold the account to other limits; if there are any, it is kept across restarts from now on."""
    wanted = config.budget
    is_limited = bool(wanted.audio_minutes or wanted.tokens)
    directory = state_directory() if is_limited else None
    budget.limit(audio_minutes=wanted.audio_minutes, tokens=wanted.tokens, directory=directory)


def reconnect_for(config: Config) -> Reconnect:
    """How patient to be with the network."""
    return Reconnect(config.reconnect.first_s, config.reconnect.cap_s)


def mixer_for(config: Config) -> Mixer | None:
    """The sound card's control that sets the volume, if there is to be one."""
    wanted = config.audio.output
    return Mixer(wanted.mixer_card, wanted.mixer) if wanted.mixer else None


def unmuting_for(config: Config, control: Path | None) -> str:
    """What opens a microphone that was muted, in words for people; empty if nothing does."""
    if control:
        return "the command voice-agent unmute"
    return "a program of this device: POST /control/unmute" if config.control.http else ""


def control_socket_for(config: Config, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where the controls are served: systemd's RuntimeDirectory=, or by the XDG base directory rules."""
    if config.control.socket != "auto":
        return Path(config.control.socket) if config.control.socket else None
    if given := environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Path(given) / CONTROL_SOCKET
    base = Path(environ.get("XDG_RUNTIME_DIR", ""))
    return base / "voice-agent" / CONTROL_SOCKET if base.is_absolute() else None
