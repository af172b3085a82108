"""Where the certificate authority is found, for apps that show or ask it."""

from __future__ import annotations

from pki.conf import base_url, issuer_url


def public_url() -> str:
    """What stands before `/pki/` in certificates; without a slash at its end."""
    return base_url()


def ocsp_url(*, slug: str) -> str:
    """Where the issuer of that slug answers by OCSP."""
    return issuer_url(slug, "ocsp")
