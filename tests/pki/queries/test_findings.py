"""Findings as they are read from the tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kernel.core.findings import Finding
from pki import queries, services
from pki.core.profile_documents import profile_document
from pki.core.values import CertificateId, CertificateState, IssuedCertificate, Issuer, IssuerState, ReasonCode
from pki.models import Certificate, Crl, IssuerRequest, Key, PublicKeyHolder, SigningRequest
from pki.models import Issuer as IssuerRow
from tests.cast import ADA, NORTH, SOUTH

pytestmark = pytest.mark.django_db

FindFor = Callable[..., list[Finding]]


@pytest.fixture
def find(now: datetime, settings: Any) -> FindFor:
    settings.GATEHOUSE_BASE_URL = "http://pki.example.com"

    def in_north(*, at: datetime = now, domains: Any = (NORTH,)) -> list[Finding]:
        return sorted(queries.PkiFindings().find(domains=domains, now=at), key=lambda finding: finding.order)

    return in_north


def codes(found: list[Finding]) -> list[str]:
    return [finding.code for finding in found]


def test_fresh_hierarchy_is_well(ca: Issuer, find: FindFor) -> None:
    assert find() == []
    assert find(domains=None) == []


def test_crl_and_signer_that_nobody_renewed(ca: Issuer, find: FindFor, now: datetime) -> None:
    found = find(at=now + timedelta(days=15))
    assert codes(found) == ["crl-overdue", "crl-overdue", "ocsp-signer-missing", "ocsp-signer-missing"]
    assert {finding.subject.label for finding in found} == {"north-root", "north-ca"}
    assert find(at=now + timedelta(days=15), domains=[SOUTH]) == []


def test_newest_crl_counts(ca: Issuer, find: FindFor, now: datetime) -> None:
    later = now + timedelta(days=7, hours=1)
    services.publish_crl(issuer=ca.id, now=later, force=True)
    assert [finding.subject.label for finding in find(at=later) if finding.code == "crl-overdue"] == ["north-root"]


def test_revocation_that_no_crl_has_yet(issue_device: Any, find: FindFor, now: datetime) -> None:
    device: IssuedCertificate = issue_device("pump-1")
    services.revoke_certificate(
        certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now - timedelta(minutes=5)
    )
    [finding] = find()
    assert (finding.code, finding.subject.label) == ("crl-lacks-revocations", "north-ca")
    services.publish_crl(issuer=device.issuer, now=now)
    assert find() == []


def test_hold_that_becomes_final_counts_from_then(issue_device: Any, find: FindFor, now: datetime) -> None:
    device: IssuedCertificate = issue_device("pump-1")
    hour_ago, soon = now - timedelta(hours=1), now + timedelta(minutes=3)
    services.hold_certificate(certificate=device.id, actor=ADA, now=hour_ago)
    services.publish_crl(issuer=device.issuer, now=now)
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    assert (find(), codes(find(at=soon))) == ([], ["crl-lacks-revocations"])


def test_release_that_no_crl_has_yet(issue_device: Any, find: FindFor, now: datetime) -> None:
    device: IssuedCertificate = issue_device("pump-1")
    services.hold_certificate(certificate=device.id, actor=ADA, now=now)
    services.publish_crl(issuer=device.issuer, now=now)
    services.release_certificate(certificate=device.id, actor=ADA, now=now)
    assert (find(), codes(find(at=now + timedelta(minutes=3)))) == ([], ["crl-lacks-revocations"])


def test_revoked_ca_with_a_good_leaf(root: Issuer, ca: Issuer, issue_device: Any, find: FindFor, now: datetime) -> None:
    issue_device("pump-1")
    own = Certificate.objects.get(holder="issuer:north-ca")
    services.revoke_certificate(certificate=CertificateId(own.id), reason=ReasonCode.CA_COMPROMISE, actor=ADA, now=now)
    services.publish_crl(issuer=root.id, now=now)
    assert codes(find()) == ["issuer-revoked-with-leaves"]
    Certificate.objects.filter(issuer_id=ca.id).update(not_after=now)
    assert find() == []


def test_superseded_issuer_without_leaves(ca: Issuer, issue_device: Any, find: FindFor, now: datetime) -> None:
    device: IssuedCertificate = issue_device("pump-1")
    IssuerRow.objects.filter(id=ca.id).update(state=IssuerState.SUPERSEDED)
    assert find() == []
    Certificate.objects.filter(issuer_id=ca.id).update(not_after=now)
    # its OCSP signer has ended with the rest, and is missed as long as the issuer stands
    assert codes(find()) == ["ocsp-signer-missing", "issuer-can-be-retired"]
    Certificate.objects.filter(id=device.id).update(
        not_after=now + timedelta(days=1), state=CertificateState.HELD, crl_entry=b"", revoked_at=now
    )
    assert codes(find()) == ["ocsp-signer-missing"]


def test_domains_own_profile_says_how_long_leaves_last(ca: Issuer, find: FindFor, now: datetime) -> None:
    two_years_left = ca.not_after - timedelta(days=700)
    assert "issuer-shortens-leaves" not in codes(find(at=two_years_left))
    document = profile_document(queries.find_profile(domain=NORTH, name="device"))
    services.save_profile(
        domain=NORTH, name="device", document=document | {"validity": {"days": 800}}, actor=ADA, now=now
    )
    assert "issuer-shortens-leaves" in codes(find(at=two_years_left))


def test_request_that_was_never_stored(issue_device: Any, find: FindFor, now: datetime) -> None:
    device: IssuedCertificate = issue_device("pump-1")
    Certificate.objects.filter(id=device.id).update(
        state=CertificateState.REQUESTED, der=None, requested_at=now - timedelta(minutes=16)
    )
    [finding] = find()
    assert (finding.code, finding.domain) == ("certificate-never-stored", NORTH)
    assert find(domains=[SOUTH]) == []


def test_what_waits_to_be_signed_elsewhere(ca: Issuer, find: FindFor, now: datetime) -> None:
    from kernel.core.ids import new_id

    key = Key.objects.create(id=new_id(), algorithm="ecdsa-p256", wrapped=b"x")
    IssuerRequest.objects.create(
        id=new_id(), domain_id=NORTH, slug="new-ca", name="New", key=key, csr=b"x", created_at=now
    )
    SigningRequest.objects.create(
        id=new_id(), issuer_id=ca.id, kind="crl", to_be_signed=b"x", purpose="CRL 7", created_at=now - timedelta(days=8)
    )
    found = find()
    assert codes(found) == ["signing-request-waits", "signing-request-open"]
    SigningRequest.objects.update(closed_at=now)
    assert codes(find()) == ["signing-request-open"]


def test_weak_key_is_found_while_its_certificate_is_good(issue_device: Any, find: FindFor, now: datetime) -> None:
    first, second = issue_device("pump-1"), issue_device("pump-2")
    keys = [first.public_key_sha256, second.public_key_sha256]
    PublicKeyHolder.objects.filter(public_key_sha256__in=keys).update(weakness="shared-factor:0123")
    found = find()
    assert codes(found) == ["key-shared-factor", "key-shared-factor"]
    by_id = {finding.subject.id: finding for finding in found}
    assert second.holder in by_id[str(first.id)].detail
    Certificate.objects.filter(id=second.id).update(domain_id=SOUTH)
    [mine] = find()
    assert second.holder not in mine.detail
    [theirs] = find(domains=[SOUTH])
    assert theirs.subject.id == str(second.id)
    Certificate.objects.filter(id=first.id).update(not_after=now)
    assert find() == []


def test_statements_do_not_grow_with_issuers(ca: Issuer, find: FindFor, now: datetime) -> None:
    with CaptureQueriesContext(connection) as few:
        find()
    for number in range(4):
        services.create_issuing_ca(parent=ca.parent, slug=f"more-{number}", common_name="M", actor=ADA, now=now)  # type: ignore[arg-type]
    with CaptureQueriesContext(connection) as many:
        find()
    assert len(many) == len(few) <= 12, [query["sql"] for query in many.captured_queries]


def test_octets_of_crls_are_not_read(ca: Issuer, find: FindFor) -> None:
    with CaptureQueriesContext(connection) as seen:
        find()
    assert Crl.objects.exists()
    assert not any('"pki_crl"."der"' in query["sql"] for query in seen.captured_queries)
