"""Threads against each other on a real database; tests/test_on_postgresql.py runs this module there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from cryptography import x509
from django.db import connection, connections, transaction

from kernel.core.errors import DomainError
from kernel.models import JournalEntry
from pki import queries, services
from pki.core.values import IssuedCertificate, Issuer, ReasonCode
from pki.models import Certificate, Crl
from tests.cast import ADA
from tests.pki.conftest import IssueDevice, make_csr

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _on_a_server(transactional_db: None) -> None:
    assert connection.vendor == "postgresql", "threads prove nothing on a database in memory"


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each returned, or the DomainError that it raised; another error fails the test."""
    barrier = Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            barrier.wait(90)
            results[place] = work()
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[place] = error
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=each) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    for result in results:
        assert not isinstance(result, Exception) or isinstance(result, DomainError), repr(result)
    return results


def now() -> datetime:
    return datetime.now(UTC)


def serials(der: bytes) -> set[int]:
    return {entry.serial_number for entry in x509.load_der_x509_crl(der)}


def test_builders_and_revokers_at_once_leave_rising_numbers_and_no_gap(ca: Issuer, issue_device: IssueDevice) -> None:
    devices = [issue_device(f"pump-{number}") for number in range(24)]
    published: list[tuple[int, set[int]]] = []

    def revoke(some: Sequence[IssuedCertificate]) -> None:
        for device in some:
            services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now())
            crl = services.publish_crl(issuer=ca.id, now=now())
            published.append((crl.number, serials(crl.der)))
            assert device.serial in published[-1][1], "a CRL covers what was revoked before it was asked for"

    def build() -> None:
        for _ in range(8):
            crl = services.publish_crl(issuer=ca.id, now=now(), force=True)
            published.append((crl.number, serials(crl.der)))

    at_once(*(lambda part=part: revoke(devices[part::3]) for part in range(3)), build, build)
    by_number: dict[int, set[int]] = {}
    for number, listed in published:
        assert by_number.setdefault(number, listed) == listed, "a number stands for one CRL"
    ordered = [by_number[number] for number in sorted(by_number)]
    assert all(earlier <= later for earlier, later in pairwise(ordered))
    assert ordered[-1] == {device.serial for device in devices}
    newest = queries.latest_crl(issuer=ca.id)
    assert newest is not None
    assert newest.number == max(by_number)
    assert Crl.objects.filter(issuer_id=ca.id).exclude(der=b"").count() == 2, "the newest and its delta alone"


def test_one_key_is_bound_to_one_of_two_holders(ca: Issuer, tmp_path: Path) -> None:
    for round in range(6):
        csr = make_csr(tmp_path, f"key-{round}")

        def issue(holder: str, csr: bytes = csr) -> IssuedCertificate:
            variables = {"auth_id": holder, "domain": "north", "id": holder}
            return services.issue_certificate(
                issuer=ca.id, profile="device", csr=csr, holder=holder, variables=variables, actor=ADA, now=now()
            )

        results = at_once(*(lambda holder=f"device:{round}-{each}": issue(holder) for each in range(4)))
        refused = [result for result in results if isinstance(result, DomainError)]
        assert [error.code for error in refused] == ["key-in-use"] * 3
        [issued] = [result for result in results if isinstance(result, IssuedCertificate)]
        assert queries.holder_of_key(public_key_sha256=issued.public_key_sha256) == issued.holder
        assert Certificate.objects.filter(public_key_sha256=issued.public_key_sha256).count() == 1


def test_a_revocation_asked_for_eight_times_is_recorded_once(ca: Issuer, issue_device: IssueDevice) -> None:
    device = issue_device("pump")

    def revoke() -> Any:
        return services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now())

    assert len({revocation.operation for revocation in at_once(*[revoke] * 8)}) == 1
    assert JournalEntry.objects.filter(action="pki.certificate.revoked").count() == 1


