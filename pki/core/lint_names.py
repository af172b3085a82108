"""Rules for a certificate's names: subject, alternative names, and what its issuer may name (RFC 5280 4.2.1.10)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pki.core.lint_findings import LintFinding, error, notice, warning
from pki.core.names import ATTRIBUTES, MAKERS, BadName, subject_attribute
from pki.core.profile import NameKind

_BY_OID = {rule.oid: (attribute, rule) for attribute, rule in ATTRIBUTES.items()}
_KINDS: dict[type[x509.GeneralName], NameKind] = {
    x509.DNSName: NameKind.DNS,
    x509.RFC822Name: NameKind.EMAIL,
    x509.UniformResourceIdentifier: NameKind.URI,
}
_ONCE = {NameOID.COMMON_NAME, NameOID.COUNTRY_NAME, NameOID.SERIAL_NUMBER}


def subject_findings(subject: x509.Name) -> Iterator[LintFinding]:
    """What is wrong with a subject's attributes; whether it may be empty is not asked here."""
    seen = [attribute.oid for attribute in subject]
    for oid in sorted({oid for oid in seen if oid in _ONCE and seen.count(oid) > 1}, key=str):
        yield error("subject-repeated", "RFC 5280 4.1.2.6", f"its subject has several attributes {oid.dotted_string}")
    for attribute in subject:
        known = _BY_OID.get(attribute.oid)
        if known is None:
            yield warning(
                "subject-unusual", "RFC 5280 4.1.2.4", f"its subject has the attribute {attribute.oid.dotted_string}"
            )
            continue
        try:
            subject_attribute(known[0], str(attribute.value))
        except BadName as fault:
            yield error("subject-attribute", "RFC 5280 A.1", f"its subject is no subject: {fault.detail.rstrip('.')}")


def alternative_findings(
    names: x509.SubjectAlternativeName | None, *, critical: bool, subject: x509.Name, usages: Sequence[object]
) -> Iterator[LintFinding]:
    """What is wrong with the alternative names, or with there being none."""
    if names is None:
        if not [*subject]:
            yield error("subject-empty", "RFC 5280 4.1.2.6", "it names nobody, in neither place")
        return
    if critical == bool([*subject]):
        yield error(
            "san-criticality",
            "RFC 5280 4.2.1.6",
            "its alternative names are critical if, and only if, its subject is empty",
        )
    every = [*names]
    if not every or len(set(every)) < len(every):
        yield error("san-repeated", "RFC 5280 4.2.1.6", "its alternative names are none, or one stands twice")
    for name in every:
        yield from _name_findings(name)
    hosts = [name for name in every if isinstance(name, x509.DNSName | x509.IPAddress)]
    if ExtendedKeyUsageOID.SERVER_AUTH in usages and not hosts:
        yield warning("server-unnamed", "RFC 9525 6.1", "it is a server's, and names no host that a client could check")


def _name_findings(name: x509.GeneralName) -> Iterator[LintFinding]:
    kind = _KINDS.get(type(name))
    if kind is None:
        return
    try:
        if MAKERS[kind](name.value).value != name.value:
            yield notice("san-case", "RFC 5280 4.2.1.6", f"the host in {name.value!r} is not in lower case")
    except BadName as fault:
        yield error("san-syntax", "RFC 5280 4.2.1.6", f"an alternative name is none: {fault.detail.rstrip('.')}")
        return
    if kind is NameKind.URI and name.value.lower().startswith(("http:", "https:")) and not _host_of(name.value):
        yield error("san-uri-host", "RFC 5280 4.2.1.6", f"the URI {name.value!r} names no host")


def constraint_findings(
    constraints: x509.NameConstraints, *, subject: x509.Name, names: x509.SubjectAlternativeName | None
) -> Iterator[LintFinding]:
    """Which names the name constraints of a CA above do not let stand."""
    every: list[x509.GeneralName] = [*names] if names else []
    if [*subject]:
        every.append(x509.DirectoryName(subject))
    for name in every:
        if not _is_allowed(name, constraints):
            yield error(
                "name-constraint",
                "RFC 5280 4.2.1.10",
                f"its issuer may not name {_shown(name)}",
            )


def _is_allowed(name: x509.GeneralName, constraints: x509.NameConstraints) -> bool:
    within = _WITHIN.get(type(name))
    if within is None:
        return True
    excluded = [base for base in constraints.excluded_subtrees or () if type(base) is type(name)]
    permitted = [base for base in constraints.permitted_subtrees or () if type(base) is type(name)]
    if isinstance(name, x509.UniformResourceIdentifier) and (excluded or permitted) and not _domain_of(name.value):
        return False  # whoever verifies must refuse what has no host to compare, such as a URN
    if any(within(name.value, base.value) or _is_wildcard_over(name, base) for base in excluded):
        return False
    return not permitted or any(within(name.value, base.value) for base in permitted)


def _is_wildcard_over(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    """Whether the name is good for the base too: its asterisk stands for one label (RFC 9525 6.3)."""
    return isinstance(name, x509.DNSName) and name.value.lower() == "*." + base.value.lower().partition(".")[2]


def _host_within(host: str, base: str) -> bool:
    host, base = host.lower().removeprefix("*."), base.lower()
    return base in {"", host} or host.endswith("." + base.removeprefix("."))


def _mailbox_within(mailbox: str, base: str) -> bool:
    if "@" in base:
        return mailbox == base
    return _named_host_within(mailbox.rpartition("@")[2], base)


def _uri_within(uri: str, base: str) -> bool:
    host = _domain_of(uri)
    return bool(host) and _named_host_within(host, base)


def _host_of(uri: str) -> str:
    """The host that a URI names; nothing if it names none, or can not be read."""
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        return ""


def _domain_of(uri: str) -> str:
    """The host that a URI names by a domain name, and not by an address."""
    host = _host_of(uri)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""


def _named_host_within(host: str, base: str) -> bool:
    """A host alone means that host; with a dot before it, what is below it (4.2.1.10)."""
    host, base = host.lower(), base.lower()
    return host.endswith(base) if base.startswith(".") else host == base


def _address_within(address: object, base: object) -> bool:
    return isinstance(base, ipaddress.IPv4Network | ipaddress.IPv6Network) and address in base


def _directory_within(name: x509.Name, base: x509.Name) -> bool:
    return name.rdns[: len(base.rdns)] == base.rdns


_WITHIN: dict[type[x509.GeneralName], Callable[..., bool]] = {
    x509.DNSName: _host_within,
    x509.RFC822Name: _mailbox_within,
    x509.UniformResourceIdentifier: _uri_within,
    x509.IPAddress: _address_within,
    x509.DirectoryName: _directory_within,
}


def _shown(name: x509.GeneralName) -> str:
    return name.value.rfc4514_string() if isinstance(name, x509.DirectoryName) else str(name.value)
