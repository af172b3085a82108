"""Many certificates at once: each for itself, with its entry in the journal, and no one else's key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from django.db import connection

from kernel.core.errors import DomainError, Unavailable
from kernel.core.journal import Break
from kernel.queries import iterate_entries, verify_journal
from pki import queries, services
from pki.core import keys
from pki.core.csr import inspect_csr
from pki.core.keys import SigningKey, generate_key
from pki.core.profile_documents import profile_document
from pki.core.values import CertificateState, IssuedCertificate, Issuer, IssuerState, KeyAlgorithm, ReasonCode
from pki.models import Certificate, PublicKeyHolder
from pki.models import Issuer as IssuerRow
from pki.services import IssuanceRequest, Refusal
from tests.cast import ADA, NORTH
from tests.pki.conftest import openssl


def request_for(holder: str, csr: bytes | None = None, name: str = "pump") -> IssuanceRequest:
    variables = {"auth_id": name, "domain": "north", "id": holder.partition(":")[2]}
    return IssuanceRequest(csr=csr or new_csr(name), holder=holder, variables=variables)


def new_csr(name: str = "pump") -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


Batch = Callable[..., list[IssuedCertificate | Refusal]]


@pytest.fixture
def batch(ca: Issuer, now: datetime) -> Batch:
    def issue(*requests: IssuanceRequest, **changed: Any) -> list[IssuedCertificate | Refusal]:
        asked: dict[str, Any] = {"issuer": ca.id, "profile": "device", "requests": requests, "actor": ADA, "now": now}
        return services.issue_certificates(**asked | changed)

    return issue


def codes(outcomes: list[IssuedCertificate | Refusal]) -> list[str]:
    return [each.code if isinstance(each, Refusal) else "issued" for each in outcomes]


def spoiled(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[int, SigningKey, bytes], bytes]) -> None:
    """Has `spoil` make the signatures; it is told how many there were before."""
    count = iter(range(1_000_000))
    monkeypatch.setattr(keys, "wrap_signed", lambda key, octets: spoil(next(count), key, octets))


right = keys.wrap_signed


def test_one_that_is_refused_stops_no_other(batch: Batch) -> None:
    shared = new_csr()
    outcomes = batch(
        request_for("device:1", shared),
        request_for("device:2", b"junk"),
        request_for("device:3", shared),
        request_for("device:1", shared),
        request_for("device:4", new_csr(), name="x" * 65),
        request_for("", None),
        request_for("device:5"),
    )
    assert codes(outcomes) == [
        "issued", "csr-malformed", "key-in-use", "issued", "certificate-name", "certificate-holder", "issued",
    ]  # fmt: skip
    assert Certificate.objects.filter(state="requested").count() == 0


def test_each_has_one_entry_in_one_chain(batch: Batch) -> None:
    before = sum(1 for _ in iterate_entries())
    outcomes = batch(*(request_for(f"device:{number}") for number in range(300)))
    entries = [*iterate_entries()][before:]
    assert [entry.subject.id for entry in entries] == [
        str(each.id) for each in outcomes if not isinstance(each, Refusal)
    ]
    assert len({entry.digest for entry in entries}) == 300
    assert not [each for each in verify_journal() if isinstance(each, Break)]


def test_the_rows_are_as_those_of_certificates_issued_alone(batch: Batch, ca: Issuer, now: datetime) -> None:
    csr = new_csr()
    [one] = batch(request_for("device:1", csr))
    alone = services.issue_certificate(
        issuer=ca.id, profile="device", csr=csr, holder="device:1",
        variables={"auth_id": "pump", "domain": "north", "id": "1"}, actor=ADA, now=now,
    )  # fmt: skip
    assert isinstance(one, IssuedCertificate)
    assert queries.get_certificate(id=one.id) == one
    differing = {"id", "serial", "der", "fingerprint"}
    rows: list[dict[str, Any]] = [dict(Certificate.objects.filter(id=each.id).values().get()) for each in (one, alone)]
    assert {name for name in rows[0] if rows[0][name] != rows[1][name]} == differing
    assert (rows[0]["key_kind"], rows[0]["profile_version"], rows[0]["subject"]) == ("ecdsa-p256", 0, "CN=pump")


@pytest.mark.parametrize(
    "algorithm", [KeyAlgorithm.ECDSA_P256, KeyAlgorithm.ECDSA_P384, KeyAlgorithm.ED25519, KeyAlgorithm.RSA_3072]
)
def test_openssl_verifies_them(
    algorithm: KeyAlgorithm, batch: Batch, root: Issuer, now: datetime, tmp_path: Path
) -> None:
    ca = services.create_issuing_ca(
        parent=root.id, slug="other", common_name="Other", key_algorithm=algorithm, actor=ADA, now=now
    )
    (tmp_path / "root.pem").write_text(root.certificate_pem)
    (tmp_path / "ca.pem").write_text(ca.certificate_pem)
    leaves = []
    for number, each in enumerate(batch(*(request_for(f"device:{number}") for number in range(3)), issuer=ca.id)):
        assert isinstance(each, IssuedCertificate)
        leaves.append(tmp_path / f"{number}.pem")
        leaves[-1].write_text(each.pem)
    above: list[str | Path] = ["-CAfile", tmp_path / "root.pem", "-untrusted", tmp_path / "ca.pem"]
    assert openssl("verify", "-x509_strict", *above, *leaves).count(": OK") == 3


def test_the_rows_are_there_before_any_is_signed(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def look(number: int, key: SigningKey, octets: bytes) -> bytes:
        seen.append(Certificate.objects.filter(state="requested", profile="device").count())
        return right(key, octets)

    spoiled(monkeypatch, look)
    batch(*(request_for(f"device:{number}") for number in range(3)))
    assert seen == [3, 3, 3]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_crash_while_signing_ends_with_all_of_them_revoked(
    at: int, batch: Batch, ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(number: int, key: SigningKey, octets: bytes) -> bytes:
        if number == at:
            raise KeyboardInterrupt
        return right(key, octets)

    with monkeypatch.context() as patch:
        spoiled(patch, crash)
        with pytest.raises(KeyboardInterrupt):
            batch(*(request_for(f"device:{number}") for number in range(3)))
    rows = Certificate.objects.filter(profile="device")
    assert {*rows.values_list("state", flat=True)} == {"requested"}
    later = now + timedelta(minutes=11)
    assert len(services.abandon_unsigned(now=later)) == 3
    crl = x509.load_der_x509_crl(services.publish_crl(issuer=ca.id, now=later).der)
    assert {f"{each.serial_number:x}" for each in crl} == {*rows.values_list("serial", flat=True)}


def test_a_crash_before_the_rows_are_written_leaves_nothing(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pki.services.write_ahead.insert_rows", crash)
    before = PublicKeyHolder.objects.count()
    with pytest.raises(KeyboardInterrupt):
        batch(request_for("device:1"))
    assert not Certificate.objects.filter(profile="device").exists()
    assert PublicKeyHolder.objects.count() == before


def test_a_crash_while_they_are_stored_leaves_rows_to_revoke(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pki.services.write_ahead.record_many", crash)
    with pytest.raises(KeyboardInterrupt):
        batch(request_for("device:1"), request_for("device:2"))
    assert [*Certificate.objects.filter(profile="device").values_list("state", "der")] == [("requested", None)] * 2


def test_what_was_signed_wrongly_is_not_handed_out_and_the_others_are(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = generate_key(KeyAlgorithm.ECDSA_P256)
    spoiled(monkeypatch, lambda number, key, octets: right(stranger if number == 1 else key, octets))
    with caplog.at_level("CRITICAL"):
        outcomes = batch(*(request_for(f"device:{number}") for number in range(3)))
    assert codes(outcomes) == ["issued", "missigned", "issued"]
    assert Certificate.objects.get(holder="device:1").state == CertificateState.REQUESTED


def test_a_key_that_does_not_answer_ends_the_signing_and_keeps_what_was_signed(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def away(number: int, key: SigningKey, octets: bytes) -> bytes:
        asked.append(number)
        if number == 1:
            raise Unavailable("The token does not answer: try again.")
        return right(key, octets)

    spoiled(monkeypatch, away)
    outcomes = batch(*(request_for(f"device:{number}") for number in range(4)))
    assert codes(outcomes) == ["issued", "unavailable", "unavailable", "unavailable"]
    assert [each.is_retryable for each in outcomes if isinstance(each, Refusal)] == [True] * 3
    assert asked == [0, 1]


def test_what_was_given_up_meanwhile_is_refused_and_the_others_are_issued(
    batch: Batch, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(number: int, key: SigningKey, octets: bytes) -> bytes:
        if number == 0:
            row = Certificate.objects.get(holder="device:1")
            Certificate.objects.exclude(id=row.id).filter(state="requested").update(
                requested_at=now + timedelta(days=1)
            )
            services.abandon_unsigned(now=now + timedelta(minutes=11))
        return right(key, octets)

    spoiled(monkeypatch, slow)
    outcomes = batch(*(request_for(f"device:{number}") for number in range(3)))
    assert codes(outcomes) == ["issued", "request-abandoned", "issued"]
    assert Certificate.objects.get(holder="device:1").state == CertificateState.REVOKED


def test_a_key_that_is_known_to_be_weak_is_refused(batch: Batch) -> None:
    csr = new_csr()
    PublicKeyHolder.objects.create(
        public_key_sha256=inspect_csr(csr).public_key_sha256, holder="device:1", weakness="published"
    )
    assert codes(batch(request_for("device:1", csr), request_for("device:2"))) == ["weak-key", "issued"]


def test_the_queries_do_not_grow_with_the_number(batch: Batch) -> None:
    batch(request_for("device:0"))
    seen = []
    for count in (1, 100):
        requests = [request_for(f"device:{count}-{number}") for number in range(count)]
        with counted() as found:
            batch(*requests)
        seen.append(len(found))
    assert seen[0] == seen[1] <= 16


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent."""
    found: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found


