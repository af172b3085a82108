"""Issuers, and what is asked around them, as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from kernel.core.clock import to_rfc3339
from pki.conf import issuer_url
from pki.core.issuer_values import CrossCertificate, IssuerRequest, SigningRequest
from pki.core.values import CrlStatus, Custody, Issuer, PublishedCrl, serial_hex


class CrlDocument(serializers.Serializer[Any]):
    """A published CRL. `entries` is how many certificates it lists."""

    number = serializers.IntegerField()
    this_update = serializers.DateTimeField()
    next_update = serializers.DateTimeField()
    entries = serializers.IntegerField()


class IssuerDocument(serializers.Serializer[Any]):
    """An issuer; `crl` is its newest one. `successor` took its place in a rollover."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    state = serializers.CharField()
    parent = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    successor = serializers.CharField(allow_null=True)
    key_algorithm = serializers.CharField(allow_null=True)
    custody = serializers.CharField(allow_null=True)
    crl_shards = serializers.IntegerField()
    serial_number = serializers.CharField()
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    certificate = serializers.CharField()
    chain = serializers.CharField()
    crl_url = serializers.CharField()
    ocsp_url = serializers.CharField()
    crl = CrlDocument(allow_null=True)


class IssuerListDocument(serializers.Serializer[Any]):
    """A page of issuers."""

    results = IssuerDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class CrossCertificateDocument(serializers.Serializer[Any]):
    """Another certificate for an issuer's name and key; `signer` is the slug of one of ours."""

    id = serializers.UUIDField()
    issuer = serializers.CharField()
    signer = serializers.CharField(allow_null=True)
    signer_name = serializers.CharField()
    fingerprint = serializers.CharField()
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    certificate = serializers.CharField()


class CrossCertificateListDocument(serializers.Serializer[Any]):
    """Every cross-certificate of an issuer; they are few."""

    results = CrossCertificateDocument(many=True)


class CrossRequestDocument(serializers.Serializer[Any]):
    """PKCS#10 in PEM for an issuer's own name and key, for a CA elsewhere to sign."""

    request = serializers.CharField()


class IssuerRequestDocument(serializers.Serializer[Any]):
    """A CA to be, whose certificate is yet to come; `request` is PKCS#10 in PEM."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    key_algorithm = serializers.CharField()
    replaces = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    request = serializers.CharField()


class IssuerRequestListDocument(serializers.Serializer[Any]):
    """Every request of an issuer; they are few."""

    results = IssuerRequestDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class SigningRequestDocument(serializers.Serializer[Any]):
    """What an offline issuer has yet to sign."""

    id = serializers.UUIDField()
    issuer = serializers.CharField()
    kind = serializers.CharField()
    purpose = serializers.CharField()
    created_at = serializers.DateTimeField()


class SigningFileDocument(serializers.Serializer[Any]):
    """What an offline issuer has yet to sign; `file` is the text to take to its key."""

    results = SigningRequestDocument(many=True)
    file = serializers.CharField()


class ImportedSignatureDocument(serializers.Serializer[Any]):
    """What became of one signature; `fault` is empty if it is in force."""

    id = serializers.UUIDField()
    purpose = serializers.CharField()
    fault = serializers.CharField(allow_blank=True)


class ImportedSignaturesDocument(serializers.Serializer[Any]):
    """What became of each."""

    results = ImportedSignatureDocument(many=True)


def crl_document(crl: CrlStatus | PublishedCrl) -> dict[str, Any]:
    """The CRL without its octets, which stand at its URL."""
    return {
        "number": crl.number,
        "this_update": to_rfc3339(crl.this_update),
        "next_update": to_rfc3339(crl.next_update),
        "entries": crl.entries,
    }


def issuer_document(
    issuer: Issuer,
    crl: CrlStatus | None,
    *,
    domain_slug: str,
    parent_slug: str | None,
    successor_slug: str | None,
    custody: Custody | None,
) -> dict[str, Any]:
    """The issuer as JSON."""
    return {
        "id": str(issuer.id),
        "domain": domain_slug,
        "slug": issuer.slug,
        "name": issuer.name,
        "kind": issuer.kind.value,
        "state": issuer.state.value,
        "parent": parent_slug,
        "successor": successor_slug,
        "key_algorithm": issuer.key_algorithm.value if issuer.key_algorithm else None,
        "custody": custody.value if custody else None,
        "crl_shards": issuer.crl_shards,
        "serial_number": serial_hex(issuer.serial),
        "not_before": to_rfc3339(issuer.not_before),
        "not_after": to_rfc3339(issuer.not_after),
        "certificate": issuer.certificate_pem,
        "chain": issuer.chain_pem,
        "crl_url": issuer_url(issuer.slug, "crl"),
        "ocsp_url": issuer_url(issuer.slug, "ocsp"),
        "crl": crl_document(crl) if crl else None,
    }


def cross_document(cross: CrossCertificate) -> dict[str, Any]:
    """The cross-certificate as JSON."""
    return {
        "id": str(cross.id),
        "issuer": cross.issuer,
        "signer": cross.signer,
        "signer_name": cross.signer_name,
        "fingerprint": cross.fingerprint,
        "not_before": to_rfc3339(cross.not_before),
        "not_after": to_rfc3339(cross.not_after),
        "certificate": cross.certificate_pem,
    }


def issuer_request_document(waiting: IssuerRequest, *, domain_slug: str) -> dict[str, Any]:
    """The CA to be as JSON."""
    return {
        "id": str(waiting.id),
        "domain": domain_slug,
        "slug": waiting.slug,
        "name": waiting.name,
        "key_algorithm": waiting.key_algorithm.value,
        "replaces": waiting.replaces,
        "created_at": to_rfc3339(waiting.created_at),
        "request": waiting.csr_pem,
    }


def signing_request_document(waiting: SigningRequest) -> dict[str, Any]:
    """The signing request as JSON, without what is to be signed."""
    return {
        "id": str(waiting.id),
        "issuer": waiting.issuer,
        "kind": waiting.kind.value,
        "purpose": waiting.purpose,
        "created_at": to_rfc3339(waiting.created_at),
    }
