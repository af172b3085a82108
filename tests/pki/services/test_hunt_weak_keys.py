"""Weak keys among those that certificates were issued for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kernel.queries import list_entries, verify_journal
from pki import queries, services
from pki.core.key_checks import WeakKey
from pki.core.values import IssuedCertificate, Issuer
from pki.core.weak_keys import read_debian_list, use_lists
from pki.core.weakness import Weakness
from pki.models import Certificate, PublicKeyHolder
from pki.models import Issuer as IssuerRow
from pki.tasks import hunt_weak_keys as hunt_task
from tests.cast import ADA, SOUTH
from tests.pki.conftest import openssl

pytestmark = pytest.mark.django_db

Issue = Callable[[str, rsa.RSAPrivateKey], IssuedCertificate]


@pytest.fixture
def issue(ca: Issuer, now: datetime) -> Issue:
    """Gives a device a certificate for that key."""

    def for_key(name: str, key: rsa.RSAPrivateKey, *, at: datetime = now) -> IssuedCertificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
        return services.issue_certificate(
            issuer=ca.id,
            profile="device",
            csr=csr.public_bytes(Encoding.PEM),
            holder=f"device:{name}",
            variables={"auth_id": name, "domain": "north", "id": name},
            actor=ADA,
            now=at,
        )

    return for_key


@pytest.fixture
def _no_lists() -> Iterator[None]:
    yield
    use_lists([])


@pytest.fixture(scope="module")
def keys() -> list[rsa.RSAPrivateKey]:
    """Two keys with a prime in common, as openssl checks them, and one with none."""
    first, second, good = (rsa.generate_private_key(65_537, 2048) for _ in range(3))
    shared = first.private_numbers().p
    return [first, key_of(shared, second.private_numbers().q), good]


def key_of(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(65_537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65_537, p * q)
    coefficients = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    return rsa.RSAPrivateNumbers(p, q, d, *coefficients, public).private_key()


def marks() -> dict[str, str]:
    rows = PublicKeyHolder.objects.exclude(weakness="").values_list("holder", "weakness")
    return {holder: Weakness.parse(weakness).code for holder, weakness in rows}


def test_shared_prime_marks_both_keys(issue: Issue, keys: list[rsa.RSAPrivateKey], now: datetime) -> None:
    for name, key in zip(("pump-1", "pump-2", "pump-3"), keys, strict=True):
        issue(name, key)
    hunt = services.hunt_weak_keys(actor=ADA, now=now)
    assert {found.holder for found in hunt.found} == {"device:pump-1", "device:pump-2"}
    assert hunt.rsa_keys == 3
    assert marks() == {"device:pump-1": "shared-factor", "device:pump-2": "shared-factor"}
    assert len({found.weakness.group for found in hunt.found}) == 1
    assert [entry.action for entry in list_entries(limit=3)] == [
        "pki.keys.examined", "pki.key.found_weak", "pki.key.found_weak",
    ]  # fmt: skip
    assert all(entry.seq for entry in verify_journal())


def test_marked_key_is_refused_and_a_critical_finding(
    issue: Issue, keys: list[rsa.RSAPrivateKey], now: datetime, ca: Issuer
) -> None:
    issue("pump-1", keys[0])
    issue("pump-2", keys[1])
    services.hunt_weak_keys(actor=ADA, now=now)
    with pytest.raises(WeakKey, match="shares a prime"):
        issue("pump-1", keys[0])
    found = [each for each in queries.PkiFindings().find(domains=None, now=now) if each.code == "key-shared-factor"]
    assert len(found) == 2
    assert all("device:pump-1" in each.detail and "device:pump-2" in each.detail for each in found)


def test_new_key_is_compared_with_those_of_yesterday(
    issue: Callable[..., IssuedCertificate], keys: list[rsa.RSAPrivateKey], now: datetime
) -> None:
    issue("pump-1", keys[0])
    issue("pump-3", keys[2])
    assert services.hunt_weak_keys(actor=ADA, now=now + timedelta(hours=2)).found == ()
    issue("pump-2", keys[1], at=now + timedelta(hours=3))
    hunt = services.hunt_weak_keys(actor=ADA, now=now + timedelta(hours=4))
    assert (hunt.rsa_keys, hunt.new_keys) == (3, 1)
    assert {found.holder for found in hunt.found} == {"device:pump-1", "device:pump-2"}


def test_hunt_is_repeated_without_harm(issue: Issue, keys: list[rsa.RSAPrivateKey], now: datetime) -> None:
    issue("pump-1", keys[0])
    issue("pump-2", keys[1])
    services.hunt_weak_keys(actor=ADA, now=now)
    before = marks()
    again = services.hunt_weak_keys(everything=True, actor=ADA, now=now)
    assert again.found == ()
    assert marks() == before


def test_task_runs_twice_and_is_not_handed_out_again_while_it_runs(issue: Issue, keys: list[rsa.RSAPrivateKey]) -> None:
    issue("pump-1", keys[0])
    issue("pump-2", keys[1])
    for _ in range(2):
        hunt_task.apply()
    assert set(marks()) == {"device:pump-1", "device:pump-2"}
    assert [entry.action for entry in list_entries(limit=9)].count("pki.key.found_weak") == 2
    assert hunt_task.acks_late is False


def test_third_key_joins_the_group(issue: Issue, keys: list[rsa.RSAPrivateKey], now: datetime) -> None:
    issue("pump-1", keys[0])
    issue("pump-2", keys[1])
    services.hunt_weak_keys(actor=ADA, now=now)
    issue("pump-4", key_of(keys[1].private_numbers().q, keys[2].private_numbers().p))
    [found] = services.hunt_weak_keys(everything=True, actor=ADA, now=now).found
    groups = {str(row) for row in PublicKeyHolder.objects.exclude(weakness="").values_list("weakness", flat=True)}
    assert groups == {str(found.weakness)}


def test_same_modulus_with_two_exponents_is_one_private_key(
    issue: Issue, keys: list[rsa.RSAPrivateKey], now: datetime
) -> None:
    numbers = keys[2].private_numbers()
    d = pow(65_539, -1, (numbers.p - 1) * (numbers.q - 1))
    crt = (rsa.rsa_crt_dmp1(d, numbers.p), rsa.rsa_crt_dmq1(d, numbers.q), numbers.iqmp)
    public = rsa.RSAPublicNumbers(65_539, numbers.public_numbers.n)
    issue("pump-1", keys[2])
    issue("pump-2", rsa.RSAPrivateNumbers(numbers.p, numbers.q, d, *crt, public).private_key())
    assert len(services.hunt_weak_keys(actor=ADA, now=now).found) == 2


@pytest.mark.usefixtures("_no_lists")
def test_list_that_came_later_finds_old_keys(
    issue: Issue, keys: list[rsa.RSAPrivateKey], now: datetime, tmp_path: Path
) -> None:
    certificate = issue("pump-1", keys[2])
    issue("pump-2", keys[0])
    assert services.hunt_weak_keys(actor=ADA, now=now + timedelta(hours=2)).found == ()
    (tmp_path / "pump.pem").write_text(certificate.pem)
    said = openssl("x509", "-in", tmp_path / "pump.pem", "-noout", "-modulus")
    use_lists([read_debian_list(hashlib.sha1(said.encode()).hexdigest()[20:].encode())])
    [found] = services.hunt_weak_keys(actor=ADA, now=now + timedelta(hours=4)).found
    assert (found.holder, str(found.weakness)) == ("device:pump-1", "debian")
    with pytest.raises(WeakKey, match="Debian"):
        issue("pump-1", keys[2])


def test_unknown_kind_of_key_is_read_from_the_certificate(
    issue: Issue, keys: list[rsa.RSAPrivateKey], now: datetime
) -> None:
    issue("pump-1", keys[0])
    issue("pump-2", keys[1])
    Certificate.objects.update(key_kind="")
    assert services.hunt_weak_keys(actor=ADA, now=now).rsa_keys == 2


def test_key_of_a_root_is_looked_at_though_no_certificate_is_on_record(
    issue: Issue, keys: list[rsa.RSAPrivateKey], root: Issuer, now: datetime
) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Weak Root")])
    builder = x509.CertificateBuilder(name, name, keys[1].public_key(), 7, now, now + timedelta(days=9))
    weak_root = builder.sign(keys[1], SHA256()).public_bytes(Encoding.DER)
    IssuerRow.objects.filter(id=root.id).update(der=weak_root)
    issue("pump-1", keys[0])
    hunt = services.hunt_weak_keys(actor=ADA, now=now)
    assert {found.holder for found in hunt.found} == {"device:pump-1", "issuer:north-root"}
    found = [each for each in queries.PkiFindings().find(domains=None, now=now) if each.code == "key-shared-factor"]
    assert {each.subject.label for each in found} >= {"north-root"}
    assert len(found) == 2


def test_finding_of_another_domain_names_no_holder(issue: Issue, keys: list[rsa.RSAPrivateKey], now: datetime) -> None:
    issue("pump-1", keys[0])
    foreign = issue("pump-2", keys[1])
    Certificate.objects.filter(id=foreign.id).update(domain_id=SOUTH)
    services.hunt_weak_keys(actor=ADA, now=now)
    found = [each for each in queries.PkiFindings().find(domains=[SOUTH], now=now) if each.code == "key-shared-factor"]
    assert [each.subject.id for each in found] == [str(foreign.id)]
    assert "pump-1" not in found[0].detail
