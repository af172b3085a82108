"""Issuers, and what is asked around them, as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from kernel.api.documents import StrictDocument
from kernel.core.clock import to_rfc3339
from pki.conf import issuer_url
from pki.core.issuer_values import CrossCertificate, IssuerRequest, SigningRequest
from pki.core.values import CrlStatus, Custody, Issuer, KeyAlgorithm, PublishedCrl, ReasonCode, serial_hex

_FOR_GOOD = [each.value for each in ReasonCode if each.number not in {6, 8}]  # not hold, not removeFromCRL
_PEM = 262_144


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


class _KeyDocument(StrictDocument):
    """What every new issuer of ours is told."""

    slug = serializers.CharField(max_length=50)
    domain = serializers.CharField(max_length=64, required=False)
    custody = serializers.ChoiceField(choices=[each.value for each in Custody], default=Custody.ENCRYPTED.value)
    crl_shards = serializers.IntegerField(min_value=0, max_value=1024, default=0)


class _NamedDocument(_KeyDocument):
    name = serializers.CharField(max_length=64)
    key_algorithm = serializers.ChoiceField(
        choices=[each.value for each in KeyAlgorithm], default=KeyAlgorithm.ECDSA_P256.value
    )


class NewIssuerDocument(_NamedDocument):
    """A new issuer: a root, or a CA below `parent`. `validity_days` and `path_length` may be left out."""

    parent = serializers.CharField(max_length=63, required=False)  # type: ignore[assignment]
    validity_days = serializers.IntegerField(min_value=1, max_value=9_132, required=False)
    path_length = serializers.IntegerField(min_value=0, max_value=9, default=0)


class NewRequestDocument(_NamedDocument):
    """A CA to be that one elsewhere certifies; `replaces` is the issuer that it succeeds."""

    organization = serializers.CharField(max_length=64, default="", allow_blank=True)
    organizational_unit = serializers.CharField(max_length=64, default="", allow_blank=True)
    path_length = serializers.IntegerField(min_value=0, max_value=9, default=0)
    replaces = serializers.CharField(max_length=63, required=False)


class ImportedIssuerDocument(_KeyDocument):
    """A CA of elsewhere. Either `pkcs12` in base64, or `certificate` and `key` in PEM; without a key it is offline.

    `chain` is the CAs above it, `crl` its last CRLs: what they list stays revoked.
    """

    certificate = serializers.CharField(max_length=_PEM, default="", allow_blank=True)
    chain = serializers.CharField(max_length=_PEM, default="", allow_blank=True)
    key = serializers.CharField(max_length=_PEM, default="", allow_blank=True, write_only=True)
    pkcs12 = serializers.CharField(max_length=2 * _PEM, default="", allow_blank=True, write_only=True)
    passphrase = serializers.CharField(
        max_length=1_024, default="", allow_blank=True, write_only=True, trim_whitespace=False
    )
    crl = serializers.CharField(default="", allow_blank=True)
    offline = serializers.BooleanField(default=False)
    replaces = serializers.CharField(max_length=63, required=False)


class TrustedIssuerDocument(StrictDocument):
    """A CA that is only believed, such as a manufacturer's; its certificate in PEM."""

    slug = serializers.CharField(max_length=50)
    domain = serializers.CharField(max_length=64, required=False)
    certificate = serializers.CharField(max_length=_PEM)


class InstalledIssuerDocument(StrictDocument):
    """The certificate that a CA elsewhere signed, and those above it, in PEM."""

    certificate = serializers.CharField(max_length=_PEM)
    chain = serializers.CharField(max_length=_PEM, default="", allow_blank=True)


class RolloverDocument(StrictDocument):
    """What the new issuer is; whatever is left out is as the old one's, a generation on."""

    slug = serializers.CharField(max_length=50, default="", allow_blank=True)
    name = serializers.CharField(max_length=64, default="", allow_blank=True)
    key_algorithm = serializers.ChoiceField(choices=[each.value for each in KeyAlgorithm], required=False)
    custody = serializers.ChoiceField(choices=[each.value for each in Custody], required=False)
    validity_days = serializers.IntegerField(min_value=1, max_value=9_132, required=False)


class RetirementDocument(StrictDocument):
    """Why an issuer is retired."""

    note = serializers.CharField(max_length=2_000, allow_blank=True, default="")


class IssuerRevocationDocument(RetirementDocument):
    """Why an issuer is revoked. A root's slug has to be said again in `confirm`."""

    reason = serializers.ChoiceField(choices=_FOR_GOOD, default=ReasonCode.CA_COMPROMISE.value)
    confirm = serializers.CharField(max_length=63, default="", allow_blank=True)


class CrossSigningDocument(StrictDocument):
    """Who certifies the issuer: another of ours, or, with `certificate` in PEM, a CA elsewhere did."""

    signer = serializers.CharField(max_length=63, required=False)
    validity_days = serializers.IntegerField(min_value=1, max_value=9_132, required=False)
    certificate = serializers.CharField(max_length=_PEM, default="", allow_blank=True)


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


class SignaturesDocument(StrictDocument):
    """What came back from an offline key: the text of the file that was signed."""

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
