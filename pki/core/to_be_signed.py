"""The signed part of a certificate, put together by hand: octet for octet what the library's builder makes, faster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from pki.core import der
from pki.core.certificates import Authority, Blank, check_key_family, prepare
from pki.core.filling import Names, alternative_names_of, subject_of
from pki.core.keys import key_identifier
from pki.core.profile import Profile
from pki.core.values import SerialNumber

_VERSION_3 = der.explicit(0, der.integer(2))
_SUBJECT_KEY_ID = der.oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER.dotted_string)
_ALTERNATIVE_NAME = der.oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string)
_CRITICAL = der.tlv(der.BOOLEAN, b"\xff")
_NO_SIGNATURE = der.bit_string(bytes(64))


@dataclass(frozen=True, slots=True)
class Form:
    """Certificates of a profile by an issuer, but for what differs from holder to holder. To be made once for many.

    `algorithm` is the DER of the signatures' AlgorithmIdentifier.
    """

    profile: Profile
    authority: Authority
    algorithm: bytes
    _before: bytes
    _extensions: bytes

    def fill(
        self,
        *,
        names: Names,
        public_key: CertificatePublicKeyTypes,
        serial: SerialNumber,
        not_before: datetime,
        not_after: datetime,
    ) -> bytes:
        """The DER of a TBSCertificate (RFC 5280 4.1). Raises BadName, MissingVariable, KeyNotAccepted."""
        check_key_family(self.profile, public_key)
        subject = subject_of(self.profile, names.variables)
        key_id = der.octet_string(der.octet_string(key_identifier(public_key)))
        extensions = [self._extensions, der.sequence(_SUBJECT_KEY_ID, key_id)]
        if alternatives := alternative_names_of(self.profile, names):
            encoded = der.octet_string(x509.SubjectAlternativeName(alternatives).public_bytes())
            critical = b"" if self.profile.subject_parts else _CRITICAL
            extensions.append(der.sequence(_ALTERNATIVE_NAME, critical, encoded))
        return der.sequence(
            _VERSION_3,
            der.integer(serial),
            self._before,
            der.sequence(der.time(not_before), der.time(not_after)),
            subject.public_bytes(),
            public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            der.explicit(3, der.sequence(*extensions)),
        )

    def unsigned(self, to_be_signed: bytes) -> x509.Certificate:
        """The certificate with a signature of zeros, which nobody believes: for a lint."""
        return x509.load_der_x509_certificate(der.sequence(to_be_signed, self.algorithm, _NO_SIGNATURE))


def make_form(*, profile: Profile, authority: Authority, algorithm: bytes) -> Form:
    """The form of the profile's certificates by this issuer."""
    blank: Blank = prepare(profile=profile, authority=authority)
    constant = [
        der.extension(each.oid.dotted_string, each.value.public_bytes(), critical=each.critical) for each in blank.own
    ]
    return Form(profile, authority, algorithm, algorithm + authority.name.public_bytes(), b"".join(constant))
