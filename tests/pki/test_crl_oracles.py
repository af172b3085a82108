"""CRLs as others judge them: openssl with deltas and shards, GnuTLS, and pyhanko's validator, which demands them.

It is content with answers of OCSP instead.
"""

from __future__ import annotations

import asyncio
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import crl as asn1_crl  # type: ignore[import-untyped]
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import pem as asn1_pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPRequestBuilder
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathValidationError, RevokedError

from pki import queries, services
from pki.api.shelf import Shelf
from pki.core.pem import encode_pem
from pki.core.values import CrlKind, IssuedCertificate, Issuer, ReasonCode
from pki.models import Issuer as IssuerRow
from pki.services.answer_ocsp import Responder
from tests.cast import ADA
from tests.pki.conftest import IssueDevice, openssl

DIFFERENT_SCOPE = "error 44 at 0 depth lookup: different CRL scope"


@pytest.fixture
def sharded(ca: Issuer) -> Issuer:
    """The issuing CA with four shards, as it is before it issues."""
    IssuerRow.objects.filter(id=ca.id).update(crl_shards=4)
    return queries.find_issuer(slug=ca.slug)


@pytest.fixture
def folder(root: Issuer, ca: Issuer, tmp_path: Path) -> Path:
    (tmp_path / "root.pem").write_text(root.certificate_pem)
    (tmp_path / "ca.pem").write_text(ca.certificate_pem)
    write_crl(tmp_path / "root.crl", root)
    return tmp_path


def write_crl(path: Path, ca: Issuer, kind: CrlKind = CrlKind.FULL, shard: int | None = None) -> Path:
    found = queries.latest_crl(issuer=ca.id, kind=kind, shard=shard)
    assert found is not None
    path.write_text(encode_pem("X509 CRL", found.der))
    return path


def verify(folder: Path, device: IssuedCertificate, *words: str | Path) -> str:
    (folder / "leaf.pem").write_text(device.pem)
    chain = ("-CAfile", folder / "root.pem", "-untrusted", folder / "ca.pem")
    return openssl("verify", "-x509_strict", *words, *chain, folder / "leaf.pem", check=False)


def revoke(device: IssuedCertificate, now: datetime) -> None:
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)


