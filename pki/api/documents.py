"""Certificates as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from kernel.api.documents import StrictDocument
from kernel.core.clock import to_rfc3339
from pki.core.values import IssuedCertificate, ReasonCode

_FOR_GOOD = [each.value for each in ReasonCode if each.number not in {6, 8}]  # not hold, not removeFromCRL


class NothingDocument(StrictDocument):
    """There is nothing to say."""


class CertificateNoteDocument(StrictDocument):
    """Why something is done."""

    note = serializers.CharField(max_length=2_000, allow_blank=True, default="")


class RevocationDocument(CertificateNoteDocument):
    """Why a certificate is revoked: a reason of RFC 5280 5.3.1.

    `invalidity_date`: since when its key is known or feared to be in other hands (5.3.2).
    """

    reason = serializers.ChoiceField(choices=_FOR_GOOD, default=ReasonCode.UNSPECIFIED.value)
    invalidity_date = serializers.DateTimeField(default=None, allow_null=True)


class CertificateDocument(serializers.Serializer[Any]):
    """A certificate; `certificate` and `chain` are PEM, the chain without the root."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    issuer = serializers.CharField()
    serial_number = serializers.CharField()
    holder = serializers.CharField()
    profile = serializers.CharField()
    state = serializers.CharField()
    subject = serializers.CharField()
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    fingerprint = serializers.CharField()
    public_key_sha256 = serializers.CharField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    invalidity_date = serializers.DateTimeField(allow_null=True)
    certificate = serializers.CharField()
    chain = serializers.CharField()


class ChangedCertificateDocument(CertificateDocument):
    """The certificate as it is now, and the operation that tells the world: see /api/v1/operations/<id>/."""

    operation = serializers.UUIDField()


class CertificateListDocument(serializers.Serializer[Any]):
    """A page of certificates."""

    results = CertificateDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


def certificate_document(certificate: IssuedCertificate, *, domain_slug: str) -> dict[str, Any]:
    """The certificate as JSON."""
    return {
        "id": str(certificate.id),
        "domain": domain_slug,
        "issuer": certificate.issuer_slug,
        "serial_number": certificate.serial_hex,
        "holder": certificate.holder,
        "profile": certificate.profile,
        "state": certificate.state.value,
        "subject": certificate.subject,
        "not_before": to_rfc3339(certificate.not_before),
        "not_after": to_rfc3339(certificate.not_after),
        "fingerprint": certificate.fingerprint,
        "public_key_sha256": certificate.public_key_sha256,
        "revoked_at": to_rfc3339(certificate.revoked_at) if certificate.revoked_at else None,
        "reason": certificate.reason.value if certificate.reason else None,
        "invalidity_date": to_rfc3339(certificate.invalidity_date) if certificate.invalidity_date else None,
        "certificate": certificate.pem,
        "chain": certificate.chain_pem,
    }
