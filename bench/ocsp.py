"""Making and signing OCSP answers in one process, beside the raw rate of P-256 signatures. Reach: 0.2 of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pki.core import der
from pki.core.ocsp_request import parse_request
from pki.core.ocsp_response import Good, SingleAnswer, build_response

SECONDS = 2.0


def measure() -> dict[str, Any]:
    """Per CPU second: requests with a nonce parsed, answered and signed; and bare signatures."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    cert_id = der.sequence(
        der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.tlv(der.NULL)),
        der.octet_string(os.urandom(32)),
        der.octet_string(os.urandom(32)),
        der.integer(1 << 158),
    )
    nonce = der.extension("1.3.6.1.5.5.7.48.1.2", der.octet_string(os.urandom(32)))
    asked = der.sequence(der.sequence(der.sequence(der.sequence(cert_id)), der.explicit(2, der.sequence(nonce))))

    def answer() -> None:
        request = parse_request(asked)
        single = SingleAnswer(
            cert_id=request.cert_ids[0].encoded, status=Good(), this_update=now, next_update=now + timedelta(hours=1)
        )
        build_response(
            answers=[single], produced_at=now, nonce=request.nonce, key=key, key_hash=bytes(20), certificate=bytes(600)
        )

    live, raw = _rate(answer), _rate(lambda: key.sign(bytes(300), ec.ECDSA(hashes.SHA256())))
    return {
        "live_per_cpu_second": round(live),
        "raw_signatures_per_cpu_second": round(raw),
        "ratio": round(live / raw, 2),
    }


def _rate(work: Callable[[], object]) -> float:
    """Median of five runs."""
    found = []
    for _ in range(5):
        count, began = 0, time.process_time()
        while time.process_time() - began < SECONDS / 5:
            work()
            count += 1
        found.append(count / (time.process_time() - began))
    return sorted(found)[2]
