"""POST /api/v1/certificates/revoke/, and the parameters of the list that it is like."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.models import JournalEntry
from pki import queries
from pki.core.values import Issuer
from tests.pki.api.test_views import call, cy, revoker
from tests.pki.conftest import IssueDevice

TAIL = "certificates/revoke/"


def test_a_dry_run_shows_and_its_digest_revokes(ca: Issuer, issue_device: IssueDevice) -> None:
    made = [issue_device(name) for name in ("a", "b")]
    shown = call("POST", TAIL, body={"profile": "device", "dry_run": True})
    assert (shown.status_code, shown.data["count"]) == (200, 2)
    assert [each["serial_number"] for each in shown.data["sample"]] == [made[1].serial_hex, made[0].serial_hex]
    body = {"profile": "device", "digest": shown.data["digest"], "reason": "superseded", "note": "recall"}
    answer = call("POST", TAIL, body={**body, "invalidity_date": "2026-01-31T12:00:00Z"})
    assert (answer.status_code, answer.data["count"]) == (202, 2)
    order = JournalEntry.objects.get(id=answer.data["operation"])
    assert (order.action, order.note) == ("pki.revocation.ordered", "recall")
    assert order.after["invalidity_date"] == "2026-01-31T12:00:00+00:00"
    call("POST", f"certificates/{made[0].id}/revoke/", body={"reason": "superseded"})
    assert call("POST", TAIL, body=body).status_code == 409


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"profile": "device"}, "revocation-digest"),
        ({"dry_run": True}, "revocation-unnarrowed"),
        ({"profile": "device", "digest": "00" * 32}, "revocation-set-changed"),
        ({"profile": "device", "digest": "00" * 32, "invalidity_date": "2999-01-01T00:00:00Z"}, "invalidity-date"),
    ],
)
def test_a_wrong_wish_revokes_nothing(body: dict[str, Any], code: str, issue_device: IssueDevice) -> None:
    device = issue_device("x")
    answer = call("POST", TAIL, body=body)
    assert (answer.status_code in {400, 409}, answer.data["code"]) == (True, code)
    assert queries.get_certificate(id=device.id).state == "issued"


@pytest.mark.parametrize(
    "body",
    [
        {"profil": "device", "dry_run": True},
        {"serial_number": "xyz", "dry_run": True},
        {"ends_from": "soon", "dry_run": True},
        {"profile": "device", "digest": "short"},
        {"profile": "device", "reason": "certificateHold", "dry_run": True},
    ],
)
def test_a_wrong_member_is_refused(body: dict[str, Any], ca: Issuer) -> None:
    assert call("POST", TAIL, body=body).status_code == 400


def test_only_one_s_own_domain_fits(ca: Issuer, issue_device: IssueDevice) -> None:
    issue_device("x")
    assert call("POST", TAIL, cy, body={"profile": "device", "dry_run": True}).data["count"] == 0
    assert call("POST", TAIL, cy, body={"issuer": "north-ca", "domain": "north", "dry_run": True}).status_code == 404


@pytest.mark.parametrize("holder", ["issuer:north-ca", "ocsp:north-ca"])
def test_a_ca_fits_only_for_who_may_sign(holder: str, ca: Issuer) -> None:
    whole = call("POST", TAIL, body={"holder": holder, "dry_run": True}).data
    shown = call("POST", TAIL, revoker, body={"holder": holder, "dry_run": True}).data
    assert (whole["count"], shown["count"], shown["sample"]) == (1, 0, [])
    assert call("POST", TAIL, revoker, body={"holder": holder, "digest": whole["digest"]}).status_code == 409
    ordered = call("POST", TAIL, revoker, body={"holder": holder, "digest": shown["digest"]})
    assert (ordered.status_code, ordered.data["count"]) == (202, 0)
    assert call("POST", TAIL, body={"holder": holder, "digest": whole["digest"]}).data["count"] == 1


def test_a_parameter_of_the_list_that_there_is_not_is_refused(ca: Issuer) -> None:
    answer = call("GET", "certificates/?profil=device")
    assert (answer.status_code, answer.data["code"]) == (400, "unknown-parameter")
    assert call("GET", "certificates/?state=happy").status_code == 400


def test_the_invalidity_date_is_shown(issue_device: IssueDevice) -> None:
    device = issue_device("x")
    body = {"reason": "keyCompromise", "invalidity_date": "2026-01-31T12:00:00+01:00"}
    answer = call("POST", f"certificates/{device.id}/revoke/", body=body)
    assert (answer.status_code, answer.data["invalidity_date"]) == (202, "2026-01-31T11:00:00Z")
