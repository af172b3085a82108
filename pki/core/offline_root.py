"""A root that is made where its key stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509

from kernel.core.errors import Invalid
from pki.core.keys import SigningKey, generate_key
from pki.core.profiles import get_profile
from pki.core.roots import make_root
from pki.core.values import KeyAlgorithm

LONGEST = timedelta(days=9_132)  # 25 years


class BadRootValidity(Invalid):
    """The root would be valid too short or too long."""

    code = "issuer-validity"


def make_offline_root(
    *, common_name: str, algorithm: KeyAlgorithm, validity: timedelta, now: datetime
) -> tuple[x509.Certificate, SigningKey]:
    """Certificate and key of a new root. Raises BadName, BadRootValidity."""
    if not timedelta(days=1) <= validity <= LONGEST:
        raise BadRootValidity(f"A root is valid for 1 to {LONGEST.days} days.")
    key = generate_key(algorithm)
    profile = replace(get_profile("root"), validity=validity)
    made = make_root(profile=profile, common_name=common_name, key=key, lint_key=generate_key(algorithm), now=now)
    return made, key
