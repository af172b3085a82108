"""The settings that the certificate authority reads."""

from __future__ import annotations

from django.conf import settings


def base_url() -> str:
    """Where relying parties find CRL, OCSP and issuers' certificates; without a slash at its end."""
    url: str = settings.GATEHOUSE_BASE_URL
    return url


def issuer_url(slug: str, leaf: str) -> str:
    """The public address of one of an issuer's documents."""
    return f"{base_url()}/pki/{slug}/{leaf}"