def test_nested_and_single_revocations_do_not_wait_crosswise(ca: Issuer, issue_device: IssueDevice) -> None:
    for round in range(5):
        first, second = issue_device(f"a-{round}"), issue_device(f"b-{round}")

        def revoke(*certificates: IssuedCertificate) -> None:
            with transaction.atomic():
                for certificate in certificates:
                    services.revoke_certificate(
                        certificate=certificate.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now()
                    )

        at_once(
            lambda a=first, b=second: revoke(a, b),  # type: ignore[misc]
            lambda a=first, b=second: revoke(b, a),  # type: ignore[misc]
            lambda b=second: revoke(b),  # type: ignore[misc]
            lambda: services.publish_crl(issuer=ca.id, now=now(), force=True),
        )
        assert {queries.get_certificate(id=each.id).state for each in (first, second)} == {"revoked"}


def test_hold_release_and_revoke_at_once_end_in_one_of_their_states(ca: Issuer, issue_device: IssueDevice) -> None:
    device = issue_device("pump")
    results = at_once(
        lambda: services.hold_certificate(certificate=device.id, actor=ADA, now=now()),
        lambda: services.release_certificate(certificate=device.id, actor=ADA, now=now()),
        lambda: services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now()),
    )
    assert {error.code for error in results if isinstance(error, DomainError)} <= {"certificate-not-held"}
    crl = services.publish_crl(issuer=ca.id, now=now())
    assert serials(crl.der) == {device.serial}
    assert queries.get_certificate(id=device.id).state == "revoked"


def test_full_delta_and_shards_show_the_same_whatever_happens_meanwhile(
    root: Issuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = sys.modules["pki.services.publish_crl"]
    right, editions = module.build_edition, []

    def build_edition(*args: Any, **more: Any) -> Any:
        editions.append(right(*args, **more))
        return editions[-1]

    monkeypatch.setattr(module, "build_edition", build_edition)
    ca = services.create_issuing_ca(
        parent=root.id, slug="sharded", common_name="Sharded", crl_shards=3, actor=ADA, now=now()
    )
    devices = [issue_from(ca, tmp_path, f"pump-{number}") for number in range(12)]
    editions.clear()

    def change(some: Sequence[IssuedCertificate]) -> None:
        for device in some:
            services.hold_certificate(certificate=device.id, actor=ADA, now=now())
            services.release_certificate(certificate=device.id, actor=ADA, now=now())
            services.hold_certificate(certificate=device.id, actor=ADA, now=now())
            if device.serial % 2:
                revoke_for_good(device)

    def build() -> None:
        for _ in range(10):
            services.publish_crl(issuer=ca.id, now=now())

    at_once(*(lambda part=part: change(devices[part::2]) for part in range(2)), build, build)
    services.publish_crl(issuer=ca.id, now=now(), force=True)
    for edition in editions:
        [delta] = [crl for crl in edition.others if crl.kind == "delta"]
        assert delta.base_number == 1, "which is empty, so that the delta alone makes the full one"
        changed = {serial: reason for serial, reason in reasons(delta.der).items() if reason != "removeFromCRL"}
        assert changed == reasons(edition.full.der)
    shards = [crl for crl in editions[-1].others if crl.kind == "shard"]
    assert [crl.shard for crl in shards] == [0, 1, 2]
    together = {serial: reason for crl in shards for serial, reason in reasons(crl.der).items()}
    assert together == reasons(editions[-1].full.der)
    assert set(together) == {device.serial for device in devices}


def issue_from(ca: Issuer, folder: Path, name: str) -> IssuedCertificate:
    return services.issue_certificate(
        issuer=ca.id,
        profile="device",
        csr=make_csr(folder, name),
        holder=f"device:{name}",
        variables={"auth_id": name, "domain": "north", "id": name},
        actor=ADA,
        now=now(),
    )


def revoke_for_good(device: IssuedCertificate) -> None:
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now())


def reasons(der: bytes) -> dict[int, str]:
    found = x509.load_der_x509_crl(der)
    return {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        for entry in found
    }
