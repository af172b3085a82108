"""What a CA revoked before it came here, from its last CRLs (RFC 5280 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from kernel.core.errors import Invalid
from pki.core.values import ReasonCode

_MAX_NUMBER = 1 << 62


class UnfitCrl(Invalid):
    """The CRL can not be continued."""

    code = "crl-unfit-to-continue"


@dataclass(frozen=True, slots=True)
class EarlierEntry:
    """One revoked serial number."""

    serial: int
    revoked_at: datetime
    reason: ReasonCode
    invalidity_date: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRevocations:
    """Everything that was revoked, each serial number once, and the highest crlNumber; 0 without any."""

    number: int
    entries: tuple[EarlierEntry, ...]


def merge_crls(crls: Sequence[x509.CertificateRevocationList], *, issuer: x509.Certificate) -> EarlierRevocations:
    """What the CRLs list together; of two entries for a serial number the newer CRL's counts. Raises UnfitCrl."""
    entries: dict[int, EarlierEntry] = {}
    number = 0
    for crl in sorted(crls, key=lambda each: each.last_update_utc):
        _check(crl, issuer)
        number = max(number, _number(crl))
        entries.update((entry.serial, entry) for entry in _entries(crl))
    return EarlierRevocations(number=number, entries=tuple(entries.values()))


def _check(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> None:
    if crl.issuer != issuer.subject or not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        raise UnfitCrl("The CRL is not signed by this CA: bring the CA's own.")
    for extension in crl.extensions:
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            raise UnfitCrl("This is a delta CRL: bring the full one.")
        if isinstance(extension.value, x509.IssuingDistributionPoint) and _is_partial(extension.value):
            raise UnfitCrl("This CRL covers a part of what the CA signed, or other CAs: bring the full one.")
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            raise UnfitCrl(f"The CRL has a critical extension {extension.oid.dotted_string} that nobody here knows.")


def _is_partial(point: x509.IssuingDistributionPoint) -> bool:
    return bool(
        point.only_contains_user_certs
        or point.only_contains_ca_certs
        or point.only_contains_attribute_certs
        or point.only_some_reasons
        or point.indirect_crl
    )


def _number(crl: x509.CertificateRevocationList) -> int:
    try:
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0
    if not 0 <= number < _MAX_NUMBER:
        raise UnfitCrl("The CRL's number is too large to count on from: have the CA publish one with a smaller number.")
    return number


def _entries(crl: x509.CertificateRevocationList) -> Iterator[EarlierEntry]:
    for revoked in crl:
        if not 0 <= revoked.serial_number < 1 << 160:
            raise UnfitCrl("The CRL has a serial number that is negative or above 20 octets.")
        reason, since = ReasonCode.UNSPECIFIED, None
        for extension in revoked.extensions:
            if isinstance(extension.value, x509.CRLReason):
                reason = ReasonCode(extension.value.reason.value)
            elif isinstance(extension.value, x509.InvalidityDate):
                since = extension.value.invalidity_date_utc
            elif extension.critical:
                raise UnfitCrl("The CRL has an entry of another CA's certificate, or one that nobody here can read.")
        if reason is not ReasonCode.REMOVE_FROM_CRL:
            yield EarlierEntry(revoked.serial_number, revoked.revocation_date_utc, reason, since)