@pytest.mark.parametrize("profile", ["issuing-ca", "root", "ocsp-signer"])
def test_nobody_gets_what_speaks_for_the_ca_by_asking(profile: str, batch: Batch) -> None:
    with pytest.raises(DomainError) as caught:
        batch(request_for("service:1"), profile=profile)
    assert caught.value.code == "profile-not-for-requests"


def test_the_newest_successor_signs_for_an_issuer_that_was_rolled_over(
    batch: Batch, ca: Issuer, root: Issuer, now: datetime
) -> None:
    newer = services.roll_over_issuer(issuer=ca.id, actor=ADA, now=now).successor
    assert newer is not None
    newest = services.roll_over_issuer(issuer=newer.id, actor=ADA, now=now).successor
    assert newest is not None
    [issued] = batch(request_for("device:1"))
    assert isinstance(issued, IssuedCertificate)
    assert issued.issuer == newest.id


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": IssuerState.RETIRED}, "issuer-not-issuing"),
        ({"state": IssuerState.REVOKED}, "issuer-not-issuing"),
        ({"kind": "trusted", "key": None}, "issuer-not-issuing"),
        ({"kind": "offline", "key": None}, "issuer-key-elsewhere"),
    ],
)
def test_who_does_not_sign_says_so_and_leaves_no_row(
    changes: dict[str, Any], code: str, batch: Batch, ca: Issuer
) -> None:
    IssuerRow.objects.filter(id=ca.id).update(**changes)
    with pytest.raises(DomainError) as caught:
        batch(request_for("device:1"))
    assert caught.value.code == code
    assert not Certificate.objects.filter(profile="device").exists()


