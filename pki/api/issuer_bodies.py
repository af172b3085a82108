"""What is sent to /api/v1/issuers/."""

from __future__ import annotations

from rest_framework import serializers

from kernel.api.documents import StrictDocument
from pki.core.values import Custody, KeyAlgorithm, ReasonCode

_FOR_GOOD = [each.value for each in ReasonCode if each.number not in {6, 8}]  # not hold, not removeFromCRL
_PEM = 262_144


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
    """A new issuer: a root, or a CA below `parent`. `validity_days` and `path_length` are the profile's if left out."""

    parent = serializers.CharField(max_length=63, required=False)  # type: ignore[assignment]
    validity_days = serializers.IntegerField(min_value=1, max_value=9_132, required=False)
    path_length = serializers.IntegerField(min_value=0, max_value=9, required=False)


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


class SignaturesDocument(StrictDocument):
    """What came back from an offline key: the text of the file that was signed."""

    file = serializers.CharField()
