"""Addresses at which there is never a broker."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from brokers.core.peers import host_is_never_a_broker, is_never_a_broker, peer_errors
from brokers.core.values import Listener


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "2002:a9fe:a9fe::1",  # 6to4 of 169.254.169.254
        "64:ff9b::169.254.169.254",
        "64:ff9b:1:7::169.254.169.254",
        "::ffff:0:169.254.169.254",
    ],
)
def test_nothing_is_connected_to_there(address: str) -> None:
    assert is_never_a_broker(address, allowed=())


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.2.1", "169.253.255.255",
     "169.255.0.0", "fd00::1", "fec0::1", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1"],
)  # fmt: skip
def test_brokers_stand_in_private_networks_and_on_this_machine(address: str) -> None:
    assert not is_never_a_broker(address, allowed=())


def test_a_network_that_is_allowed_is_no_wider_than_itself() -> None:
    allowed = [ip_network("169.254.10.0/24"), ip_network("fe80::/64")]
    assert not is_never_a_broker("169.254.10.7", allowed=allowed)
    assert not is_never_a_broker("::ffff:169.254.10.7", allowed=allowed)
    assert not is_never_a_broker("fe80::7", allowed=allowed)
    assert is_never_a_broker("169.254.169.254", allowed=allowed)
    assert is_never_a_broker("fe80:0:0:1::7", allowed=allowed)


def test_names_of_metadata_are_known_and_no_other_is_looked_up() -> None:
    assert host_is_never_a_broker("Metadata.Google.Internal.", allowed=())
    assert host_is_never_a_broker("169.254.169.254", allowed=())
    for host in ("mq.example", "localhost", "metadata.example", "2852039166", ""):
        assert not host_is_never_a_broker(host, allowed=())


def test_each_wrong_host_is_pointed_at() -> None:
    members = {"host": "10.0.0.1", "api/host": "169.254.169.254", "username": "0.0.0.0", "port": 1}
    listeners = [Listener(host="mq.example", port=1), Listener(host="fe80::1", port=1)]
    found = [error.pointer for error in peer_errors(members, listeners, allowed=())]
    assert found == ["/connection/api/host", "/listeners/1/host"]
