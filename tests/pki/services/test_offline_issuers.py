"""A root whose key is never here: what it has to sign goes out in a file, is signed elsewhere, and comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kernel.core.errors import DomainError
from pki import queries, services
from pki.core.ca_files import read_key
from pki.core.offline_root import make_offline_root
from pki.core.signing_file import NotForThisKey, read_orders, sign_orders
from pki.core.values import Issuer, IssuerKind, IssuerState, KeyAlgorithm, ReasonCode
from tests.cast import ADA, NORTH
from tests.pki.conftest import make_csr, openssl
from tests.pki.outside_ca import OutsideCa, outside_root, verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """A minute on, when what openssl signs now has begun."""
    return datetime.now(UTC) + timedelta(minutes=1)


@pytest.fixture
def vault(tmp_path: Path) -> OutsideCa:
    """The offline key, as openssl made it."""
    return outside_root(tmp_path, "Offline Root")


@pytest.fixture
def root(vault: OutsideCa, now: datetime) -> Issuer:
    certificate = vault.certificate.read_bytes()
    return services.import_offline_issuer(domain=NORTH, slug="vault", certificate=certificate, actor=ADA, now=now)


Carry = Callable[..., list[Any]]


@pytest.fixture
def carry(vault: OutsideCa, root: Issuer, now: datetime) -> Carry:
    """Takes the file to the key and back."""

    def carry(at: datetime = now) -> list[Any]:
        exported = services.export_signing_requests(issuer=root.id, now=at)
        signed = sign_orders(read_orders(exported), read_key(vault.key.read_bytes()))
        return services.import_signatures(issuer=root.id, file=signed, actor=ADA, now=at)

    return carry


def test_offline_issuer_orders_its_first_crl_and_ocsp_signer(root: Issuer) -> None:
    assert (root.kind, root.state) == (IssuerKind.OFFLINE, IssuerState.ACTIVE)
    purposes = [each.purpose for each in queries.list_signing_requests(issuer=root.id)]
    assert purposes == ["CRL 1, which lists 0", "the certificate of its OCSP signer"]


def test_what_was_signed_elsewhere_is_in_force_here(root: Issuer, carry: Carry, now: datetime, tmp_path: Path) -> None:
    ordered = services.order_issuing_ca(parent=root.id, slug="plant", common_name="Plant CA", actor=ADA, now=now)
    assert ordered.purpose == "the certificate of the CA plant"

    assert [each.fault for each in carry()] == ["", "", ""]

    plant = queries.find_issuer(slug="plant")
    assert (plant.parent, plant.kind) == (root.id, IssuerKind.ONLINE)
    assert queries.list_signing_requests(issuer=root.id) == []
    leaf = services.issue_certificate(
        issuer=plant.id,
        profile="device",
        csr=make_csr(tmp_path, "pump"),
        holder="device:pump",
        variables={"auth_id": "pump", "domain": "north", "id": "1"},
        actor=ADA,
        now=now,
    )
    path, above, top = (tmp_path / name for name in ("leaf.pem", "plant.pem", "vault.pem"))
    path.write_text(leaf.pem)
    above.write_text(plant.certificate_pem)
    top.write_text(root.certificate_pem)
    crls = tmp_path / "crls.pem"
    crls.write_text(queries.crl_bundle(domain=NORTH))
    options = ("-crl_check_all", "-CRLfile", str(crls))
    assert verify(path, roots=[top], others=[above], options=options).endswith("OK\n")
    assert services.query_ocsp(issuer="vault", serial=plant.serial, now=now).status == "good"


def test_revocation_below_an_offline_root_shows_when_its_crl_is_signed(
    root: Issuer, carry: Carry, now: datetime, tmp_path: Path
) -> None:
    services.order_issuing_ca(parent=root.id, slug="plant", common_name="Plant CA", actor=ADA, now=now)
    carry()
    plant = queries.find_issuer(slug="plant")
    services.revoke_issuer(issuer=plant.id, reason=ReasonCode.CA_COMPROMISE, actor=ADA, now=now)
    assert services.query_ocsp(issuer="vault", serial=plant.serial, now=now).status == "revoked"
    later = now + timedelta(minutes=1)

    assert [each.purpose for each in carry(later)] == ["CRL 2, which lists 1"]

    newest = queries.latest_crl(issuer=root.id)
    assert newest is not None
    told = openssl("crl", "-inform", "DER", "-noout", "-text", "-nameopt", "RFC2253", given=newest.der)
    assert "X509v3 CRL Number: \n                2" in told
    assert f"Serial Number: {plant.serial:X}" in told
    assert "CA Compromise" in told


def test_crl_of_an_offline_issuer_is_ordered_again_after_90_days(root: Issuer, carry: Carry, now: datetime) -> None:
    carry()
    assert services.order_crl(issuer=root.id, now=now + timedelta(days=89)) is None
    ordered = services.order_crl(issuer=root.id, now=now + timedelta(days=91))
    assert ordered is not None
    assert ordered.purpose == "CRL 2, which lists 0"
    again = services.order_crl(issuer=root.id, now=now + timedelta(days=92))
    assert again is not None
    assert again.id == ordered.id  # run twice


def test_files_imported_again_change_nothing(root: Issuer, vault: OutsideCa, now: datetime) -> None:
    exported = services.export_signing_requests(issuer=root.id, now=now)
    signed = sign_orders(read_orders(exported), read_key(vault.key.read_bytes()))
    for _ in range(2):
        outcomes = services.import_signatures(issuer=root.id, file=signed, actor=ADA, now=now)
        assert [each.fault for each in outcomes] == ["", ""]
    assert queries.newest_crl_number(slug="vault") == 1


def test_crl_that_was_replaced_meanwhile_is_stale(root: Issuer, vault: OutsideCa, carry: Carry, now: datetime) -> None:
    services.order_issuing_ca(parent=root.id, slug="plant", common_name="Plant CA", actor=ADA, now=now)
    carry()
    first = services.order_crl(issuer=root.id, now=now, force=True)
    early = services.export_signing_requests(issuer=root.id, now=now)
    services.revoke_issuer(issuer=queries.find_issuer(slug="plant").id, actor=ADA, now=now)
    second = services.order_crl(issuer=root.id, now=now)
    assert first is not None
    assert second is not None
    assert (first.purpose, second.purpose) == ("CRL 2, which lists 0", "CRL 3, which lists 1")
    signed = sign_orders(read_orders(early), read_key(vault.key.read_bytes()))
    [outcome] = services.import_signatures(issuer=root.id, file=signed, actor=ADA, now=now)
    assert "export the requests again" in outcome.fault
    assert queries.newest_crl_number(slug="vault") == 1
    carry()
    assert queries.newest_crl_number(slug="vault") == 3  # numbers rise, and none is used twice


def test_signature_by_another_key_is_refused(root: Issuer, vault: OutsideCa, now: datetime, tmp_path: Path) -> None:
    exported = read_orders(services.export_signing_requests(issuer=root.id, now=now))
    other = outside_root(tmp_path, "Other Root")
    with pytest.raises(NotForThisKey):
        sign_orders(exported, read_key(other.key.read_bytes()))


def test_changed_signature_and_changed_content_are_refused(root: Issuer, vault: OutsideCa, now: datetime) -> None:
    exported = services.export_signing_requests(issuer=root.id, now=now)
    signed = json.loads(sign_orders(read_orders(exported), read_key(vault.key.read_bytes())))
    octets = bytearray(base64.b64decode(signed["signatures"][0]["signed"]))
    octets[-1] ^= 1
    other = json.loads(exported)
    other["requests"][1]["to_be_signed"] = other["requests"][0]["to_be_signed"]
    other["requests"][1]["kind"] = "crl"
    swapped = json.loads(sign_orders(read_orders(json.dumps(other).encode()), read_key(vault.key.read_bytes())))
    forged = {**signed, "signatures": [
        {**signed["signatures"][0], "signed": base64.b64encode(octets).decode()},
        {**signed["signatures"][1], "signed": swapped["signatures"][1]["signed"]},
    ]}  # fmt: skip
    outcomes = services.import_signatures(issuer=root.id, file=json.dumps(forged).encode(), actor=ADA, now=now)
    assert all(each.fault for each in outcomes)
    assert queries.latest_crl(issuer=root.id) is None
    assert len(queries.list_signing_requests(issuer=root.id)) == 2


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b"{}", b'{"format": "gatehouse-signatures-1"}', b"\xff\xfe"])
def test_malformed_file_is_refused(root: Issuer, octets: bytes, now: datetime) -> None:
    with pytest.raises(DomainError) as caught:
        services.import_signatures(issuer=root.id, file=octets, actor=ADA, now=now)
    assert caught.value.code == "signing-file-malformed"


def test_file_says_in_words_what_is_signed(root: Issuer, now: datetime) -> None:
    services.order_issuing_ca(parent=root.id, slug="plant", common_name="Plant CA", actor=ADA, now=now)
    document = json.loads(services.export_signing_requests(issuer=root.id, now=now))
    text = json.dumps(document["requests"])
    assert "certificate for CN=Plant CA" in text
    assert "2.5.29.19, critical: a CA, path length 0" in text
    assert "key usage crl_sign, digital_signature, key_cert_sign" in text
    assert "CRL at http://" in text
    assert "lists 0 certificates" in text


def test_cancelled_order_of_a_ca_revokes_what_may_have_been_signed(
    root: Issuer, vault: OutsideCa, carry: Carry, now: datetime
) -> None:
    carry()
    ordered = services.order_issuing_ca(parent=root.id, slug="plant", common_name="Plant CA", actor=ADA, now=now)
    assert services.abandon_unsigned(now=now + timedelta(days=30)) == []  # it waits for a signature
    exported = services.export_signing_requests(issuer=root.id, now=now)
    services.cancel_signing_request(id=ordered.id, actor=ADA, now=now)
    signed = sign_orders(read_orders(exported), read_key(vault.key.read_bytes()))
    [outcome] = services.import_signatures(issuer=root.id, file=signed, actor=ADA, now=now)
    assert outcome.fault
    assert len(services.abandon_unsigned(now=now + timedelta(days=30))) == 1
    assert queries.list_issuer_requests() == []


def test_ca_below_an_offline_root_is_rolled_over_by_file(root: Issuer, carry: Carry, now: datetime) -> None:
    services.order_issuing_ca(parent=root.id, slug="plant", common_name="Plant CA", actor=ADA, now=now)
    carry()
    plant = queries.find_issuer(slug="plant")
    begun = services.roll_over_issuer(issuer=plant.id, actor=ADA, now=now)
    assert begun.successor is None
    assert begun.ordered is not None
    with pytest.raises(DomainError, match="on its way"):
        services.roll_over_issuer(issuer=plant.id, actor=ADA, now=now)
    carry()
    new = queries.find_issuer(slug="plant-g2")
    old = queries.find_issuer(slug="plant")
    assert (old.state, old.successor, new.parent) == (IssuerState.SUPERSEDED, new.id, root.id)


def test_offline_root_signs_a_cross_certificate(root: Issuer, carry: Carry, now: datetime) -> None:
    ours = services.create_root(domain=NORTH, slug="ours", common_name="Our Root", actor=ADA, now=now)
    with pytest.raises(DomainError) as caught:
        services.cross_sign(issuer=ours.id, signer=root.id, actor=ADA, now=now)
    assert caught.value.code == "issuer-key-elsewhere"
    services.order_cross_certificate(issuer=ours.id, signer=root.id, actor=ADA, now=now)
    carry()
    [cross] = queries.list_cross_certificates(issuer=ours.id)
    assert cross.signer == "vault"
    above = x509.load_pem_x509_certificate(root.certificate_pem.encode())
    x509.load_pem_x509_certificate(cross.certificate_pem.encode()).verify_directly_issued_by(above)


def test_new_offline_root_takes_the_place_of_the_old(root: Issuer, now: datetime, tmp_path: Path) -> None:
    second = outside_root(tmp_path, "Offline Root G2")
    services.import_offline_issuer(
        domain=NORTH, slug="vault-g2", certificate=second.certificate.read_bytes(), replaces=root.id, actor=ADA, now=now
    )
    assert queries.find_issuer(slug="vault").state is IssuerState.SUPERSEDED
    assert queries.trust_bundle(domain=NORTH).count("BEGIN") == 2
    old, new = ([each.purpose for each in queries.list_signing_requests(issuer=queries.find_issuer(slug=slug).id)]
                for slug in ("vault", "vault-g2"))  # fmt: skip
    assert "a cross-certificate for vault-g2" in old
    assert "a cross-certificate for vault" in new
    assert services.retire_ended_issuers(now=now + timedelta(hours=25)) == ["vault"]


def test_issuer_is_not_replaced_by_two(root: Issuer, now: datetime, tmp_path: Path) -> None:
    for number, code in ((2, ""), (3, "issuer-not-active")):
        other = outside_root(tmp_path, f"Offline Root G{number}")
        try:
            services.import_offline_issuer(
                domain=NORTH,
                slug=f"vault-g{number}",
                certificate=other.certificate.read_bytes(),
                replaces=root.id,
                actor=ADA,
                now=now,
            )
            told = ""
        except DomainError as error:
            told = error.code
        assert told == code


def test_online_issuer_takes_no_orders(now: datetime) -> None:
    ours = services.create_root(domain=NORTH, slug="ours", common_name="Our Root", actor=ADA, now=now)
    for order in (services.order_crl, services.order_ocsp_signer, services.export_signing_requests):
        with pytest.raises(DomainError) as caught:
            order(issuer=ours.id, now=now)
        assert caught.value.code == "issuer-not-offline"


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.ED25519, KeyAlgorithm.RSA_3072, KeyAlgorithm.ML_DSA_44])
def test_offline_key_of_every_sort_signs(now: datetime, algorithm: KeyAlgorithm) -> None:
    certificate, key = make_offline_root(
        common_name="Vault", algorithm=algorithm, validity=timedelta(days=3_000), now=now
    )
    pem = certificate.public_bytes(Encoding.PEM)
    root = services.import_offline_issuer(domain=NORTH, slug="safe", certificate=pem, actor=ADA, now=now)
    services.order_issuing_ca(parent=root.id, slug="plant", common_name="Plant CA", actor=ADA, now=now)
    signed = sign_orders(read_orders(services.export_signing_requests(issuer=root.id, now=now)), key)
    outcomes = services.import_signatures(issuer=root.id, file=signed, actor=ADA, now=now)
    assert [each.fault for each in outcomes] == ["", "", ""]
    plant = queries.find_issuer(slug="plant")
    assert services.query_ocsp(issuer="safe", serial=plant.serial, now=now).status == "good"
