"""Two at once: one slug, one rollover, one retirement against issuance, one file of signatures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kernel.core.errors import DomainError
from pki import queries, services
from pki.core.ca_files import read_key
from pki.core.signing_file import read_orders, sign_orders
from pki.core.values import IssuedCertificate, Issuer, IssuerState
from pki.models import Issuer as IssuerRow
from pki.models import Key
from tests.cast import ADA, NORTH
from tests.pki.conftest import make_csr
from tests.pki.outside_ca import outside_root
from tests.pki.races import at_once

pytestmark = [pytest.mark.several_writers, pytest.mark.django_db(transaction=True)]


def later() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


def test_one_of_several_gets_the_slug_and_no_key_is_left_over(root: Issuer) -> None:
    keys = Key.objects.count()

    def create() -> Any:
        return services.create_root(domain=NORTH, slug="wanted", common_name="Wanted", actor=ADA, now=later())

    results = at_once(*[create] * 4)
    assert sorted(each.code for each in results if isinstance(each, DomainError)) == ["issuer-slug-taken"] * 3
    assert IssuerRow.objects.filter(slug="wanted").count() == 1
    assert Key.objects.count() == keys + 2  # the root's and its OCSP signer's


def test_issuer_has_one_successor(ca: Issuer) -> None:
    def roll(slug: str) -> Any:
        return services.roll_over_issuer(issuer=ca.id, slug=slug, actor=ADA, now=later())

    results = at_once(*(lambda slug=f"next-{number}": roll(slug) for number in range(3)))
    assert sum(isinstance(each, DomainError) for each in results) == 2
    old = queries.find_issuer(id=ca.id)
    assert old.state is IssuerState.SUPERSEDED
    assert IssuerRow.objects.filter(slug__startswith="next-").count() == 1
    for stray in services.abandon_unclaimed(now=later() + timedelta(minutes=11)):  # what lost was signed, and goes
        assert queries.get_certificate(id=stray).state == "revoked"


def test_certificate_that_is_issued_while_its_issuer_retires_is_never_left_behind(ca: Issuer, tmp_path: Path) -> None:
    for number in range(4):
        issuer = services.create_issuing_ca(
            parent=queries.find_issuer(slug="north-root").id,
            slug=f"short-{number}",
            common_name="Short",
            actor=ADA,
            now=later(),
        )
        csr = make_csr(tmp_path, f"pump-{number}")

        def issue(issuer: Issuer = issuer, csr: bytes = csr, number: int = number) -> IssuedCertificate:
            return services.issue_certificate(
                issuer=issuer.id,
                profile="device",
                csr=csr,
                holder=f"device:{number}",
                variables={"auth_id": "pump", "domain": "north", "id": str(number)},
                actor=ADA,
                now=later(),
            )

        def retire(issuer: Issuer = issuer) -> Issuer:
            return services.retire_issuer(issuer=issuer.id, actor=ADA, now=later())

        issued, retired = at_once(issue, retire)
        assert isinstance(issued, DomainError) or isinstance(retired, DomainError)


def test_file_of_signatures_that_is_imported_twice_at_once_counts_once(tmp_path: Path) -> None:
    vault = outside_root(tmp_path, "Vault")
    root = services.import_offline_issuer(
        domain=NORTH, slug="vault", certificate=vault.certificate.read_bytes(), actor=ADA, now=later()
    )
    services.order_issuing_ca(parent=root.id, slug="plant", common_name="Plant", actor=ADA, now=later())
    exported = services.export_signing_requests(issuer=root.id, now=later())
    signed = sign_orders(read_orders(exported), read_key(vault.key.read_bytes()))

    def carry() -> Any:
        return services.import_signatures(issuer=root.id, file=signed, actor=ADA, now=later())

    results = at_once(carry, carry, carry)
    assert {outcome.fault for outcomes in results for outcome in outcomes} == {""}
    assert queries.newest_crl_number(slug="vault") == 1
    assert IssuerRow.objects.filter(slug="plant").count() == 1
