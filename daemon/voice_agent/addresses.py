"""Which network addresses and host names are of the public Internet, and which of this place. Pure."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_ZONES = ("localhost", "local", "lan", "home", "internal", "intranet", "home.arpa", "fritz.box")
"""Names below these are given out by the local network (RFC 6761, 6762, 8375, and by custom)."""


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host of a URL is, if it is one and not a name."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to the public Internet, not to this machine or its network."""
    if isinstance(address, IPv6Address) and (inner := _inner(address)):
        return is_public(inner)
    return address.is_global and not address.is_multicast


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address to which an IPv6 address only is a way (RFC 4291, 3056, 6052)."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def names_this_place(host: str) -> bool:
    """Whether a host of a URL says by itself that it is here: an address or a name of the local network."""
    if address := address_of(host):
        return not is_public(address)
    name = host.casefold().rstrip(".")
    return "." not in name or any(name == zone or name.endswith(f".{zone}") for zone in _LOCAL_ZONES)


def split_url(url: str, *schemes: str) -> SplitResult | None:
    """The parts of an absolute address with one of ``schemes``, a host and a sane port; else nothing."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable and not any(each.isspace() for each in url) else None