def test_openssl_checks_all_levels_by_the_bundle(
    folder: Path, root: Issuer, ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    good, bad = issue_device("good"), issue_device("bad")
    revoke(bad, now)
    services.publish_crl(issuer=ca.id, now=now)
    body = Shelf().find("north-ca", "crls.pem", now=now).body
    (folder / "crls.pem").write_bytes(body.read(0, len(body)))
    check = ("-crl_check_all", "-CRLfile", folder / "crls.pem")
    assert "OK" in verify(folder, good, *check)
    assert "certificate revoked" in verify(folder, bad, *check)
    alone = write_crl(folder / "alone.crl", ca)
    assert "unable to get certificate CRL" in verify(folder, good, "-crl_check_all", "-CRLfile", alone)


def test_openssl_learns_of_a_revocation_by_a_delta(
    folder: Path, ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    before, after = issue_device("before"), issue_device("after")
    revoke(before, now)
    services.publish_crl(issuer=ca.id, now=now)
    full = write_crl(folder / "full.crl", ca)
    revoke(after, now + timedelta(seconds=10))
    services.publish_crl(issuer=ca.id, now=now + timedelta(seconds=10))
    delta = write_crl(folder / "delta.crl", ca, CrlKind.DELTA)
    old = ("-crl_check", "-CRLfile", full)
    both = ("-crl_check", "-extended_crl", "-use_deltas", "-CRLfile", full, "-CRLfile", delta)
    assert "OK" in verify(folder, after, *old)
    assert "certificate revoked" in verify(folder, after, *both)
    assert "certificate revoked" in verify(folder, before, *both)


def test_openssl_learns_of_a_release_by_a_delta(
    folder: Path, ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    held = issue_device("held")
    services.hold_certificate(certificate=held.id, actor=ADA, now=now)
    services.publish_crl(issuer=ca.id, now=now)
    full = write_crl(folder / "full.crl", ca)
    services.release_certificate(certificate=held.id, actor=ADA, now=now)
    services.publish_crl(issuer=ca.id, now=now)
    delta = write_crl(folder / "delta.crl", ca, CrlKind.DELTA)
    assert "certificate revoked" in verify(folder, held, "-crl_check", "-CRLfile", full)
    both = ("-crl_check", "-extended_crl", "-use_deltas", "-CRLfile", full, "-CRLfile", delta)
    assert "OK" in verify(folder, held, *both)


def test_openssl_reads_the_shard_that_a_certificate_names_and_no_other(
    sharded: Issuer, folder: Path, issue_device: IssueDevice, now: datetime
) -> None:
    devices = [issue_device(f"pump-{number}") for number in range(3)]
    revoke(devices[0], now)
    services.publish_crl(issuer=sharded.id, now=now)
    for device in devices:
        assert device.shard == device.serial % 4
        own = write_crl(folder / "own.crl", sharded, CrlKind.SHARD, device.shard)
        other = write_crl(folder / "other.crl", sharded, CrlKind.SHARD, (device.shard + 1) % 4)
        said = verify(folder, device, "-crl_check", "-CRLfile", own)
        assert ("certificate revoked" if device is devices[0] else "OK") in said
        assert DIFFERENT_SCOPE in verify(folder, device, "-crl_check", "-CRLfile", other)
        full = write_crl(folder / "full.crl", sharded)
        said = verify(folder, device, "-crl_check", "-CRLfile", full)
        assert ("certificate revoked" if device is devices[0] else "OK") in said


def test_a_certificate_names_its_shard_s_crl_octet_by_octet(
    sharded: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("x")
    services.publish_crl(issuer=sharded.id, now=now)
    found = queries.latest_crl(issuer=sharded.id, kind=CrlKind.SHARD, shard=device.shard)
    assert found is not None
    leaf = x509.load_pem_x509_certificate(device.pem.encode())
    [point] = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    scope = x509.load_der_x509_crl(found.der).extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert scope.critical
    assert scope.value.full_name == point.full_name
    [name] = point.full_name or []
    assert name.value == f"http://127.0.0.1:8000/pki/north-ca/crl/{device.shard}"


def test_openssl_prints_what_each_kind_is(
    sharded: Issuer, folder: Path, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("x")
    services.revoke_certificate(
        certificate=device.id,
        reason=ReasonCode.PRIVILEGE_WITHDRAWN,
        actor=ADA,
        now=now,
        invalidity_date=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )
    services.publish_crl(issuer=sharded.id, now=now)
    texts = {
        kind: openssl("crl", "-noout", "-text", "-in", write_crl(folder / "x.crl", sharded, kind, shard))
        for kind, shard in ((CrlKind.FULL, None), (CrlKind.DELTA, None), (CrlKind.SHARD, device.shard))
    }
    for text in texts.values():
        assert "X509v3 CRL Number: \n                2\n" in text
        assert "Privilege Withdrawn" in text
        assert "Invalidity Date: \n                Jan 31 12:00:00 2026 GMT" in text
    assert "X509v3 Freshest CRL" in texts[CrlKind.FULL]
    assert "X509v3 Delta CRL Indicator: critical\n                1\n" in texts[CrlKind.DELTA]
    assert "X509v3 Issuing Distribution Point: critical" in texts[CrlKind.SHARD]
    assert f"URI:http://127.0.0.1:8000/pki/north-ca/crl/{device.shard}" in texts[CrlKind.SHARD]


def test_gnutls_reads_and_verifies_every_kind(
    sharded: Issuer, folder: Path, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("x")
    revoke(device, now)
    services.publish_crl(issuer=sharded.id, now=now)
    for kind, shard in ((CrlKind.FULL, None), (CrlKind.DELTA, None), (CrlKind.SHARD, device.shard)):
        path = write_crl(folder / "x.crl", sharded, kind, shard)
        shown = certtool("--crl-info", "--infile", path)
        assert "Version: 2" in shown
        assert f"Serial Number (hex): {device.serial_hex}" in shown
        assert "Revoked certificates (1):" in shown
        assert "Verified" in certtool("--verify-crl", "--infile", path, "--load-ca-certificate", folder / "ca.pem")


def certtool(*words: str | Path) -> str:
    done = subprocess.run(["certtool", *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def demand(root: Issuer, ca: Issuer, device: IssuedCertificate, *crls: bytes, ocsps: tuple[bytes, ...] = ()) -> None:
    """Raises what pyhanko finds wrong, among it that nothing says whether a certificate is revoked."""
    context = ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(root.certificate_der)],
        crls=[asn1_crl.CertificateList.load(each) for each in crls],
        ocsps=[asn1_ocsp.OCSPResponse.load(each) for each in ocsps],
        revocation_mode="hard-fail",
        allow_fetching=False,
    )
    leaf = asn1_x509.Certificate.load(asn1_pem.unarmor(device.pem.encode())[2])
    above = asn1_x509.Certificate.load(ca.certificate_der)
    validator = CertificateValidator(leaf, intermediate_certs=[above], validation_context=context)
    usage = validator.async_validate_usage({"digital_signature"}, {"client_auth"})  # type: ignore[no-untyped-call]
    asyncio.run(usage)


def newest(ca: Issuer, kind: CrlKind = CrlKind.FULL, shard: int | None = None) -> bytes:
    found = queries.latest_crl(issuer=ca.id, kind=kind, shard=shard)
    assert found is not None
    return found.der


def test_pyhanko_demands_a_crl_of_each_level_and_believes_it(
    root: Issuer, ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    good, bad = issue_device("good"), issue_device("bad")
    revoke(bad, now - timedelta(minutes=10))
    services.publish_crl(issuer=ca.id, now=now)
    crls = (newest(ca), newest(ca, CrlKind.DELTA))
    demand(root, ca, good, newest(root), *crls)
    with pytest.raises(RevokedError):
        demand(root, ca, bad, newest(root), *crls)
    with pytest.raises(PathValidationError):
        demand(root, ca, good, *crls)


def test_pyhanko_believes_a_shard_for_its_own_certificates(
    root: Issuer, sharded: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    good, bad = issue_device("good"), issue_device("bad")
    revoke(bad, now - timedelta(minutes=10))
    services.publish_crl(issuer=sharded.id, now=now)
    assert good.shard is not None
    demand(root, sharded, good, newest(root), newest(sharded, CrlKind.SHARD, good.shard))
    with pytest.raises(RevokedError):
        demand(root, sharded, bad, newest(root), newest(sharded, CrlKind.SHARD, bad.shard))
    with pytest.raises(PathValidationError):
        demand(root, sharded, good, newest(root), newest(sharded, CrlKind.SHARD, (good.shard + 1) % 4))


def test_pyhanko_learns_of_a_revocation_by_a_delta(
    root: Issuer, ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("x")
    demand(root, ca, device, newest(root), newest(ca))  # the first points to no delta, since there is none yet
    services.publish_crl(issuer=ca.id, now=now, force=True)
    full = newest(ca)
    demand(root, ca, device, newest(root), full, newest(ca, CrlKind.DELTA))
    revoke(device, now - timedelta(minutes=10))
    services.publish_crl(issuer=ca.id, now=now)
    with pytest.raises(RevokedError):
        demand(root, ca, device, newest(root), full, newest(ca, CrlKind.DELTA))


def answer_about(certificate: x509.Certificate, issuer: Issuer, now: datetime) -> bytes:
    """What our OCSP responder says of it."""
    above = x509.load_der_x509_certificate(issuer.certificate_der)
    asked = OCSPRequestBuilder().add_certificate(certificate, above, SHA1()).build()
    found = Responder().answer(issuer.slug, asked.public_bytes(Encoding.DER), now=now)
    assert found is not None
    return found.der


def test_pyhanko_believes_ocsp_of_each_level_where_there_is_no_crl(
    root: Issuer, ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    good, bad = issue_device("good"), issue_device("bad")
    revoke(bad, now - timedelta(minutes=10))
    above = answer_about(x509.load_der_x509_certificate(ca.certificate_der), root, now)
    of_good, of_bad = (answer_about(x509.load_pem_x509_certificate(each.pem.encode()), ca, now) for each in (good, bad))
    demand(root, ca, good, ocsps=(above, of_good))
    with pytest.raises(RevokedError):
        demand(root, ca, bad, ocsps=(above, of_bad))
    with pytest.raises(PathValidationError):
        demand(root, ca, bad, ocsps=(above, of_good))  # an answer about another certificate
    with pytest.raises(PathValidationError):
        demand(root, ca, good, ocsps=(of_good,))
