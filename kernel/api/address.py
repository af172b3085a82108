"""Where a request comes from: the peer, or what a trusted proxy says of it."""

from __future__ import annotations

import ipaddress
from typing import Protocol

from django.conf import settings

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class _HasMeta(Protocol):
    @property
    def META(self) -> dict[str, object]: ...  # noqa: N802 - Django's name


def peer_address(request: _HasMeta) -> str:
    """The address that the request comes from, or empty. X-Forwarded-For counts from its end, past trusted proxies."""
    peer = _parsed(str(request.META.get("REMOTE_ADDR", "")))
    if peer is None or not _trusted(peer):
        return str(peer or "")
    for hop in reversed(str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")):
        found = _parsed(hop.strip())
        if found is None:
            break
        peer = found
        if not _trusted(found):
            break
    return str(peer)


def _trusted(address: _Address) -> bool:
    return any(address in network for network in settings.GATEHOUSE_TRUSTED_PROXIES)


def _parsed(text: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_trusted_proxy(request: _HasMeta) -> bool:
    """Whether the peer is a proxy whose headers are believed."""
    peer = _parsed(str(request.META.get("REMOTE_ADDR", "")))
    return peer is not None and _trusted(peer)
