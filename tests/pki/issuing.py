"""A process that issues certificates until a file appears, opening the issuer's key for each of them.

Called as `python -m tests.pki.issuing <issuer's slug> <stop file>`. `<stop file>.issued` grows by an octet with each.
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


def issue_until(slug: str, stop: Path) -> None:
    from kernel.core.actor import SYSTEM
    from kernel.core.ids import new_id
    from pki import queries, services
    from pki.services import opened_keys

    opened_keys.KEPT_SECONDS = 0.0
    issuer = queries.find_issuer(slug=slug)
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
        with stop.with_suffix(".issued").open("a") as issued:
            issued.write(".")


if __name__ == "__main__":
    django.setup()
    issue_until(sys.argv[1], Path(sys.argv[2]))
