"""Requests, cross-certificates, rollovers, retirement and revocation of issuers, as openssl sees them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kernel.core.errors import DomainError
from pki import queries, services
from pki.core.offline_root import make_offline_root
from pki.core.paths import is_signed_by, path_length_of
from pki.core.profile_documents import profile_document
from pki.core.profiles import PROFILES
from pki.core.values import (
    IssuedCertificate,
    Issuer,
    IssuerId,
    IssuerKind,
    IssuerState,
    KeyAlgorithm,
    ReasonCode,
)
from tests.cast import ADA, NORTH
from tests.pki.conftest import make_csr, openssl, pkilint
from tests.pki.outside_ca import OutsideCa, outside_root, verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """A minute on, when what openssl signs now has begun."""
    return datetime.now(UTC) + timedelta(minutes=1)


Issue = Callable[..., IssuedCertificate]


@pytest.fixture
def issue(now: datetime, tmp_path: Path) -> Issue:
    def issue(issuer: IssuerId, name: str = "pump", at: datetime = now) -> IssuedCertificate:
        return services.issue_certificate(
            issuer=issuer,
            profile="device",
            csr=make_csr(tmp_path, name),
            holder=f"device:{name}",
            variables={"auth_id": name, "domain": "north", "id": name},
            actor=ADA,
            now=at,
        )

    return issue


def file(folder: Path, name: str, pem: str) -> Path:
    path = folder / name
    path.write_text(pem)
    return path


def load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


# --- a CA of ours that openssl's certifies


def test_request_signed_elsewhere_becomes_an_issuer(now: datetime, tmp_path: Path, issue: Issue) -> None:
    outside = outside_root(tmp_path, "Corporate Root")
    asked = services.request_issuer(
        domain=NORTH, slug="plant", common_name="Plant CA", organization="Works", actor=ADA, now=now
    )
    csr = file(outside.folder, "plant.csr", asked.csr_pem)
    told = openssl("req", "-in", csr, "-noout", "-verify", "-text")
    assert "verify OK" in told
    assert "CA:TRUE, pathlen:0" in told
    assert "Certificate Sign, CRL Sign" in told
    signed = outside.sign(csr, extensions="sub")

    issuer = services.install_issuer(
        slug="plant", certificate=signed.read_bytes(), chain=outside.certificate.read_bytes(), actor=ADA, now=now
    )

    leaf = file(tmp_path, "leaf.pem", issue(issuer.id).pem)
    assert verify(leaf, roots=[outside.certificate], others=[signed]).endswith("OK\n")
    assert queries.list_issuer_requests() == []
    assert queries.trust_bundle(domain=NORTH) == outside.certificate.read_text() + signed.read_text()


def test_certificate_for_another_key_is_not_installed(now: datetime, tmp_path: Path) -> None:
    outside = outside_root(tmp_path, "Corporate Root")
    services.request_issuer(domain=NORTH, slug="plant", common_name="Plant CA", actor=ADA, now=now)
    other = outside.below("Plant CA")
    with pytest.raises(DomainError) as caught:
        services.install_issuer(
            slug="plant", certificate=other.certificate.read_bytes(), chain=outside.certificate.read_bytes(),
            actor=ADA, now=now,
        )  # fmt: skip
    assert caught.value.code == "issuer-key-mismatch"
    assert len(queries.list_issuer_requests()) == 1


def test_slug_of_a_request_is_taken_until_it_is_cancelled(now: datetime) -> None:
    services.request_issuer(domain=NORTH, slug="plant", common_name="Plant CA", actor=ADA, now=now)
    with pytest.raises(DomainError, match="already"):
        services.create_root(domain=NORTH, slug="plant", common_name="Plant", actor=ADA, now=now)
    services.cancel_issuer_request(slug="plant", actor=ADA, now=now)
    assert services.create_root(domain=NORTH, slug="plant", common_name="Plant", actor=ADA, now=now).slug == "plant"


# --- path lengths


@pytest.mark.parametrize(("profiles", "asked", "given"), [(1, None, 1), (1, 0, 0), (0, None, 0), (0, 1, 1)])
def test_path_length_is_the_profiles_unless_another_is_asked_for(
    root: Issuer, now: datetime, profiles: int, asked: int | None, given: int
) -> None:
    document = profile_document(PROFILES["issuing-ca"]) | {"path_length": profiles}
    services.save_profile(domain=NORTH, name="issuing-ca", document=document, actor=ADA, now=now)
    made = services.create_issuing_ca(
        parent=root.id, slug="plant", common_name="Plant", path_length=asked, actor=ADA, now=now
    )
    assert path_length_of(load(made.certificate_pem)) == given
    with pytest.raises(DomainError, match=f"path length {given} below it" if asked else "below it"):
        services.create_issuing_ca(
            parent=made.id, slug="deep", common_name="Deep", path_length=given, actor=ADA, now=now
        )


def test_profile_without_a_limit_asks_for_one_where_the_line_has_one(root: Issuer, ca: Issuer, now: datetime) -> None:
    document = profile_document(PROFILES["issuing-ca"]) | {"path_length": None}
    services.save_profile(domain=NORTH, name="issuing-ca", document=document, actor=ADA, now=now)
    made = services.create_issuing_ca(parent=root.id, slug="plant", common_name="Plant", actor=ADA, now=now)
    assert path_length_of(load(made.certificate_pem)) is None
    with pytest.raises(DomainError, match="without a limit"):
        services.create_issuing_ca(parent=ca.id, slug="deep", common_name="Deep", actor=ADA, now=now)


# --- cross-certificates


def test_leaf_verifies_through_both_paths(
    root: Issuer, ca: Issuer, now: datetime, tmp_path: Path, issue: Issue
) -> None:
    other = services.create_root(domain=NORTH, slug="other-root", common_name="Other Root", actor=ADA, now=now)
    cross = services.cross_sign(issuer=root.id, signer=other.id, actor=ADA, now=now)

    leaf = file(tmp_path, "leaf.pem", issue(ca.id).pem)
    issuing = file(tmp_path, "ca.pem", ca.certificate_pem)
    over = file(tmp_path, "cross.pem", cross.certificate_pem)
    roots = {each.slug: file(tmp_path, f"{each.slug}.pem", each.certificate_pem) for each in (root, other)}
    crls = tmp_path / "crls.pem"
    crls.write_text(queries.crl_bundle(domain=NORTH))
    options = ("-crl_check_all", "-CRLfile", str(crls))
    assert verify(leaf, roots=[roots["north-root"]], others=[issuing], options=options).endswith("OK\n")
    assert verify(leaf, roots=[roots["other-root"]], others=[issuing, over], options=options).endswith("OK\n")
    assert "verification failed" in verify(leaf, roots=[roots["other-root"]], others=[issuing], options=options)
    assert queries.cross_pem(issuer=root.id, now=now) == cross.certificate_pem


def test_cross_certificate_is_no_wider_than_its_signer(root: Issuer, ca: Issuer, now: datetime) -> None:
    with pytest.raises(DomainError) as caught:
        services.cross_sign(issuer=root.id, signer=ca.id, actor=ADA, now=now)
    assert caught.value.code == "issuer-path-length"


def test_outside_ca_certifies_our_root(root: Issuer, ca: Issuer, now: datetime, tmp_path: Path, issue: Issue) -> None:
    outside = outside_root(tmp_path, "Partner Root")
    csr = file(outside.folder, "north.csr", services.cross_request(issuer=root.id))
    assert "verify OK" in openssl("req", "-in", csr, "-noout", "-verify")
    renamed = outside.sign(csr, extensions="open_sub").read_bytes()  # with a key identifier of openssl's own
    with pytest.raises(DomainError) as caught:
        services.import_cross_certificate(issuer=root.id, certificate=renamed, actor=ADA, now=now)
    assert caught.value.code == "cross-certificate-key-id"
    signed = outside.sign(csr, extensions="cross")

    cross = services.import_cross_certificate(issuer=root.id, certificate=signed.read_bytes(), actor=ADA, now=now)

    assert (cross.signer, cross.signer_name) == (None, "CN=Partner Root,O=Outside")
    leaf = file(tmp_path, "leaf.pem", issue(ca.id).pem)
    others = [file(tmp_path, "ca.pem", ca.certificate_pem), file(tmp_path, "cross.pem", cross.certificate_pem)]
    assert verify(leaf, roots=[outside.certificate], others=others).endswith("OK\n")
    with pytest.raises(DomainError, match="already"):
        services.import_cross_certificate(issuer=root.id, certificate=signed.read_bytes(), actor=ADA, now=now)


def test_cross_certificate_for_another_key_is_refused(root: Issuer, now: datetime, tmp_path: Path) -> None:
    outside = outside_root(tmp_path, "Partner Root")
    other = outside.below("North Root", extensions="open_sub")
    with pytest.raises(DomainError) as caught:
        services.import_cross_certificate(
            issuer=root.id, certificate=other.certificate.read_bytes(), actor=ADA, now=now
        )
    assert caught.value.code == "issuer-key-mismatch"


# --- rollover


def test_rollover_has_both_trusted_with_crl_and_ocsp(
    root: Issuer, ca: Issuer, now: datetime, tmp_path: Path, issue: Issue
) -> None:
    before = issue(ca.id, "before")
    new = services.roll_over_issuer(issuer=ca.id, actor=ADA, now=now).successor
    assert new is not None
    after = issue(ca.id, "after")  # whoever names the old one gets a certificate of the new one

    assert (new.slug, new.name, new.parent) == ("north-ca-g2", "North CA G2", root.id)
    assert (before.issuer_slug, after.issuer_slug) == ("north-ca", "north-ca-g2")
    old = queries.find_issuer(id=ca.id)
    assert (old.state, old.successor) == (IssuerState.SUPERSEDED, new.id)
    bundle = queries.trust_bundle(domain=NORTH)
    assert old.certificate_pem in bundle
    assert new.certificate_pem in bundle
    roots = [file(tmp_path, "root.pem", root.certificate_pem)]
    services.revoke_certificate(certificate=after.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    for issuer in (old, new):
        services.publish_crl(issuer=issuer.id, now=now)
    crls = tmp_path / "crls.pem"
    crls.write_text(queries.crl_bundle(domain=NORTH))
    options = ("-crl_check_all", "-CRLfile", str(crls))
    for issued, issuer, verdict in ((before, old, "OK"), (after, new, "certificate revoked")):
        leaf = file(tmp_path, f"{issuer.slug}-leaf.pem", issued.pem)
        others = [file(tmp_path, f"{issuer.slug}.pem", issuer.certificate_pem)]
        assert verdict in verify(leaf, roots=roots, others=others, options=options)
        said = services.query_ocsp(issuer=issuer.slug, serial=issued.serial, now=now).status
        assert said == ("good" if verdict == "OK" else "revoked")
        assert queries.verify_presented(chain=[load(before.pem)], now=now).issuer == ca.id


def test_third_generation_signs_for_the_first(ca: Issuer, now: datetime, issue: Issue) -> None:
    second = services.roll_over_issuer(issuer=ca.id, actor=ADA, now=now).successor
    assert second is not None
    third = services.roll_over_issuer(
        issuer=second.id, key_algorithm=KeyAlgorithm.ECDSA_P384, actor=ADA, now=now
    ).successor
    assert third is not None
    assert (third.slug, third.name, third.key_algorithm) == ("north-ca-g3", "North CA G3", KeyAlgorithm.ECDSA_P384)
    assert issue(ca.id).issuer == third.id


def test_issuer_is_rolled_over_once(ca: Issuer, now: datetime) -> None:
    services.roll_over_issuer(issuer=ca.id, actor=ADA, now=now)
    with pytest.raises(DomainError) as caught:
        services.roll_over_issuer(issuer=ca.id, slug="another", actor=ADA, now=now)
    assert caught.value.code == "issuer-not-active"


def test_roots_of_a_rollover_certify_each_other(
    root: Issuer, ca: Issuer, now: datetime, tmp_path: Path, issue: Issue
) -> None:
    new = services.roll_over_issuer(issuer=root.id, actor=ADA, now=now).successor
    assert new is not None
    fresh = services.create_issuing_ca(parent=root.id, slug="fresh", common_name="Fresh CA", actor=ADA, now=now)
    assert fresh.parent == new.id
    old_with_new = queries.cross_pem(issuer=root.id, now=now)
    new_with_old = queries.cross_pem(issuer=new.id, now=now)
    # who knows only the new root believes what is below the old, and the other way about
    leaf = file(tmp_path, "leaf.pem", issue(ca.id, "one").pem)
    others = [file(tmp_path, "a.pem", ca.certificate_pem), file(tmp_path, "b.pem", old_with_new)]
    assert verify(leaf, roots=[file(tmp_path, "new.pem", new.certificate_pem)], others=others).endswith("OK\n")
    leaf = file(tmp_path, "leaf2.pem", issue(fresh.id, "two").pem)
    others = [file(tmp_path, "c.pem", fresh.certificate_pem), file(tmp_path, "d.pem", new_with_old)]
    assert verify(leaf, roots=[file(tmp_path, "old.pem", root.certificate_pem)], others=others).endswith("OK\n")


def test_rollover_of_a_root_that_broke_off_goes_on(
    root: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr("pki.services.issuers.rolling_over.cross_sign", broken)
        with pytest.raises(RuntimeError):
            services.roll_over_issuer(issuer=root.id, actor=ADA, now=now)
    again = services.roll_over_issuer(issuer=root.id, actor=ADA, now=now).successor
    assert again is not None
    assert again.slug == "north-root-g2"
    for issuer in (root.id, again.id):
        assert len(queries.list_cross_certificates(issuer=issuer)) == 1


# --- retirement


def test_issuer_with_valid_certificates_is_not_retired(ca: Issuer, now: datetime, issue: Issue) -> None:
    leaf = issue(ca.id)
    with pytest.raises(DomainError) as caught:
        services.retire_issuer(issuer=ca.id, actor=ADA, now=now)
    assert caught.value.code == "issuer-still-needed"
    assert f"{leaf.not_after:%Y-%m-%d %H:%M:%S}" in caught.value.detail
    assert "1 certificate" in caught.value.detail


def test_root_is_not_retired_before_what_is_below_it(root: Issuer, ca: Issuer, now: datetime) -> None:
    with pytest.raises(DomainError, match="north-ca"):
        services.retire_issuer(issuer=root.id, actor=ADA, now=now)


def test_clock_retires_the_old_issuer_when_its_last_leaf_has_ended(ca: Issuer, now: datetime, issue: Issue) -> None:
    leaf = issue(ca.id)
    services.roll_over_issuer(issuer=ca.id, actor=ADA, now=now)
    numbers = [queries.newest_crl_number(slug="north-ca")]
    assert services.retire_ended_issuers(now=now + timedelta(days=2)) == []
    assert services.retire_ended_issuers(now=leaf.not_after - timedelta(seconds=1)) == []
    assert services.retire_ended_issuers(now=leaf.not_after) == ["north-ca"]
    assert services.retire_ended_issuers(now=leaf.not_after) == []  # run twice
    numbers.append(queries.newest_crl_number(slug="north-ca"))
    assert numbers == [1, 2]  # the last CRL
    retired = queries.find_issuer(id=ca.id)
    assert retired.state is IssuerState.RETIRED
    assert retired.certificate_pem not in queries.trust_bundle(domain=NORTH)


def test_issuer_that_signed_nothing_stays_a_day_beside_its_successor(ca: Issuer, now: datetime) -> None:
    services.roll_over_issuer(issuer=ca.id, actor=ADA, now=now)
    assert services.retire_ended_issuers(now=now + timedelta(hours=23)) == []
    assert services.retire_ended_issuers(now=now + timedelta(hours=25)) == ["north-ca"]


def test_old_root_ends_when_what_is_below_it_has_ended(root: Issuer, ca: Issuer, now: datetime) -> None:
    new = services.roll_over_issuer(issuer=root.id, actor=ADA, now=now).successor
    assert new is not None
    assert services.retire_ended_issuers(now=now + timedelta(days=2)) == []
    services.retire_issuer(issuer=ca.id, actor=ADA, now=now)
    assert services.retire_ended_issuers(now=now + timedelta(days=2)) == ["north-root"]
    assert queries.trust_bundle(domain=NORTH) == new.certificate_pem
    assert queries.list_cross_certificates(issuer=root.id) == []  # the new root disowns the old one's key


def test_retired_issuer_signs_nothing_more(ca: Issuer, now: datetime, issue: Issue) -> None:
    services.retire_issuer(issuer=ca.id, actor=ADA, now=now)
    services.retire_issuer(issuer=ca.id, actor=ADA, now=now)  # repeated, harmless
    with pytest.raises(DomainError) as caught:
        issue(ca.id)
    assert caught.value.code == "issuer-not-issuing"


# --- revocation


def test_revoked_issuer_is_on_the_crl_of_its_parent(
    root: Issuer, ca: Issuer, now: datetime, tmp_path: Path, issue: Issue
) -> None:
    leaf = issue(ca.id)
    services.revoke_issuer(issuer=ca.id, actor=ADA, now=now)
    services.revoke_issuer(issuer=ca.id, actor=ADA, now=now)  # repeated, harmless
    services.publish_crl(issuer=root.id, now=now)

    crls = tmp_path / "crls.pem"
    crls.write_text(queries.crl_bundle(domain=NORTH))
    path = file(tmp_path, "leaf.pem", leaf.pem)
    above = [file(tmp_path, "ca.pem", ca.certificate_pem)]
    roots = [file(tmp_path, "root.pem", root.certificate_pem)]
    said = verify(path, roots=roots, others=above, options=("-crl_check_all", "-CRLfile", str(crls)))
    assert "error 23 at 1 depth lookup: certificate revoked" in said
    bundle = queries.trust_bundle(domain=NORTH)
    assert bundle == root.certificate_pem
    with pytest.raises(DomainError) as refused:
        queries.verify_presented(chain=[load(leaf.pem)], now=now)
    assert refused.value.code == "certificate-revoked"
    with pytest.raises(DomainError) as caught:
        issue(ca.id, "next")
    assert caught.value.code == "issuer-not-issuing"
    assert queries.find_issuer(id=ca.id).state is IssuerState.REVOKED


def test_everything_below_a_revoked_issuer_is_revoked_in_effect(root: Issuer, now: datetime, issue: Issue) -> None:
    middle = services.create_issuing_ca(
        parent=root.id, slug="middle", common_name="Middle", path_length=1, actor=ADA, now=now
    )
    low = services.create_issuing_ca(parent=middle.id, slug="low", common_name="Low", actor=ADA, now=now)
    leaf = issue(low.id)
    services.revoke_issuer(issuer=middle.id, actor=ADA, now=now)
    assert queries.trust_bundle(domain=NORTH) == root.certificate_pem
    with pytest.raises(DomainError) as refused:
        queries.verify_presented(chain=[load(leaf.pem)], now=now)
    assert refused.value.code == "certificate-revoked"
    with pytest.raises(DomainError) as caught:
        issue(low.id, "next")
    assert caught.value.code == "issuer-not-issuing"


def test_root_is_withdrawn_only_when_its_slug_is_said_again(
    root: Issuer, ca: Issuer, now: datetime, issue: Issue
) -> None:
    leaf = issue(ca.id)
    with pytest.raises(DomainError) as caught:
        services.revoke_issuer(issuer=root.id, actor=ADA, now=now)
    assert caught.value.code == "issuer-not-confirmed"
    services.revoke_issuer(issuer=root.id, confirmed="north-root", actor=ADA, now=now)
    assert queries.trust_bundle(domain=NORTH) == ""
    with pytest.raises(DomainError):
        queries.verify_presented(chain=[load(leaf.pem)], now=now)


def test_cross_certificates_of_a_revoked_issuer_are_revoked(root: Issuer, now: datetime) -> None:
    other = services.create_root(domain=NORTH, slug="other-root", common_name="Other Root", actor=ADA, now=now)
    cross = services.cross_sign(issuer=root.id, signer=other.id, actor=ADA, now=now)
    services.revoke_issuer(issuer=root.id, confirmed="north-root", actor=ADA, now=now)
    serial = load(cross.certificate_pem).serial_number
    crl = x509.load_der_x509_crl(services.publish_crl(issuer=other.id, now=now).der)
    assert crl.get_revoked_certificate_by_serial_number(serial) is not None
    assert queries.cross_pem(issuer=root.id, now=now) == ""


def test_imported_sub_ca_is_revoked_at_our_imported_root(now: datetime, tmp_path: Path) -> None:
    outside = outside_root(tmp_path, "Old Root")
    below = outside.below("Old Sub")

    def take(ca: OutsideCa, slug: str) -> Issuer:
        return services.import_issuer(
            domain=NORTH,
            slug=slug,
            certificate=ca.certificate.read_bytes(),
            key=ca.key.read_bytes(),
            actor=ADA,
            now=now,
        )

    root, sub = take(outside, "old-root"), take(below, "old-sub")
    assert sub.parent == root.id
    services.revoke_issuer(issuer=sub.id, actor=ADA, now=now)
    crl = x509.load_der_x509_crl(services.publish_crl(issuer=root.id, now=now).der)
    assert crl.get_revoked_certificate_by_serial_number(sub.serial) is not None


def test_issuer_of_every_kind_stands_where_it_should(now: datetime, root: Issuer) -> None:
    with pytest.raises(DomainError) as caught:
        services.create_issuing_ca(
            parent=root.id, slug="late", common_name="Late", validity=timedelta(days=4000), actor=ADA, now=now
        )
    assert caught.value.code == "issuer-validity"
    year = services.create_root(
        domain=NORTH, slug="year", common_name="Year", validity=timedelta(days=365), actor=ADA, now=now
    )
    assert year.not_after == (now + timedelta(days=365)).replace(microsecond=0)
    assert year.kind is IssuerKind.ONLINE
    for days in (0, 9_133):
        with pytest.raises(DomainError) as wrong:
            services.create_root(
                domain=NORTH, slug="x", common_name="X", validity=timedelta(days=days), actor=ADA, now=now
            )
        assert wrong.value.code == "issuer-validity"


# --- every algorithm


@pytest.mark.parametrize("algorithm", [each for each in KeyAlgorithm if each is not KeyAlgorithm.RSA_4096])
def test_issuers_of_every_algorithm_are_certified_across_and_rolled_over(
    now: datetime, tmp_path: Path, algorithm: KeyAlgorithm
) -> None:
    who: dict[str, Any] = {"key_algorithm": algorithm, "actor": ADA, "now": now}
    root = services.create_root(domain=NORTH, slug="a-root", common_name="A Root", **who)
    other = services.create_root(domain=NORTH, slug="b-root", common_name="B Root", **who)
    ca = services.create_issuing_ca(parent=root.id, slug="a-ca", common_name="A CA", **who)
    cross = services.cross_sign(issuer=root.id, signer=other.id, actor=ADA, now=now)
    new = services.roll_over_issuer(issuer=ca.id, actor=ADA, now=now).successor
    assert new is not None
    assert new.key_algorithm is algorithm
    pairs = [(ca, root), (new, root)]
    for below, above in [*((one.certificate_pem, two) for one, two in pairs), (cross.certificate_pem, other)]:
        assert is_signed_by(load(below), load(above.certificate_pem))
    if not algorithm.startswith("ml-dsa"):  # openssl 3.0 knows nothing of those
        path = file(tmp_path, "ca.pem", new.certificate_pem)
        others = [file(tmp_path, "cross.pem", cross.certificate_pem)]
        assert verify(path, roots=[file(tmp_path, "b.pem", other.certificate_pem)], others=others).endswith("OK\n")


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.ED25519, KeyAlgorithm.ML_DSA_65])
def test_issuer_of_every_sort_of_key_is_imported(now: datetime, algorithm: KeyAlgorithm) -> None:
    certificate, key = make_offline_root(
        common_name="Made Elsewhere", algorithm=algorithm, validity=timedelta(days=100), now=now
    )
    taken = services.import_issuer(
        domain=NORTH,
        slug="made",
        certificate=certificate.public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        actor=ADA,
        now=now,
    )
    assert taken.key_algorithm is algorithm
    assert queries.newest_crl_number(slug="made") == 1


# --- pkilint


def test_pkilint_finds_nothing_in_cross_certificates(root: Issuer, now: datetime, tmp_path: Path) -> None:
    other = services.create_root(domain=NORTH, slug="other-root", common_name="Other Root", actor=ADA, now=now)
    services.cross_sign(issuer=root.id, signer=other.id, actor=ADA, now=now)
    services.roll_over_issuer(issuer=root.id, actor=ADA, now=now)
    for slug in ("north-root", "north-root-g2"):
        issuer = queries.find_issuer(slug=slug)
        for number, cross in enumerate(queries.list_cross_certificates(issuer=issuer.id)):
            assert pkilint("lint_pkix_cert", file(tmp_path, f"{slug}-{number}.pem", cross.certificate_pem)) == []
        assert pkilint("lint_pkix_cert", file(tmp_path, f"{slug}.pem", issuer.certificate_pem)) == []
