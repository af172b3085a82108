"""Self-signed roots."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from pki.core import certificates, lint
from pki.core.certificates import Names
from pki.core.keys import SigningKey
from pki.core.paths import is_self_signed
from pki.core.profile import Profile


def make_root(
    *, profile: Profile, common_name: str, key: SigningKey, lint_key: SigningKey, now: datetime
) -> x509.Certificate:
    """A root's certificate; `lint_key`, of the same algorithm, signs what is linted and thrown away.

    Raises BadName, LintFailure.
    """
    not_before, not_after = certificates.validity(profile, now=now, ends_by=None)
    builder = certificates.build(
        profile=profile,
        names=Names(variables={"common_name": common_name}),
        authority=None,
        public_key=key.public_key(),
        serial=certificates.new_serial(),
        not_before=not_before,
        not_after=not_after,
    )
    linted = certificates.sign(builder, lint_key)
    lint.check(linted, profile=profile, authority=None)
    made = certificates.sign(builder, key)
    if made.tbs_certificate_bytes != linted.tbs_certificate_bytes or not is_self_signed(made):
        raise RuntimeError("a root that does not read back as it was built")
    return made
