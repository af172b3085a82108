"""The part of bench/issue.py that runs inside the project: a CA, requests, and the rates of issuing in one process."""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from bench.loading import cpu_seconds

ROUNDS = 5
SINGLE, BATCH = 100, 1_000
SIZES = (1_000, 4_000, 16_000)


def csrs(count: int) -> list[bytes]:
    """Requests in PEM, each for a fresh P-256 key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pump-17")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    keys = (ec.generate_private_key(ec.SECP256R1()) for _ in range(count))
    return [builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM) for key in keys]


def measure() -> dict[str, Any]:
    """Certificates per CPU second, in turn: bare, one by one, many at once; and how the time of many grows."""
    from kernel.core.actor import SYSTEM
    from kernel.core.clock import utc_now
    from kernel.core.ids import DomainId, new_id
    from pki import services

    domain, now = DomainId(new_id()), utc_now()
    root = services.create_root(domain=domain, slug="bench-root", common_name="Root", actor=SYSTEM, now=now)
    ca = services.create_issuing_ca(parent=root.id, slug="bench-ca", common_name="CA", actor=SYSTEM, now=now)

    def asked(csr: bytes) -> dict[str, Any]:
        id = str(new_id())
        variables = {"auth_id": "pump-17", "domain": "bench", "id": id}
        return {"csr": csr, "holder": f"device:{id}", "variables": variables}

    def single(requests: Sequence[bytes]) -> None:
        for csr in requests:
            services.issue_certificate(issuer=ca.id, profile="device", actor=SYSTEM, now=utc_now(), **asked(csr))

    def batch(requests: Sequence[bytes]) -> None:
        every = [services.IssuanceRequest(**asked(csr)) for csr in requests]
        done = services.issue_certificates(issuer=ca.id, profile="device", requests=every, actor=SYSTEM, now=utc_now())
        if any(isinstance(each, services.Refusal) for each in done):
            raise RuntimeError("a request was refused")

    bare = _bare_loop()
    single(csrs(20))
    batch(csrs(20))
    rates: dict[str, list[float]] = {"bare": [], "single": [], "batch": []}
    for _ in range(ROUNDS):
        for name, work, count in (("bare", bare, BATCH), ("single", single, SINGLE), ("batch", batch, BATCH)):
            rates[name].append(count / _used(work, csrs(count)))
    seen: dict[str, Any] = {name: round(statistics.median(each)) for name, each in rates.items()}
    for name in ("single", "batch"):
        ratios = [one / other for one, other in zip(rates[name], rates["bare"], strict=True)]
        seen[f"{name}_of_bare"] = round(statistics.median(ratios), 2)
    return seen | _growth(batch)


def _growth(batch: Callable[[Sequence[bytes]], None]) -> dict[str, Any]:
    seconds = {size: _used(batch, csrs(size)) for size in SIZES}
    steps = math.log(SIZES[-1] / SIZES[0])
    return {
        "cpu_seconds_by_size": {str(size): round(used, 2) for size, used in seconds.items()},
        "exponent": round(math.log(seconds[SIZES[-1]] / seconds[SIZES[0]]) / steps, 2),
    }


def _used(work: Callable[[Sequence[bytes]], None], requests: Sequence[bytes]) -> float:
    """CPU seconds of this process and of the database's server."""
    postmaster = int(os.environ.get("BENCH_POSTMASTER", "0"))

    def now() -> float:
        return time.process_time() + (cpu_seconds(postmaster) if postmaster else 0)

    before = now()
    work(requests)
    return now() - before


def _bare_loop() -> Callable[[Sequence[bytes]], None]:
    """What an ordinary program does with the library: the same extensions, and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
    uri = x509.UniformResourceIdentifier

    def issue(csr: bytes) -> bytes:
        request = x509.load_pem_x509_csr(csr)
        if not request.is_signature_valid:
            raise RuntimeError("a signature is wrong")
        now = datetime.now(UTC)
        public_key: Any = request.public_key()
        usage = {usage: usage == "digital_signature" for usage in _USAGES}
        access = [
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri("http://127.0.0.1:8000/pki/bench-ca/ocsp")),
            x509.AccessDescription(
                AuthorityInformationAccessOID.CA_ISSUERS, uri("http://127.0.0.1:8000/pki/bench-ca/cert")
            ),
        ]
        point = x509.DistributionPoint([uri("http://127.0.0.1:8000/pki/bench-ca/crl")], None, None, None)
        names = [uri("urn:gatehouse:bench:device:0190b8e0-0000-7000-8000-000000000000")]
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityInformationAccess(access), critical=False)
            .add_extension(x509.CRLDistributionPoints([point]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def loop(requests: Sequence[bytes]) -> None:
        for csr in requests:
            issue(csr)

    return loop


_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    if sys.argv[1:] != ["measure"]:
        sys.exit("usage: python -m bench.issue_house measure")
    print(json.dumps(measure()))
