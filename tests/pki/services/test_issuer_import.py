"""Taking over CAs that openssl made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kernel.core.errors import DomainError
from pki import queries, services
from pki.core.values import IssuerKind, SerialNumber
from tests.cast import ADA, NORTH
from tests.pki.conftest import make_csr, openssl
from tests.pki.outside_ca import OutsideCa, outside_root, verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """A minute on, when what openssl signs now has begun."""
    return datetime.now(UTC) + timedelta(minutes=1)


@pytest.fixture
def root(tmp_path: Path) -> OutsideCa:
    return outside_root(tmp_path, "Outside Root")


@pytest.fixture
def sub(root: OutsideCa) -> OutsideCa:
    return root.below("Old Plant CA")


def serial_of(path: Path) -> SerialNumber:
    return SerialNumber(x509.load_pem_x509_certificate(path.read_bytes()).serial_number)


def take_over(ca: OutsideCa, root: OutsideCa, now: datetime, **options: Any) -> Any:
    wanted: dict[str, Any] = {"certificate": ca.certificate.read_bytes(), "key": ca.key.read_bytes()}
    wanted |= {"chain": root.certificate.read_bytes(), "slug": "old-plant", **options}
    return services.import_issuer(domain=NORTH, actor=ADA, now=now, **wanted)


def test_imported_issuer_signs_what_openssl_verifies(
    root: OutsideCa, sub: OutsideCa, now: datetime, tmp_path: Path
) -> None:
    issuer = take_over(sub, root, now)
    leaf = services.issue_certificate(
        issuer=issuer.id,
        profile="device",
        csr=make_csr(tmp_path, "pump"),
        holder="device:pump",
        variables={"auth_id": "pump", "domain": "north", "id": "1"},
        actor=ADA,
        now=now,
    )
    path = tmp_path / "leaf.pem"
    path.write_text(leaf.pem)
    assert verify(path, roots=[root.certificate], others=[sub.certificate]).endswith("OK\n")
    assert issuer.kind is IssuerKind.ONLINE
    above = queries.find_issuer(id=issuer.parent)
    assert (above.kind, above.name) == (IssuerKind.TRUSTED, "Outside Root")


def test_what_was_revoked_before_is_in_our_next_crl_under_a_higher_number(
    root: OutsideCa, sub: OutsideCa, now: datetime, tmp_path: Path
) -> None:
    gone = sub.sign(sub.request("gone"), extensions="leaf")
    held = sub.sign(sub.request("held"), extensions="leaf")
    good = sub.sign(sub.request("good"), extensions="leaf")
    sub.revoke(gone, "keyCompromise")
    openssl("ca", "-config", sub.configuration, "-revoke", held, "-crl_hold", "holdInstructionNone")
    sub.crl()
    theirs = x509.load_pem_x509_crl(sub.crl().read_bytes())
    assert theirs.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 0x2A

    issuer = take_over(sub, root, now, crl=sub.crl().read_bytes())

    ours = queries.latest_crl(issuer=issuer.id)
    assert ours is not None
    assert ours.number == 0x2C  # openssl's third was 0x2b
    crl = tmp_path / "ours.pem"
    crl.write_text(openssl("crl", "-inform", "DER", given=ours.der))
    options = ("-crl_check", "-CRLfile", str(crl))
    for leaf, verdict in ((gone, "certificate revoked"), (held, "certificate revoked"), (good, "OK")):
        assert verdict in verify(leaf, roots=[root.certificate], others=[sub.certificate], options=options)
    reasons = {
        entry.serial_number: entry.extensions[0].value.reason.value for entry in x509.load_der_x509_crl(ours.der)
    }
    assert reasons == {serial_of(gone): "keyCompromise", serial_of(held): "certificateHold"}


def test_what_was_held_before_can_be_released(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    held = sub.sign(sub.request("held"), extensions="leaf")
    openssl("ca", "-config", sub.configuration, "-revoke", held, "-crl_hold", "holdInstructionNone")
    issuer = take_over(sub, root, now, crl=sub.crl().read_bytes())
    serial = serial_of(held)
    row = queries.find_certificate_by_serial(issuer=issuer.id, serial=serial)
    assert row is not None
    assert services.query_ocsp(issuer="old-plant", serial=serial, now=now).status == "revoked"

    services.release_certificate(certificate=row.id, actor=ADA, now=now)

    assert services.query_ocsp(issuer="old-plant", serial=serial, now=now).status == "good"
    assert services.publish_crl(issuer=issuer.id, now=now).entries == 0


@pytest.mark.parametrize("kind", ["pem", "der", "encrypted", "pkcs12", "traditional"])
def test_key_comes_in_every_form(root: OutsideCa, sub: OutsideCa, now: datetime, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "key"
    given: dict[str, Any] = {}
    match kind:
        case "pem":
            openssl("pkcs8", "-topk8", "-nocrypt", "-in", sub.key, "-out", out)
        case "der":
            openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", sub.key, "-out", out)
        case "traditional":
            openssl("ec", "-in", sub.key, "-out", out)
        case "encrypted":
            openssl("pkcs8", "-topk8", "-passout", "pass:open", "-in", sub.key, "-out", out)
            given = {"passphrase": "open"}
        case "pkcs12":
            openssl("pkcs12", "-export", "-inkey", sub.key, "-in", sub.certificate, "-certfile", root.certificate,
                    "-passout", "pass:open", "-out", out)  # fmt: skip
            given = {"passphrase": "open", "pkcs12": out.read_bytes(), "certificate": b"", "chain": b"", "key": b""}
    issuer = take_over(sub, root, now, **({"key": out.read_bytes()} | given))
    assert issuer.certificate_pem.encode() == sub.certificate.read_bytes()


def refused(ca: OutsideCa, root: OutsideCa, now: datetime, **options: Any) -> str:
    with pytest.raises(DomainError) as caught:
        take_over(ca, root, now, **options)
    assert queries.list_issuers() == []
    return caught.value.code


def test_wrong_passphrase_is_refused(root: OutsideCa, sub: OutsideCa, now: datetime, tmp_path: Path) -> None:
    out = tmp_path / "key"
    openssl("pkcs8", "-topk8", "-passout", "pass:open", "-in", sub.key, "-out", out)
    key = out.read_bytes()
    for passphrase in ("", "shut"):
        assert refused(sub, root, now, key=key, passphrase=passphrase) == "key-unreadable"
    assert refused(sub, root, now, passphrase="superfluous") == "key-unreadable"


def test_key_of_another_certificate_is_refused(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    assert refused(sub, root, now, key=root.key.read_bytes()) == "issuer-key-mismatch"


def test_expired_ca_is_refused(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    assert refused(sub, root, now + timedelta(days=401)) == "certificate-not-in-time"
    assert refused(sub, root, now - timedelta(days=2)) == "certificate-not-in-time"


@pytest.mark.parametrize("extensions", ["not_ca", "no_crl_sign"])
def test_what_is_no_ca_is_refused(root: OutsideCa, now: datetime, extensions: str) -> None:
    assert refused(root.below("no-ca", extensions=extensions), root, now) == "certificate-not-ca"


def test_chain_without_its_root_is_refused(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    assert refused(sub, root, now, chain=b"") == "certificate-chain"


def test_chain_below_a_path_length_of_zero_is_refused(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    deeper = sub.below("too deep")
    chain = root.certificate.read_bytes() + sub.certificate.read_bytes()
    assert refused(deeper, root, now, chain=chain) == "certificate-chain"


def test_chain_may_come_in_any_order(root: OutsideCa, now: datetime) -> None:
    middle = root.below("middle", extensions="open_sub")
    issuing = middle.below("issuing")
    chain = root.certificate.read_bytes() + middle.certificate.read_bytes()  # the root first
    issuer = take_over(issuing, root, now, chain=chain)
    assert issuer.chain_pem == issuing.certificate.read_text() + middle.certificate.read_text()


def test_bundle_of_a_megabyte_is_refused_at_once(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    pem = root.certificate.read_bytes()
    assert refused(sub, root, now, chain=pem * (1_048_576 // len(pem))) == "certificate-unreadable"
    assert refused(sub, root, now, chain=pem * 21) == "certificate-unreadable"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (("-newkey", "rsa:1024"), "issuer-key-algorithm"),
        (("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime192v1"), "issuer-key-algorithm"),
    ],
)
def test_weak_key_is_refused(root: OutsideCa, now: datetime, kind: tuple[str, ...], code: str) -> None:
    assert refused(root.below("weak", kind=kind), root, now) == code


def test_weak_key_above_is_refused(now: datetime, tmp_path: Path) -> None:
    weak = outside_root(tmp_path, "weak root", kind=("-newkey", "rsa:1024"))
    assert refused(weak.below("fine"), weak, now) == "weak-key"


def test_crl_of_another_ca_is_refused(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    assert refused(sub, root, now, crl=root.crl().read_bytes()) == "crl-unfit-to-continue"


def test_same_key_is_not_imported_twice(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    take_over(sub, root, now)
    with pytest.raises(DomainError) as known:
        take_over(sub, root, now, slug="again")
    assert known.value.code == "issuer-known"
    renewed = root.sign(sub.folder.parent / root.folder.name / "Old Plant CA.csr", extensions="sub")
    with pytest.raises(DomainError) as used:
        take_over(sub, root, now, slug="again", certificate=renewed.read_bytes())
    assert used.value.code == "key-in-use"


def test_trusted_manufacturer_is_never_in_the_trust_bundle(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    issuer = services.trust_issuer(
        domain=NORTH, slug="maker", certificate=sub.certificate.read_bytes(), actor=ADA, now=now
    )
    assert issuer.kind is IssuerKind.TRUSTED
    assert queries.trust_bundle(domain=NORTH) == ""


def test_trust_bundle_has_the_imported_ca_and_the_root_above(root: OutsideCa, sub: OutsideCa, now: datetime) -> None:
    take_over(sub, root, now)
    assert queries.trust_bundle(domain=NORTH) == root.certificate.read_text() + sub.certificate.read_text()
