"""From the configuration to the door of the metrics: certificate and password, and what is careless."""

import logging
import stat
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

from voice_agent.config.schema import Metrics
from voice_agent.credentials import METRICS_KEY, credential_path, find_password
from voice_agent.errors import ConfigError
from voice_agent.telemetry.access import Door, Lock

log = logging.getLogger(__name__)

OPEN_TO_ALL = "metrics.insecure is set: other machines can see status and figures at {address}, and {what}"


def door_for(wanted: Metrics, on_refusal: Callable[[], None] = lambda: None) -> Door:
    """What clients have to pass. Reads files; raises ConfigError if one of them is of no use."""
    lock = None
    if wanted.user:
        lock = Lock(wanted.user, find_password(wanted.password_file).secret, on_refusal)
    if not wanted.tls_cert_file:
        return Door(lock)
    from voice_agent.telemetry.certificates import Certificate, Files

    client_ca = Path(wanted.tls_client_ca_file) if wanted.tls_client_ca_file else None
    return Door(lock, Certificate(Files(Path(wanted.tls_cert_file), _key_path(wanted), client_ca)))


def examine(wanted: Metrics) -> None:
    """At the start: log what is careless. Raises ConfigError for what people have to mend."""
    door_for(wanted)
    for doubt in carelessness(wanted):
        log.warning(doubt)


def doubts(wanted: Metrics) -> Iterator[str]:
    """For `voice-agent check`, which may run on another machine than the daemon: what is not quite right."""
    if not wanted.enabled:
        return
    yield from carelessness(wanted)
    try:
        door = door_for(wanted)
    except ConfigError as error:
        yield f"as far as can be seen from here, {error}"
    else:
        if door.tls and (doubt := door.tls.doubt):
            yield f"clients will not believe {doubt}"


def carelessness(wanted: Metrics) -> Iterator[str]:
    """What works, and should not be so."""
    if exposure := exposed(wanted):
        yield exposure
    if wanted.tls_cert_file and _is_for_all(_key_path(wanted)):
        yield f"everybody on this machine can read {_key_path(wanted)}; chmod o-r it"
    if wanted.password_file and _is_for_all(Path(wanted.password_file)):
        yield f"everybody on this machine can read {wanted.password_file}; chmod o-r it"


def exposed(wanted: Metrics) -> str:
    """What others can see without having to prove anything or in the clear; empty if nothing."""
    if not wanted.enabled or not wanted.insecure or ip_address(wanted.address).is_loopback:
        return ""
    asks_who = wanted.user or wanted.tls_client_ca_file
    if asks_who and wanted.tls_cert_file:
        return ""
    what = "whoever listens on the way sees the password" if asks_who else "nobody is asked who it is"
    return OPEN_TO_ALL.format(address=wanted.address, what=what)


def _key_path(wanted: Metrics) -> Path:
    return Path(wanted.tls_key_file) if wanted.tls_key_file else credential_path(METRICS_KEY)


def _is_for_all(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
