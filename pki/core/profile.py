"""What a certificate of a kind contains: a validated value. `certificates.py` builds from it, `lint.py` holds to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.core.profile_parts import (
    CLASSICAL,
    CONSTRAINABLE,
    KEY_USAGES,
    NO_EXPIRY,
    REQUESTABLE,
    Attribute,
    BeyondIssuer,
    ContradictionError,
    Fault,
    KeyFamily,
    NameKind,
    NamePart,
    Policy,
    Requestable,
    SubjectPart,
    Subtree,
)
from pki.core.profile_rules import faults_of, templates_of
from pki.core.templates import placeholders

__all__ = [
    "CLASSICAL", "CONSTRAINABLE", "KEY_USAGES", "NO_EXPIRY", "REQUESTABLE", "Attribute", "BeyondIssuer",
    "ContradictionError", "Fault", "KeyFamily", "NameKind", "NamePart", "Policy", "Profile", "Requestable",
    "SubjectPart", "Subtree",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of certificate. `validity` is how long, or until when; `path_length` is None for no limit.

    Built-in profiles are version 0. `issuer_limits` says what becomes of one that would outlive its issuer.
    """

    name: str
    version: int = 0
    description: str = ""
    validity: timedelta | datetime
    backdate: timedelta = timedelta(minutes=5)
    issuer_limits: BeyondIssuer = BeyondIssuer.CUT
    subject_parts: tuple[SubjectPart, ...] = ()
    alternative_names: tuple[NamePart, ...] = ()
    requestable: tuple[Requestable, ...] = ()
    needs_requested: bool = False
    key_usage: frozenset[str]
    extended_key_usage: tuple[ObjectIdentifier, ...] = ()
    is_ca: bool = False
    path_length: int | None = None
    policies: tuple[Policy, ...] = ()
    permitted_names: tuple[Subtree, ...] = ()
    excluded_names: tuple[Subtree, ...] = ()
    key_families: frozenset[KeyFamily] = CLASSICAL
    rsa_bits: int = 2048
    names_ocsp: bool = True
    names_issuer: bool = True
    names_crl: bool = True
    ocsp_no_check: bool = False

    def __post_init__(self) -> None:
        if faults := (*faults_of(self),):
            raise ContradictionError(self.name, faults)

    def __hash__(self) -> int:
        return hash((self.name, self.version))

    @property
    def variables(self) -> frozenset[str]:
        """What its templates ask for."""
        return frozenset[str]().union(*(placeholders(text) for _, text in templates_of(self)))

    @property
    def may_be_client(self) -> bool:
        """Whether servers may take its certificates for a client's (RFC 5280 4.2.1.12)."""
        clients = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
        return not clients.isdisjoint(self.extended_key_usage)

    @property
    def signs_for_issuer(self) -> bool:
        """Whether its certificates speak for a CA: then nobody gets one by asking for it."""
        return self.is_ca or ExtendedKeyUsageOID.OCSP_SIGNING in self.extended_key_usage
