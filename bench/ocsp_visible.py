"""From the commit of a revocation until no web process says good any more, with one web process and with two."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cryptography.x509 import ocsp

from bench.ocsp_house import ROOT, SETUP, Million, web
from bench.ocsp_peers import granian_words
from pki.core.ocsp_request import build_request

REVOCATIONS = 30
_REVOKE = """
import sys, time
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from pki import queries, services
from pki.core.values import ReasonCode
issuer = queries.find_issuer(slug=sys.argv[1]).id
for line in sys.stdin:
    found = queries.find_certificate_by_serial(issuer=issuer, serial=int(line))
    services.revoke_certificate(certificate=found.id, reason=ReasonCode.SUPERSEDED, actor=SYSTEM, now=utc_now())
    print(time.time(), flush=True)
"""


def measure_visible(house: Million) -> dict[str, Any]:
    """Milliseconds over thirty revocations, one after another, each asked about all the while."""
    return {f"{workers} web process{'es' * (workers > 1)}": _measure(house, workers) for workers in (1, 2)}


def _measure(house: Million, workers: int) -> dict[str, float]:
    serials = [house.serials.pop() for _ in range(REVOCATIONS)]
    words = granian_words(house.house.port, "console.wsgi:application", workers=workers)
    program = [sys.executable, "-c", SETUP + _REVOKE, house.slug]
    with (
        web(house.house.environment, words, house.house.port),
        ThreadPoolExecutor(2 * workers + 1) as pool,
        subprocess.Popen(
            program, cwd=ROOT, env=house.house.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as revoker,
    ):
        late = sorted(_revoke_one(house, serial, revoker, pool, askers=2 * workers) for serial in serials)
        assert revoker.stdin
        revoker.stdin.close()
    return {"p50_ms": round(late[len(late) // 2]), "max_ms": round(late[-1])}


def _revoke_one(
    house: Million, serial: int, revoker: subprocess.Popen[str], pool: ThreadPoolExecutor, *, askers: int
) -> float:
    """Milliseconds from the commit until the last time that somebody was told good."""
    assert revoker.stdin
    assert revoker.stdout
    for _ in range(4):
        _is_good(house, serial)
    revoker.stdin.write(f"{serial}\n")
    revoker.stdin.flush()
    committing = pool.submit(revoker.stdout.readline)
    last_good, quiet_since = 0.0, time.time() + 60
    while not committing.done() or time.time() - quiet_since < 0.7:
        asked_at = time.time()
        if any(pool.map(lambda _: _is_good(house, serial), range(askers))):
            last_good, quiet_since = asked_at, time.time()
        elif quiet_since > asked_at:
            quiet_since = asked_at
    return max(0.0, last_good - float(committing.result())) * 1000


def _is_good(house: Million, serial: int) -> bool:
    octets = build_request(issuer=house.issuer, serial=serial)
    address = f"http://127.0.0.1:{house.house.port}/pki/{house.slug}/ocsp"
    with urllib.request.urlopen(urllib.request.Request(address, data=octets, method="POST"), timeout=10) as answer:
        return ocsp.load_der_ocsp_response(answer.read()).certificate_status is ocsp.OCSPCertStatus.GOOD
