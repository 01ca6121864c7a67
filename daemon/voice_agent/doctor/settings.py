"""Configuration and key: what an editor has to mend before anything else is worth looking at."""

from collections.abc import Sequence

from voice_agent.config import KEYLESS, Config, InvalidConfig, load, parse
from voice_agent.credentials import THREE_WAYS, find_key
from voice_agent.doctor.case import Case
from voice_agent.doctor.findings import Finding, fail, ok, warn
from voice_agent.errors import ConfigError, Unreadable
from voice_agent.judging import careless
from voice_agent.trust import trusting

NEEDS_CONFIG = ("credentials", "dns", "tls", "handshake")
SHOWN_PROBLEMS = 3


async def config(case: Case) -> Sequence[Finding]:
    """The file is there and sound. What can be used of a bad one is used, to find the other faults too."""
    path = case.config_path
    try:
        case.config = load(path)
    except Unreadable as error:
        return [_unreadable(case, error)]
    except InvalidConfig as error:
        count = len(error.problems)
        case.config = _usable_part(case)
        shown = "; ".join(map(str, error.problems[:SHOWN_PROBLEMS]))
        seen = f"{path} has {count} problem{'s' if count > 1 else ''}: {shown}"
        return [fail("config", seen, f"voice-agent check {path} lists them all", problems=count)]
    try:
        case.trust = case.trust or trusting(case.config.provider.ca_file)
    except ConfigError as error:
        case.blocked |= dict.fromkeys(("tls", "handshake"), "nobody can be believed")
        seen, _, remedy = str(error).partition("; ")
        return [fail("config", seen, remedy)]
    if doubts := list(careless(case.config)):
        return [warn("config", "; ".join(doubts), "provider.ca_file, provider.insecure, the clock")]
    return [ok("config", f"{path} (provider {case.config.provider.kind})")]


def _unreadable(case: Case, error: Unreadable) -> Finding:
    """The devices can be tried with the defaults; where the provider is, nobody knows."""
    case.config = Config()
    case.blocked |= dict.fromkeys(NEEDS_CONFIG, "there is no configuration")
    reason, _, remedy = error.reason.partition("; ")
    return fail("config", f"{error.path} {reason}", f"{remedy}, or name another with --config")


def _usable_part(case: Case) -> Config:
    """Without a sound ``[provider]`` there is nobody to ask."""
    config, problems = parse(case.config_path.read_text("utf-8-sig", errors="replace"))
    if any(problem.path.startswith(("provider", "file")) for problem in problems):
        case.blocked |= dict.fromkeys(
            NEEDS_CONFIG[1:], "the configuration does not say where the provider is"
        )
    return config


async def credentials(case: Case) -> Sequence[Finding]:
    """The key is where it should be, and nobody else can read it. It is never shown."""
    provider = case.settings.provider
    try:
        key = find_key(provider.key_file)
    except ConfigError as error:
        case.blocked["handshake"] = "there is no key"
        return [fail("credentials", f"{error.path}: {error.reason.partition('; ')[0]}", THREE_WAYS)]
    if key is not None:
        case.secret = key.secret
        if key.warning:
            seen, _, remedy = key.warning.partition("; ")
            return [warn("credentials", f"key from {key.source}; {seen}", remedy)]
        return [ok("credentials", f"key from {key.source}")]
    if provider.kind in KEYLESS:
        return [ok("credentials", f"no key, and {provider.kind} servers may live without one")]
    case.blocked["handshake"] = "there is no key"
    return [fail("credentials", f"no key, and {provider.kind} needs one", THREE_WAYS)]
