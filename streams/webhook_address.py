"""Decide where webhooks may go: https, and no address of an inner network unless its host is allowed by name.

Invariant: pure; every address that a name leads to is judged, and one that is refused refuses the host.
Elsewhere: resolving names and connecting to the address that was judged (`streams.webhook_post`).
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from streams.errors import WebhookInvalid, WebhookRefused

__all__ = ["WebhookTarget", "check_addresses", "read_url"]

_URL_MAX: Final = 2_000
_LABEL_MAX: Final = 63
_PORT: Final = 443
_CARRIERS: Final = tuple(
    IPv6Network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""Networks whose addresses carry an IPv4 address, which may be an inner one: NAT64, 6to4, Teredo."""
_WITHDRAWN: Final = tuple(ip_network(one) for one in ("fec0::/10", "3fff::/20", "192.88.99.0/24"))
"""Site-local, documentation and 6to4 relays: not all versions of `ipaddress` know that these are not public."""


class WebhookTarget(NamedTuple):
    """Where a webhook's messages go."""

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORT else f"{host}:{self.port}"


def read_url(url: str) -> WebhookTarget:
    """Return the target that an URL names; raises WebhookInvalid saying what it lacks (never the URL)."""
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise WebhookInvalid("The webhook's URL is not an URL.") from exc
    if parts.scheme != "https":
        raise WebhookInvalid("A webhook's URL begins with https://.")
    if not parts.hostname or parts.username is not None or parts.password is not None or parts.fragment:
        raise WebhookInvalid("A webhook's URL has a host, and neither a user, a password nor a fragment.")
    if len(url) > _URL_MAX or not url.isascii() or any(one <= " " or one == "\x7f" for one in url):
        raise WebhookInvalid(f"A webhook's URL has at most {_URL_MAX} characters, all printable ASCII.")
    if not all(0 < len(label) <= _LABEL_MAX for label in parts.hostname.removesuffix(".").split(".")):
        raise WebhookInvalid(f"Each label of the host of a webhook's URL has 1 to {_LABEL_MAX} characters.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookTarget(parts.hostname, _PORT if port is None else port, path)


def check_addresses(host: str, addresses: Collection[str], *, allowed_hosts: Collection[str]) -> None:
    """Raise WebhookRefused if one of the addresses of `host` is not on the public internet and it is not allowed by name."""
    if host.lower() in {one.lower() for one in allowed_hosts}:
        return
    if not addresses or not all(_is_public(ip_address(one.partition("%")[0])) for one in addresses):
        raise WebhookRefused(
            "The webhook's host is in a private, local or reserved network; SAMEAS_WEBHOOK_HOSTS_ALLOWED allows hosts."
        )


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if any(address in network for network in _CARRIERS):
            return False
    if any(address in network for network in _WITHDRAWN):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
