"""A process that issues certificates until a file appears, opening the issuer's key for each of them.

Called as `python -m tests.pki.issuing <issuer's slug> <stop file>`; prints how many it issued.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import django
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding


def issue_until(slug: str, stop: Path) -> int:
    from kernel.core.actor import SYSTEM
    from kernel.core.ids import new_id
    from pki import queries, services
    from pki.services import opened_keys

    opened_keys.KEPT_SECONDS = 0.0
    issuer, count = queries.find_issuer(slug=slug), 0
    while not stop.exists():
        name = f"pump-{new_id().hex[-12:]}"
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        services.issue_certificate(
            issuer=issuer.id,
            profile="device",
            csr=csr.public_bytes(Encoding.DER),
            holder=f"device:{name}",
            variables={"auth_id": name, "domain": "d", "id": name},
            actor=SYSTEM,
            now=datetime.now(UTC),
        )
        count += 1
    return count


if __name__ == "__main__":
    django.setup()
    print(issue_until(sys.argv[1], Path(sys.argv[2])))
