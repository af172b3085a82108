"""The authentication chain of a broker that asks over HTTP: whom a CONNECT is about, and what may prove it.

Steps work on what the broker tells, before anybody is looked up: `username` and `client_id`, and fields of their own. A
step that does not fit refuses, unless it is optional; what the broker does not tell refuses in any case. Whoever comes
out has still to be proved. It must not know who the devices are: brokers/services/deciding.py knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import NameOID

from brokers.core.auth_chains.patterns import parse_pattern
from brokers.core.decide.decisions import EVERY_METHOD, Method
from pki.core.values import serial_hex

MOST_CHARACTERS = 256
"""Of a value that a step makes."""
_REFERENCE = re.compile(r"\$\{([a-z0-9_]+)\}")


class StepKind(StrEnum):
    """What a step does to its field.

    set: it becomes a text, in which ${name} is what another field holds; copy: what another field holds; regex: it has
    to match as a whole, and named groups go into fields of their names; certificate: a part of the certificate.
    """

    SET = "set"
    COPY = "copy"
    REGEX = "regex"
    CERTIFICATE = "certificate"


class CertificatePart(StrEnum):
    """What of a client's certificate can be had, if there is exactly one of it. `serial` in lower-case hexadecimal."""

    CN = "cn"
    SAN_URI = "san_uri"
    SAN_DNS = "san_dns"
    O = "o"  # noqa: E741 - so it is called
    OU = "ou"
    SERIAL = "serial"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthStep:
    """One step. `value` is the text, the field to copy, the pattern or the part of the certificate."""

    do: StepKind
    field: str
    value: str
    optional: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields whose values it needs, each once."""
        if self.do is StepKind.SET:
            return tuple(dict.fromkeys(_REFERENCE.findall(self.value)))
        return {StepKind.COPY: (self.value,), StepKind.REGEX: (self.field,)}.get(self.do, ())

    @property
    def writes(self) -> tuple[str, ...]:
        """The fields that it fills."""
        return parse_pattern(self.value).groups if self.do is StepKind.REGEX else (self.field,)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthChain:
    """The steps in their order, and what counts as proof: the first of which something comes along decides alone."""

    steps: tuple[AuthStep, ...] = ()
    methods: tuple[Method, ...] = EVERY_METHOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a broker tells of a client; None where it does not. `common_name` is empty if there is no certificate.

    With `tells_name` it tells the common name each time, and that is the one that counts; else it is the certificate's.
    """

    username: str
    client_id: str | None = None
    common_name: str | None = None
    certificate: bytes | None = field(default=None, repr=False)
    tells_name: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEffect:
    """What became of a step: the values that it gave, or why it did not fit."""

    step: AuthStep
    gave: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """The effects of the steps up to the one that refused, if one did: then `refused` says why."""

    username: str
    client_id: str | None
    effects: tuple[StepEffect, ...] = ()
    refused: str = ""


class _Unfit(Exception):
    """The step does not fit; the message says why."""


class _Untold(_Unfit):
    """The broker does not tell what the step needs: not that there is none."""


def walk(steps: Sequence[AuthStep], told: Told, *, without: Collection[int] = ()) -> Walked:
    """What comes of it; steps of those numbers, from 1, are left out."""
    fields = {"username": told.username} | ({} if told.client_id is None else {"client_id": told.client_id})
    effects: list[StepEffect] = []
    refused = ""
    for number, step in enumerate(steps, 1):
        if number in without:
            continue
        try:
            gave = _APPLIED[step.do](step, fields, told)
            fields |= _within_bounds(gave)
        except _Unfit as fault:
            effects.append(StepEffect(step=step, fault=str(fault)))
            if not step.optional or isinstance(fault, _Untold):
                refused = f"Step {number} of the authentication chain: {fault}"
                break
        else:
            effects.append(StepEffect(step=step, gave=gave))
    return Walked(
        username=fields["username"], client_id=fields.get("client_id"), effects=tuple(effects), refused=refused
    )


def _within_bounds(gave: Mapping[str, str]) -> Mapping[str, str]:
    if any(len(value) > MOST_CHARACTERS for value in gave.values()):
        raise _Unfit(f"what it gives is longer than {MOST_CHARACTERS} characters.")
    return gave


def _value(name: str, fields: Mapping[str, str]) -> str:
    if name in fields:
        return fields[name]
    if name == "client_id":
        raise _Untold("the broker tells no client id.")
    raise _Unfit(f"{name} has no value.")


def _set(step: AuthStep, fields: Mapping[str, str], _told: Told) -> Mapping[str, str]:
    return {step.field: _REFERENCE.sub(lambda found: _value(found[1], fields), step.value)}


def _copy(step: AuthStep, fields: Mapping[str, str], _told: Told) -> Mapping[str, str]:
    return {step.field: _value(step.value, fields)}


def _match(step: AuthStep, fields: Mapping[str, str], _told: Told) -> Mapping[str, str]:
    held = parse_pattern(step.value).match(_value(step.field, fields))
    if held is None:
        raise _Unfit(f"{step.field} does not match.")
    return held


def _read_certificate(step: AuthStep, _fields: Mapping[str, str], told: Told) -> Mapping[str, str]:
    part = CertificatePart(step.value)
    if part is CertificatePart.CN and told.tells_name:
        if told.common_name is None:
            raise _Untold("the broker does not tell the certificate's common name.")
        found = [told.common_name] if told.common_name else []
    else:
        found = list(_parts(told.certificate, part))
    if len(found) != 1:
        raise _Unfit(f"the certificate has {'more than one' if found else 'no'} {part}, or there is none.")
    return {step.field: found[0]}


def _parts(der: bytes | None, part: CertificatePart) -> Iterator[str]:
    if der is None:
        return
    try:
        yield from _PARTS[part](x509.load_der_x509_certificate(der))
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return


def _named(oid: x509.ObjectIdentifier) -> Callable[[x509.Certificate], list[str]]:
    return lambda certificate: [str(each.value) for each in certificate.subject.get_attributes_for_oid(oid)]


def _alternative(
    kind: type[x509.DNSName | x509.UniformResourceIdentifier],
) -> Callable[[x509.Certificate], list[str]]:
    def read(certificate: x509.Certificate) -> list[str]:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(kind)

    return read


_PARTS: Mapping[CertificatePart, Callable[[x509.Certificate], list[str]]] = {
    CertificatePart.CN: _named(NameOID.COMMON_NAME),
    CertificatePart.O: _named(NameOID.ORGANIZATION_NAME),
    CertificatePart.OU: _named(NameOID.ORGANIZATIONAL_UNIT_NAME),
    CertificatePart.SAN_URI: _alternative(x509.UniformResourceIdentifier),
    CertificatePart.SAN_DNS: _alternative(x509.DNSName),
    CertificatePart.SERIAL: lambda certificate: [serial_hex(certificate.serial_number)],
}
_APPLIED: Mapping[StepKind, Callable[[AuthStep, Mapping[str, str], Told], Mapping[str, str]]] = {
    StepKind.SET: _set,
    StepKind.COPY: _copy,
    StepKind.REGEX: _match,
    StepKind.CERTIFICATE: _read_certificate,
}
