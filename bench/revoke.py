"""From the call that revokes a device until its session is closed, and until OCSP says so. Reach: 2 s, 1 s."""

from __future__ import annotations

import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from tests.e2e.brokers import Embedded, admit
from tests.e2e.house import Enrolled, Fleet, House
from tests.e2e.user import Application

RUNS = 20


def measure() -> dict[str, Any]:
    """Milliseconds over twenty devices, one after another, on the embedded broker."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "home")
        house.facts = house.quickstart()
        house.start()
        try:
            credentials = house.facts["application"]
            application = Application(house.url, credentials["client_id"], credentials["client_secret"])
            fleet = Fleet(house, application, Path(folder))
            seen = [_revoke_one(fleet, house, number) for number in range(RUNS)]
        finally:
            house.stop()
    closed, visible = ([each[index] for each in seen] for index in (0, 1))
    return {
        "devices": RUNS,
        "session_closed_ms": {"p50": round(statistics.median(closed)), "max": round(max(closed))},
        "ocsp_revoked_ms": {"p50": round(statistics.median(visible)), "max": round(max(visible))},
    }


def _revoke_one(fleet: Fleet, house: House, number: int) -> tuple[float, float]:
    device = fleet.enroll(f"bench-{number}")
    connection = admit(Embedded(house), device)
    request = _ocsp_request(device)
    began = time.monotonic()
    fleet.post(f"devices/{device.id}/revoke/", {"reason": "keyCompromise", "note": "bench"}, status=202)
    visible = 0.0
    while not visible:
        if _status(house, request) is ocsp.OCSPCertStatus.REVOKED:
            visible = time.monotonic()
    connection.wait_closed(seconds=5)
    assert connection.closed_at is not None
    return (connection.closed_at - began) * 1000, (visible - began) * 1000


def _ocsp_request(device: Enrolled) -> bytes:
    leaf, issuer = x509.load_pem_x509_certificates(device.identity.certificate.read_bytes())[:2]
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256())
    return builder.build().public_bytes(serialization.Encoding.DER)


def _status(house: House, request: bytes) -> ocsp.OCSPCertStatus:
    asked = urllib.request.Request(f"{house.url}/pki/{house.facts['issuer']}/ocsp", data=request, method="POST")
    with urllib.request.urlopen(asked, timeout=5) as answer:
        return ocsp.load_der_ocsp_response(answer.read()).certificate_status
