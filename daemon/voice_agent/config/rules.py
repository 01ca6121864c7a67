"""The rules that no single setting can state: no secrets anywhere, and settings that must fit together."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import parse_qsl

from voice_agent.addresses import split_url
from voice_agent.config.declarations import tool_clashes
from voice_agent.config.declared import HttpTool, McpServer
from voice_agent.config.schema import Config, Kind, Metrics, Provider
from voice_agent.config.servers import server_clashes
from voice_agent.config.shapes import join
from voice_agent.config.tables import Problem
from voice_agent.credentials import NAMED_WAYS, THREE_WAYS, looks_secret, names_a_secret

_ONLY_FOR: dict[str, tuple[Kind, ...]] = {
    "folder": ("yandex",),
    "resource": ("azure",),
    "deployment": ("azure",),
    "auth": ("yandex", "azure"),
    "auth_header": ("custom",),
    "auth_scheme": ("custom",),
    "dialect": ("custom",),
    "model": ("yandex", "openai", "local"),
}
_REQUIRED: dict[Kind, tuple[str, ...]] = {
    "yandex": ("folder",),
    "azure": ("resource", "deployment"),
    "custom": ("url",),
    "openai": (),
    "local": (),
}
_PAID: tuple[Kind, ...] = ("yandex", "openai", "azure")
_LEAST_S = {
    "park_after_s": 5.0,  # people think longer than that before they answer
    "max_session_s": 60.0,  # session creations are metered and limited
}
_DEAD_HOST = "rest-assistant.api.cloud.yandex.net"  # switched off by Yandex on 2026-05-12
_LIVE_HOST = "ai.api.cloud.yandex.net"


def leaks(value: object, path: str = "") -> Iterator[Problem]:
    """Secrets, by the name of a setting or by the looks of its value; the value is never repeated."""
    match value:
        case dict():
            for key, below in value.items():
                here = join(path, key)
                if names_a_secret(key) and not isinstance(below, dict):  # a JSON Schema may describe a key
                    yield _leak(here)
                else:
                    yield from leaks(below, here)
        case [dict(), *_]:
            for index, row in enumerate(value):
                yield from leaks(row, f"{path}[{index}]")
        case list():
            if any(True for each in value for _ in leaks(each, path)):
                yield _leak(path)
        case str() if looks_secret(value):
            yield _leak(path)


def _leak(path: str) -> Problem:
    instead = NAMED_WAYS if path.startswith("tools.") else THREE_WAYS
    return Problem(path, "holds a secret, which must not stand in this file", f"delete it and {instead}")


def clashes(config: Config, reported: set[str]) -> Iterator[Problem]:
    """Settings that are sound alone but not together."""
    if "provider.kind" not in reported:
        yield from _kind_clashes(config.provider)
        yield from _session_clashes(config)
    if config.provider.url:
        yield from _url_problems(config.provider.url, insecure=config.provider.insecure)
    for name in ("key_file", "ca_file"):
        if (path := getattr(config.provider, name)) and not path.startswith("/"):
            yield Problem(f"provider.{name}", "is not an absolute path", "begin it with /")
    if config.cues.folder and not config.cues.folder.startswith("/"):
        yield Problem("cues.folder", "is not an absolute path", "begin it with /")
    yield from _control_clashes(config)
    for name in ("geocoding_url", "forecast_url"):
        if split_url(getattr(config.tools.weather, name), "http", "https") is None:
            yield Problem(f"tools.weather.{name}", "is not a web address", "write https://host/path")
    yield from server_clashes(config.tools.mcp, reported)
    yield from tool_clashes(config.tools, reported)
    if config.reconnect.first_s > config.reconnect.cap_s:
        yield Problem("reconnect.first_s", "is above reconnect.cap_s", "make it smaller")
    yield from _metrics_clashes(config.metrics)


def _metrics_clashes(metrics: Metrics) -> Iterator[Problem]:
    for name in ("tls_cert_file", "tls_key_file", "tls_client_ca_file", "password_file"):
        value = getattr(metrics, name)
        if value and not value.startswith("/"):
            yield Problem(f"metrics.{name}", "is not an absolute path", "begin it with /")
        if value and name.startswith("tls_") and not metrics.tls_cert_file:
            yield Problem(f"metrics.{name}", "means nothing without a certificate", "set tls_cert_file")
    if (path := metrics.textfile) and not (path.startswith("/") and path.endswith(".prom")):
        yield Problem("metrics.textfile", "is not the absolute path of a *.prom file", "others are not read")
    if metrics.password_file and not metrics.user:
        yield Problem("metrics.password_file", "is nobody's", 'add user = "..."')
    address = _address(metrics.address)
    if address is None:
        yield Problem("metrics.address", "is not an IP address", "write 127.0.0.1, or 0.0.0.0 for everybody")
    elif not address.is_loopback and not metrics.insecure:
        asks_who = metrics.user or metrics.tls_client_ca_file
        wanted = {"tls_cert_file": metrics.tls_cert_file, "user or tls_client_ca_file": asks_who}
        if missing := " and ".join(name for name, value in wanted.items() if not value):
            remedy = f"set {missing} (docs/serving.md), write 127.0.0.1, or set insecure = true"
            yield Problem("metrics.address", "would be open to other machines without protection", remedy)


def _control_clashes(config: Config) -> Iterator[Problem]:
    paths = {"control.socket": config.control.socket, "button.device": config.button.device}
    for path, value in paths.items():
        if value not in ("", "auto") and not value.startswith("/"):
            yield Problem(path, "is not an absolute path", "begin it with /")
    if config.control.http and not config.metrics.enabled:
        yield Problem("control.http", "has no port while metrics are off", "set metrics.enabled = true")


def _kind_clashes(provider: Provider) -> Iterator[Problem]:
    kind, default = provider.kind, Provider()
    for name, kinds in _ONLY_FOR.items():
        if kind not in kinds and getattr(provider, name) != getattr(default, name):
            allowed = " or ".join(f'"{each}"' for each in kinds)
            yield Problem(
                f"provider.{name}", f'means nothing to kind "{kind}"', f"delete it, or set kind to {allowed}"
            )
    for name in _REQUIRED[kind]:
        if not getattr(provider, name) and not provider.url:
            yield Problem(
                f"provider.{name}", f'is missing, and kind "{kind}" needs it', f'add {name} = "..."'
            )


def _session_clashes(config: Config) -> Iterator[Problem]:
    provider, session = config.provider, config.session
    yandex = provider.kind == "yandex" or provider.dialect == "yandex"
    fixed_rate = provider.kind in ("openai", "azure")
    for name in ("input_rate", "output_rate"):
        if fixed_rate and getattr(session, name) not in (None, 24000):
            yield Problem(
                f"session.{name}", f'is not offered by "{provider.kind}"', "set it to 24000 or delete it"
            )
    if fixed_rate and session.speed is not None and not 0.25 <= session.speed <= 1.5:
        yield Problem("session.speed", f'is not offered by "{provider.kind}"', "set it to 0.25 ... 1.5")
    for name, least_s in _LEAST_S.items():
        wanted_s = getattr(session, name)
        if provider.kind in _PAID and wanted_s and wanted_s < least_s:
            remedy = f"set it to {least_s:g} or more, or to 0"
            yield Problem(f"session.{name}", "would open sessions all the time", remedy)
    only_yandex = {
        "session.role": session.role,
        "tools.web_search.enabled": config.tools.web_search.enabled,
        "tools.file_search.vector_store_id": config.tools.file_search.vector_store_id,
    }
    for path, value in only_yandex.items():
        if value and not yandex:
            yield Problem(path, f'means nothing to kind "{provider.kind}"', "delete it: it is Yandex's")


def _url_problems(url: str, *, insecure: bool) -> Iterator[Problem]:
    path = "provider.url"
    parts = split_url(url, "ws", "wss")
    if parts is None:
        yield Problem(path, "is not a WebSocket address", "write wss://host/path")
        return
    host = parts.hostname or ""
    if parts.password or any(names_a_secret(name) for name, _ in parse_qsl(parts.query)):
        yield _leak(path)
    if host == _DEAD_HOST:
        remedy = f"use {_LIVE_HOST}, or delete url: folder and model are enough"
        yield Problem(path, f"names {_DEAD_HOST}, which Yandex switched off in May 2026", remedy)
    if parts.scheme == "ws" and not insecure and not is_loopback(host):
        remedy = "use wss://, or set provider.insecure = true"
        yield Problem(path, f"would send key and speech to {host} in the clear", remedy)


def exposed(config: Config) -> Iterator[str]:
    """What goes over the network in the clear, as the operator allows it: one sentence for each."""
    if host := _overheard(config.provider.url):
        yield f"key and speech go to {host} in the clear, as provider.insecure allows"
    tools: tuple[HttpTool | McpServer, ...] = (*config.tools.http, *config.tools.mcp)
    for tool in tools:
        if tool.enabled and tool.key_from and (host := _overheard(tool.url)):
            yield f"the credential {tool.key_from} of {tool.name} goes to {host} in the clear"


def _overheard(url: str) -> str:
    """The host that is reached without encryption; empty if it is this machine, or none is."""
    parts = split_url(url, "ws", "http")
    host = (parts.hostname or "") if parts else ""
    return "" if is_loopback(host) else host


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine."""
    address = _address(host)
    return (address is not None and address.is_loopback) or host == "localhost" or host.endswith(".localhost")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
