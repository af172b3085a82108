"""Where a request really comes from, when a proxy that is trusted stands before us."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_trusted(address: str, proxies: Sequence[Network]) -> bool:
    """Whether the address is one of the proxies."""
    try:
        source = ipaddress.ip_address(address.strip())
    except ValueError:
        return False
    return any(source in proxy for proxy in proxies)


def client_address(*, peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """The peer's address, or behind trusted proxies the nearest address in X-Forwarded-For that is not one of them."""
    address = peer
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    while hops and is_trusted(address, proxies):
        address = hops.pop()
    return address
