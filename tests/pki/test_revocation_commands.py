"""`manage.py revoke --filter` and `manage.py crl`, as an operator types them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography import x509
from django.core.management.base import CommandError

from kernel.models import JournalEntry
from pki import services
from pki.core.values import Issuer
from pki.models import Certificate
from pki.models import Issuer as IssuerRow
from tests.pki.conftest import IssueDevice
from tests.pki.test_commands import run, run_json


def test_many_are_revoked_by_what_a_dry_run_showed(ca: Issuer, issue_device: IssueDevice) -> None:
    made = [issue_device(name) for name in ("pump-1", "pump-2", "valve-1")]
    words = ("revoke", "--filter", "issuer=north-ca", "--filter", "subject=CN=pump-")
    shown = run_json(*words, "--dry-run")
    assert shown["count"] == 2
    assert [each["serial_number"] for each in shown["sample"]] == [made[1].serial_hex, made[0].serial_hex]
    [digest] = re.findall("--digest ([0-9a-f]{64})", run(*words, "--dry-run"))
    assert digest == shown["digest"]
    ordered = run_json(*words, "--digest", digest, "--reason", "superseded", "--note", "recall")
    order = JournalEntry.objects.get(id=ordered["operation"])
    assert (ordered["count"], order.action, order.note) == (2, "pki.revocation.ordered", "recall")
    assert order.after["filter"] == {"issuer": "north-ca", "subject": "CN=pump-"}
    assert order.after["reason"] == "superseded"


def test_since_when_a_key_is_lost_can_be_said(issue_device: IssueDevice) -> None:
    device = issue_device("x")
    said = run_json("revoke", device.fingerprint, "--reason", "keyCompromise", "--invalid-since", "2026-01-31T12:00:00")
    assert said["invalidity_date"] == "2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "Name one certificate"),
        (("ab", "--filter", "profile=device"), "Name one certificate"),
        (("--filter", "profile=device"), "--dry-run first"),
        (("--filter", "state=issued", "--dry-run"), "NAME=VALUE"),
        (("--filter", "ends_from=soon", "--dry-run"), "no time"),
        (("--filter", "issuer=nobody", "--dry-run"), "no such issuer"),
        (("--filter", "profile=device", "--digest", "00" * 32), "Other certificates"),
        (("--filter", "profile=device", "--hold"), "--dry-run first"),
        (("--filter", "profile=device", "--dry-run", "--release"), "of one certificate"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(words: tuple[str, ...], told: str, ca: Issuer) -> None:
    with pytest.raises(CommandError, match=told):
        run("revoke", *words)


def test_every_kind_of_crl_is_shown_and_written(ca: Issuer, issue_device: IssueDevice, tmp_path: Path) -> None:
    IssuerRow.objects.filter(id=ca.id).update(crl_shards=2)
    device = issue_device("x")
    Certificate.objects.filter(id=device.id).update(shard=1)
    run("revoke", device.fingerprint)
    run("crl", "publish", "north-ca")
    for words, kind, entries in (((), "full", 1), (("--delta",), "delta", 1), (("--shard", "0"), "shard", 0)):
        shown = run_json("crl", "show", "north-ca", *words, "--out", tmp_path / "x.der")
        assert (shown["kind"], shown["entries"]) == (kind, entries)
        assert len(x509.load_der_x509_crl((tmp_path / "x.der").read_bytes())) == entries
    with pytest.raises(CommandError, match="no such CRL"):
        run("crl", "show", "north-ca", "--shard", "7")


def test_the_bundle_is_what_is_served(root: Issuer, ca: Issuer) -> None:
    from kernel.core.clock import utc_now
    from pki.api.shelf import Shelf

    services.publish_crl(issuer=ca.id, now=utc_now(), force=True)
    body = Shelf().find("north-ca", "crls.pem", now=utc_now()).body
    assert run("crl", "bundle", "north-ca").encode() == body.read(0, len(body))