def test_a_certificate_names_its_shard_for_ever(root: Issuer, now: datetime, batch: Batch) -> None:
    ca = services.create_issuing_ca(
        parent=root.id, slug="shards", common_name="Shards", crl_shards=4, actor=ADA, now=now
    )
    for each in batch(*(request_for(f"device:{number}") for number in range(12)), issuer=ca.id):
        assert isinstance(each, IssuedCertificate)
        assert each.shard == each.serial % 4
        points = x509.load_pem_x509_certificate(each.pem.encode()).extensions.get_extension_for_class(
            x509.CRLDistributionPoints
        )
        [name] = points.value[0].full_name or []
        assert name.value == f"http://127.0.0.1:8000/pki/shards/crl/{each.shard}"


def test_a_domain_s_own_version_of_a_profile_is_used_and_kept(batch: Batch, now: datetime) -> None:
    document = profile_document(queries.find_profile(domain=NORTH, name="device")) | {"validity": {"days": 30}}
    saved = services.save_profile(domain=NORTH, name="device", document=document, actor=ADA, now=now)
    [issued] = batch(request_for("device:1"))
    assert isinstance(issued, IssuedCertificate)
    assert issued.profile_version == saved.profile.version == 1
    assert issued.not_after == now.replace(microsecond=0) + timedelta(days=30)


@pytest.mark.several_writers
@pytest.mark.django_db(transaction=True)
def test_of_many_who_ask_at_once_one_holder_gets_the_key(now: datetime) -> None:
    root = services.create_root(domain=NORTH, slug="r", common_name="R", actor=ADA, now=now)
    ca = services.create_issuing_ca(parent=root.id, slug="c", common_name="C", actor=ADA, now=now)
    shared = [new_csr(str(number)) for number in range(20)]

    def ask(holder: str) -> list[IssuedCertificate | Refusal]:
        order = shared if holder < "device:2" else shared[::-1]
        try:
            return services.issue_certificates(
                issuer=ca.id, profile="device", actor=ADA, now=now, requests=[request_for(holder, csr) for csr in order]
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        outcomes = [*pool.map(ask, [f"device:{number}" for number in range(4)])]
    assert {code for each in outcomes for code in codes(each)} <= {"issued", "key-in-use"}
    issued = [each for some in outcomes for each in some if isinstance(each, IssuedCertificate)]
    assert len(issued) == len({each.public_key_sha256 for each in issued}) == 20
    assert not [each for each in verify_journal() if isinstance(each, Break)]
    services.revoke_certificate(certificate=issued[0].id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
