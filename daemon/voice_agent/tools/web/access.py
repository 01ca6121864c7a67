"""Which servers a web tool may reach: the hosts that the operator named, and the right addresses of theirs.

An address is judged where it is used: the resolver hands the connection nothing that was not judged, so that
a name cannot mean one address when it is looked at and another when it is called. A host that is a bare
address never comes to a resolver: it is one that the operator has named.
"""

import socket
from collections.abc import Iterable

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from voice_agent.addresses import address_of, is_public, names_this_place
from voice_agent.errors import ToolError

HTTPS_PORT = 443


class Forbidden(OSError):
    """A name leads to where this tool may not go; the text says so to the model and the operator."""


class Access:
    """What one tool may reach. ``home``: the origin that it calls; ``allow_hosts``: beside its host.

    A private address is for hosts that the operator named by a private name or address, or for all of them
    with ``allow_private``. Unencrypted HTTP is for the same, or for all with ``insecure``.
    """

    def __init__(self, home: URL, allow_hosts: Iterable[str], *, allow_private: bool, insecure: bool) -> None:
        self._home = home.origin()
        self._hosts = {_host(home), *(_host(URL.build(scheme="http", host=host)) for host in allow_hosts)}
        self._allow_private = allow_private
        self._insecure = insecure

    def check(self, url: URL) -> None:
        """Raises ToolError if this tool may not go there."""
        host = _host(url)
        if host not in self._hosts:
            raise ToolError(f"the server redirects to {host}, which allow_hosts does not name")
        if url.scheme == "http" and not (self._insecure or self.allows_private(host)):
            raise ToolError(f"{host} is asked without encryption, which `insecure` does not allow")

    def check_redirect(self, before: URL, after: URL) -> None:
        """Raises ToolError if an answer from ``before`` may not lead to ``after``."""
        if after.scheme not in ("http", "https") or (before.scheme == "https" and after.scheme != "https"):
            raise ToolError(f"{_host(before)} redirects to an address without encryption")
        self.check(after)
        if after.user or after.password or after.port not in (before.port, HTTPS_PORT):
            raise ToolError(f"{_host(before)} redirects to an odd address")

    def allows_private(self, host: str) -> bool:
        """Whether this host may be one of this machine or its network."""
        return self._allow_private or (host.casefold() in self._hosts and names_this_place(host))

    def keeps_secret(self, url: URL) -> bool:
        """Whether the credential may be sent there: it is for one origin."""
        return url.origin() == self._home


class CheckedResolver(AbstractResolver):
    """Another resolver's answers, as far as ``access`` allows them."""

    def __init__(self, inner: AbstractResolver, access: Access) -> None:
        self._inner = inner
        self._access = access

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of ``host``; Forbidden if there are only such as may not be used."""
        found = await self._inner.resolve(host, port, family)
        if self._access.allows_private(host):
            return found
        public = [each for each in found if (address := address_of(each["host"])) and is_public(address)]
        if found and not public:
            text = f"{host} is an address of the local network, which `allow_private` does not allow"
            raise Forbidden(text)
        return public

    async def close(self) -> None:
        """The other resolver belongs to somebody else."""


def _host(url: URL) -> str:
    return (url.raw_host or "").casefold()
