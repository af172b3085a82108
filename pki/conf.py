"""The settings that the certificate authority reads."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from pki.core.ports import TokenSettings


def base_url() -> str:
    """Where relying parties find CRL, OCSP and issuers' certificates; without a slash at its end.

    Unless it is set: the base URL, over http, since few follow https there (RFC 5280 8). A base URL with a port of its
    own stays as it is, as nobody can know which port has http.
    """
    given: str = settings.GATEHOUSE_PKI_URL
    return given or re.sub(r"^https://(\[[0-9a-fA-F:.]+\]|[^/:]+)(?=/|$)", r"http://\1", settings.GATEHOUSE_BASE_URL)


def issuer_url(slug: str, leaf: str) -> str:
    """The public address of one of an issuer's documents."""
    return f"{base_url()}/pki/{slug}/{leaf}"


def ocsp_folder() -> Path:
    """Where the editions of the OCSP responders stand, for all processes of this machine."""
    home: Path = settings.GATEHOUSE_HOME
    return home / "ocsp"


def ocsp_retention() -> timedelta:
    """How long after its end OCSP tells a certificate's status (RFC 6960 4.4.4)."""
    days: int = settings.GATEHOUSE_OCSP_RETENTION_DAYS
    return timedelta(days=days)


def weak_key_lists() -> list[Path]:
    """The files that list weak keys."""
    return [Path(path) for path in settings.GATEHOUSE_WEAK_KEY_LISTS]


def keys_folder() -> Path:
    """Where keys of the custody `file` stand, on this machine."""
    home: Path = settings.GATEHOUSE_HOME
    return home / "keys"


def pkcs11_token() -> TokenSettings:
    """How the hardware token is reached."""
    return TokenSettings(
        module=settings.GATEHOUSE_PKCS11_MODULE,
        label=settings.GATEHOUSE_PKCS11_TOKEN,
        pin=settings.GATEHOUSE_PKCS11_PIN,
    )


def issuance_folder() -> Path:
    """Where bulk issuances stand, for all processes of this machine."""
    home: Path = settings.GATEHOUSE_HOME
    return home / "issuances"
