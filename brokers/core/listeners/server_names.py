"""The names that a broker's own certificate may carry: those by which devices reach it, and no others."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from brokers.core.values import Listener
from kernel.core.errors import Conflict, Invalid
from pki.core.filling import AskedNames


class NoListeners(Conflict):
    """The broker has no listener, so that nobody knows its names."""

    code = "broker-without-listeners"


class NotItsName(Invalid):
    """The request asks for a name by which nobody reaches the broker."""

    code = "server-name-not-of-broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerNames:
    """DNS names and addresses, each once, in the order of the listeners."""

    dns: tuple[str, ...]
    ip: tuple[str, ...]

    @property
    def first(self) -> str:
        """What the certificate is called."""
        return (*self.dns, *self.ip)[0]


def names_of(listeners: Sequence[Listener]) -> ServerNames:
    """The names of the listeners. Raises NoListeners."""
    hosts = list(dict.fromkeys(listener.host.lower() for listener in listeners))
    if not hosts:
        raise NoListeners("The broker has no listener: register it with those by which devices reach it.")
    return ServerNames(
        dns=tuple(host for host in hosts if not is_address(host)), ip=tuple(host for host in hosts if is_address(host))
    )


def check_asked(asked: AskedNames, names: ServerNames) -> None:
    """Nothing, if the request asks for none but these names, or for none at all. Raises NotItsName."""
    known = {*names.dns, *map(_address, names.ip)}
    wanted = [*(name.lower() for name in asked.dns), *map(_address, asked.ip), *asked.email, *asked.uri]
    for name in wanted:
        if name not in known:
            listed = ", ".join((*names.dns, *names.ip))
            raise NotItsName(
                f"Nobody reaches the broker as {name[:100]!r}: ask for {listed}, or for no name. A broker of other "
                "names is registered anew with listeners of those."
            )


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Whether the certificate is good for the host (RFC 9525 6.3, 6.4): a wildcard stands for one whole first label."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    if is_address(host):
        return ipaddress.ip_address(host) in names.get_values_for_type(x509.IPAddress)
    wanted = host.lower().rstrip(".")
    wider = f"*.{wanted.partition('.')[2]}"
    return any(name.lower() in {wanted, wider} for name in names.get_values_for_type(x509.DNSName))


def is_address(host: str) -> bool:
    """Whether the host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text)) if is_address(text) else text
