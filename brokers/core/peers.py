"""At which addresses there is never a broker, whatever name leads there: Gatehouse connects to none of them.

Brokers stand in private networks and on this machine, so those are no reason. These are: what an address does not name
one machine, and what a cloud answers at to each of its machines, credentials among it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from brokers.core.values import Listener
from kernel.core.errors import FieldError

Network = IPv4Network | IPv6Network

_NEVER: Sequence[Network] = [
    ip_network(spelled)
    for spelled in (
        "0.0.0.0/8",  # unspecified: this machine, by another name
        "169.254.0.0/16",  # link-local, with most clouds' metadata
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "100.100.100.200/32",  # Alibaba Cloud's metadata
        "168.63.129.16/32",  # Azure's
        "192.0.0.192/32",  # Oracle Cloud's, of old
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::254/128",  # Amazon's
        "fd20:ce::254/128",  # Google's
    )
]
_NAMES = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.azure.internal",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
    }
)
_TRANSLATED: Sequence[Network] = [
    ip_network("64:ff9b::/96"),  # RFC 6052 2.1
    ip_network("64:ff9b:1::/48"),  # RFC 8215, where most networks of 96 bits stand in it
    ip_network("::ffff:0:0:0/96"),  # RFC 2765
]
"""Whose last 32 bits are an IPv4 address."""
_DETAIL = "There is never a broker: give the broker's own address (GATEHOUSE_BROKER_NETWORKS allows more)."


def is_never_a_broker(address: str, *, allowed: Iterable[Network]) -> bool:
    """Whether the IP address is one of these, as it stands or within an IPv6 address, and in no network of `allowed`.

    A zone, as in fe80::1%eth0, does not matter.
    """
    found = ip_address(address.partition("%")[0])
    spelled = [found, *_within(found)]
    permitted = list(allowed)
    return any(_is_in(each, _NEVER) and not _is_in(each, permitted) for each in spelled)


def host_is_never_a_broker(host: str, *, allowed: Iterable[Network]) -> bool:
    """The same of an address or a name; a name is not looked up."""
    try:
        return is_never_a_broker(host, allowed=allowed)
    except ValueError:
        return host.lower().rstrip(".") in _NAMES


def peer_errors(
    members: Mapping[str, Any], listeners: Sequence[Listener], *, allowed: Sequence[Network]
) -> Iterator[FieldError]:
    """What is wrong with the hosts of listeners and of a connection's members, `api/host` for one within `api`."""
    hosts = {f"/connection/{name}": host for name, host in members.items() if name.rpartition("/")[2] == "host"}
    hosts |= {f"/listeners/{number}/host": each.host for number, each in enumerate(listeners)}
    for pointer, host in hosts.items():
        if isinstance(host, str) and host_is_never_a_broker(host, allowed=allowed):
            yield FieldError(pointer=pointer, code="forbidden-host", detail=_DETAIL)


def _within(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, IPv6Address):
        if _is_in(address, _TRANSLATED):
            yield IPv4Address(int(address) & 0xFFFFFFFF)
        yield from (inner for inner in (address.ipv4_mapped, address.sixtofour) if inner is not None)


def _is_in(address: IPv4Address | IPv6Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
