"""A domain's own profiles: versions, retiring, previews, and certificates that keep the version they were made with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from kernel.core.errors import DomainError
from kernel.core.ids import new_id
from kernel.queries import list_entries
from pki import queries, services
from pki.core.certificates import BadName, KeyNotAccepted
from pki.core.lint import LintFailure
from pki.core.profile import NO_EXPIRY
from pki.core.profile_documents import BadProfile, profile_document
from pki.core.profiles import PROFILES, UnknownProfile
from pki.core.values import IssuedCertificate, Issuer
from pki.models import Certificate, ProfileVersion
from pki.services import profiles as saving
from pki.services.profiles import BadProfileName, ProfileChanged, ProfileNameTaken, UnsoundProfile
from tests.cast import ADA, NORTH, SOUTH
from tests.pki.conftest import make_csr, openssl

PUMP: dict[str, Any] = {
    "validity": {"days": 30},
    "subject": [{"attribute": "O", "value": "Acme"}, {"attribute": "CN", "value": "${auth_id}"}],
    "alternative_names": [{"kind": "dns", "value": "${auth_id}.pumps.example"}],
    "key_usage": ["digitalSignature"],
    "extended_key_usage": ["clientAuth"],
}
pytestmark = pytest.mark.django_db


def save(now: datetime, name: str = "pump", document: Any = None, **rest: Any) -> queries.ProfileState:
    found = PUMP if document is None else document
    return services.save_profile(domain=NORTH, name=name, document=found, actor=ADA, now=now, **rest)


def test_the_built_in_profiles_are_there_as_version_0() -> None:
    assert {(p.name, p.version) for p in queries.list_profiles(domain=NORTH)} == {(name, 0) for name in PROFILES}
    assert queries.find_profile(domain=NORTH, name="device") == PROFILES["device"]


def test_an_own_version_is_used_in_its_domain_alone(now: datetime) -> None:
    state = save(now, "device", profile_document(PROFILES["device"]) | {"validity": {"days": 7}})
    assert (state.profile.version, state.is_built_in) == (1, True)
    assert queries.find_profile(domain=NORTH, name="device").validity == timedelta(days=7)
    assert queries.find_profile(domain=NORTH, name="device", version=0).validity == timedelta(days=365)
    assert queries.find_profile(domain=SOUTH, name="device").version == 0
    with pytest.raises(UnknownProfile):
        queries.find_profile(domain=SOUTH, name="device", version=1)


def test_each_change_is_a_version_and_old_ones_stay_readable(now: datetime) -> None:
    for days in (30, 60, 90):
        save(now, document=PUMP | {"validity": {"days": days}})
    assert queries.find_profile(domain=NORTH, name="pump").version == 3
    assert queries.find_profile(domain=NORTH, name="pump", version=1).validity == timedelta(days=30)
    assert [each.version for each in queries.profile_versions(domain=NORTH, name="pump")] == [3, 2, 1]


def test_a_change_that_changes_nothing_is_no_version(now: datetime) -> None:
    save(now)
    entries = list_entries(limit=1)
    assert save(now, document=PUMP | {"names_crl": True}).profile.version == 1
    assert list_entries(limit=1) == entries


def test_of_two_editors_the_second_is_told(now: datetime) -> None:
    save(now)
    save(now, document=PUMP | {"validity": {"days": 60}}, expected_version=1)
    with pytest.raises(ProfileChanged):
        save(now, document=PUMP | {"validity": {"days": 90}}, expected_version=1)
    assert queries.find_profile(domain=NORTH, name="pump").validity == timedelta(days=60)


def test_who_saves_in_between_is_not_overwritten(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    save(now)
    right = saving._in_use

    def read_and_be_overtaken(domain: Any, name: str) -> Any:
        state = right(domain, name)
        ProfileVersion.objects.create(
            id=new_id(), domain_id=NORTH, name="pump", version=2, document=PUMP, created_at=now
        )
        return state

    monkeypatch.setattr(saving, "_in_use", read_and_be_overtaken)
    with pytest.raises(ProfileChanged):
        save(now, document=PUMP | {"validity": {"days": 90}}, expected_version=1)


def test_a_new_profile_takes_no_name_that_there_is(now: datetime) -> None:
    save(now)
    for name in ("pump", "device"):
        with pytest.raises(ProfileNameTaken):
            save(now, name, is_new=True)


def test_retiring_brings_the_built_in_one_back(now: datetime) -> None:
    save(now, "device", profile_document(PROFILES["device"]) | {"validity": {"days": 7}})
    services.retire_profile(domain=NORTH, name="device", actor=ADA, now=now)
    assert queries.find_profile(domain=NORTH, name="device").version == 0
    assert queries.find_profile(domain=NORTH, name="device", version=1).validity == timedelta(days=7)
    with pytest.raises(UnknownProfile):
        services.retire_profile(domain=NORTH, name="device", actor=ADA, now=now)


def test_a_retired_profile_is_unknown_until_it_is_saved_again(now: datetime) -> None:
    save(now)
    services.retire_profile(domain=NORTH, name="pump", actor=ADA, now=now)
    with pytest.raises(UnknownProfile, match="device"):
        queries.find_profile(domain=NORTH, name="pump")
    assert save(now).profile.version == 2


@pytest.mark.parametrize("name", ["", "Pump", "a b", "a--b", "-a", "x" * 33, "ä"])
def test_a_name_that_can_not_stand_in_urls_is_refused(name: str, now: datetime) -> None:
    with pytest.raises(BadProfileName):
        save(now, name)


@pytest.mark.parametrize(
    ("name", "changed", "pointer"),
    [
        ("pump", {"extended_key_usage": ["OCSPSigning"]}, "/extended_key_usage"),
        ("ocsp-signer", {}, "/extended_key_usage"),
        ("ocsp-signer", {"extended_key_usage": ["OCSPSigning"]}, "/ocsp_no_check"),
        ("root", {}, "/is_ca"),
        ("device", {"subject": [{"attribute": "CN", "value": "${colour}"}]}, ""),
        ("device", {"is_ca": True, "key_usage": ["keyCertSign"], "extended_key_usage": []}, "/is_ca"),
    ],
)
def test_a_profile_stays_what_it_is_for(name: str, changed: dict[str, Any], pointer: str, now: datetime) -> None:
    with pytest.raises(BadProfile) as caught:
        save(now, name, PUMP | changed)
    assert [error.pointer for error in caught.value.errors] == [pointer]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"policies": [{"oid": "1.3.6.1.4.1.32473.9", "cps": "the wall"}]}, "practice statement"),
        ({"subject": [{"attribute": "CN", "value": "x" * 65}]}, "64 characters"),
        ({"subject": [{"attribute": "C", "value": "Germany"}]}, "country"),
        ({"alternative_names": [{"kind": "ip", "value": "300.1.1.1"}]}, "IP address"),
    ],
)
def test_a_profile_that_would_make_wrong_certificates_is_refused(
    changed: dict[str, Any], told: str, now: datetime
) -> None:
    with pytest.raises(UnsoundProfile, match=told):
        save(now, document=PUMP | changed)
    assert not ProfileVersion.objects.exists()


def test_who_signs_for_a_ca_takes_every_key_that_a_ca_may_have(now: datetime) -> None:
    for name in ("root", "issuing-ca", "ocsp-signer"):
        document = profile_document(PROFILES[name])
        assert save(now, name, document | {"backdate_seconds": 60}).profile.version == 1
        with pytest.raises(BadProfile) as caught:
            save(now, name, document | {"key_families": ["ecdsa-p256"]})
        assert [error.pointer for error in caught.value.errors] == ["/key_families"]


def test_cas_and_their_signers_are_made_by_the_domains_own_versions(now: datetime) -> None:
    organized = {"attribute": "O", "value": "Acme"}
    for name in ("root", "issuing-ca", "ocsp-signer"):
        document = profile_document(PROFILES[name])
        save(now, name, document | {"subject": [organized, *document["subject"]]})
    root = services.create_root(domain=NORTH, slug="r", common_name="R", actor=ADA, now=now)
    ca = services.create_issuing_ca(parent=root.id, slug="c", common_name="C", actor=ADA, now=now)
    [signer] = queries.certificates_of(holder="ocsp:c")
    for pem, name in ((root.certificate_pem, "R"), (ca.certificate_pem, "C"), (signer.pem, "C OCSP")):
        said = openssl("x509", "-noout", "-subject", given=pem.encode())
        assert said.strip() == f"subject=O = Acme, CN = {name}"
    assert (signer.profile, signer.profile_version) == ("ocsp-signer", 1)


@pytest.fixture
def issue(ca: Issuer, now: datetime, tmp_path: Path) -> Callable[..., IssuedCertificate]:
    def do(profile: str, *, name: str = "p-1", options: tuple[str, ...] = (), **rest: Any) -> IssuedCertificate:
        asked: dict[str, Any] = {
            "issuer": ca.id, "profile": profile, "csr": make_csr(tmp_path, name, *options), "holder": f"service:{name}",
            "variables": {"auth_id": name, "domain": "north", "id": "1"}, "actor": ADA, "now": now,
        }  # fmt: skip
        return services.issue_certificate(**asked | rest)

    return do


def test_a_certificate_keeps_the_version_that_it_was_made_with(now: datetime, issue: Any) -> None:
    save(now)
    first = issue("pump")
    save(now, document=PUMP | {"validity": {"days": 2}, "policies": [{"oid": "1.3.6.1.4.1.32473.1"}]})
    second = issue("pump", name="p-2")
    services.retire_profile(domain=NORTH, name="pump", actor=ADA, now=now)
    kept = [queries.get_certificate(id=each.id) for each in (first, second)]
    assert [(each.profile, each.profile_version) for each in kept] == [("pump", 1), ("pump", 2)]
    lives = [each.not_after - now.replace(microsecond=0) for each in kept]
    assert lives == [timedelta(days=30), timedelta(days=2)]
    with pytest.raises(UnknownProfile):
        issue("pump", name="p-3")


def test_a_certificate_by_an_own_profile_is_what_openssl_reads(now: datetime, issue: Any) -> None:
    save(now, document=PUMP | {"policies": [{"oid": "1.3.6.1.4.1.32473.1", "cps": "https://pki.example/cps"}]})
    issued = issue("pump")
    assert issued.subject == "CN=p-1,O=Acme"
    text = openssl("x509", "-noout", "-text", given=issued.pem.encode())
    assert "Subject: O = Acme, CN = p-1" in text
    assert "DNS:p-1.pumps.example" in text
    assert "Policy: 1.3.6.1.4.1.32473.1\n                  CPS: https://pki.example/cps" in text


def test_names_of_a_request_count_as_far_as_the_profile_takes_them(now: datetime, issue: Any, tmp_path: Path) -> None:
    patterns = ["${auth_id}.pumps.example", "*.mq.example"]
    save(now, document=PUMP | {"alternative_names": [], "requestable": [{"kind": "dns", "patterns": patterns}]})
    extra = ("-newkey", "ed25519", "-addext", "subjectAltName=DNS:p-1.pumps.example,DNS:a.b.mq.example,IP:192.0.2.1")
    assert names_of(issue("pump", options=extra)) == "DNS:p-1.pumps.example, DNS:a.b.mq.example"
    for refused in ("p-2.pumps.example", "mq.example", "evil-mq.example", "p-1.pumps.example.org"):
        with pytest.raises(BadName, match="does not allow the DNS name"):
            issue("pump", options=(*extra[:3], f"subjectAltName=DNS:{refused}"))
    with pytest.raises(BadName, match="takes no IP address"):
        issue("pump", ip_addresses=["192.0.2.1"])
    assert names_of(issue("device", name="d", options=extra)) == "URI:urn:gatehouse:north:device:1"


EVERYTHING: dict[str, Any] = {
    "validity": {"seconds": 3_601},
    "backdate_seconds": 0,
    "subject": [
        {"attribute": "C", "value": "DE"}, {"attribute": "ST", "value": "Bayern"},
        {"attribute": "L", "value": "München"}, {"attribute": "O", "value": "Acme & Söhne"},
        {"attribute": "OU", "value": "${domain}"},
        {"attribute": "serialNumber", "value": "SN-${id}"}, {"attribute": "CN", "value": "${auth_id}"},
    ],
    "alternative_names": [
        {"kind": "uri", "value": "urn:gatehouse:${domain}:x:${id}"}, {"kind": "dns", "value": "${auth_id}.example"},
        {"kind": "ip", "value": "2001:db8::7"}, {"kind": "email", "value": "${auth_id}@example.com"},
        {"kind": "hardware-module", "value": "SN-${id}", "hardware_type": "1.3.6.1.4.1.32473.1"},
        {"kind": "registered-id", "value": "1.3.6.1.4.1.32473.7"},
    ],
    "key_usage": ["digitalSignature", "keyAgreement", "nonRepudiation"],
    "key_families": ["ecdsa-p256"],
    "extended_key_usage": ["clientAuth", "1.3.6.1.4.1.32473.2"],
    "policies": [{"oid": "1.3.6.1.4.1.32473.3"}],
}  # fmt: skip


def test_openssl_and_gnutls_believe_a_certificate_with_everything(
    root: Issuer, ca: Issuer, now: datetime, issue: Any, tmp_path: Path
) -> None:
    save(now, "everything", EVERYTHING)
    issued = issue("everything")
    for file, pem in (("root", root.certificate_pem), ("ca", ca.certificate_pem), ("leaf", issued.pem)):
        (tmp_path / file).write_text(pem)
    chain = ("-CAfile", tmp_path / "root", "-untrusted", tmp_path / "ca", tmp_path / "leaf")
    assert openssl("verify", "-x509_strict", "-purpose", "sslclient", *chain).strip().endswith("OK")
    words = ["certtool", "--verify", "--load-ca-certificate", str(tmp_path / "root")]
    said = subprocess.run(words, input=(issued.pem + issued.chain_pem).encode(), capture_output=True, check=False)
    assert b"Chain verification output: Verified. The certificate is trusted." in said.stdout
    shown = subprocess.run(
        ["certtool", "-i"], input=issued.pem.encode(), capture_output=True, check=True
    ).stdout.decode()
    assert "Subject: CN=p-1,serialNumber=SN-1,OU=north,O=Acme & Söhne,L=München,ST=Bayern,C=DE" in shown
    for line in ("DNSname: p-1.example", "IPAddress: 2001:db8::7", "RFC822Name: p-1@example.com", "Key agreement.",
                 "URI: urn:gatehouse:north:x:1", "Registered ID: 1.3.6.1.4.1.32473.7"):  # fmt: skip
        assert line in shown, shown
    assert issued.subject == "CN=p-1,serialNumber=SN-1,OU=north,O=Acme & Söhne,L=München,ST=Bayern,C=DE"
    assert (issued.not_after - issued.not_before).total_seconds() == 3_601


def names_of(issued: IssuedCertificate) -> str:
    said = openssl("x509", "-noout", "-ext", "subjectAltName", given=issued.pem.encode())
    return said.splitlines()[1].strip()


def test_a_profile_says_which_keys_it_takes(now: datetime, issue: Any) -> None:
    save(now, document=PUMP | {"key_families": ["rsa"], "rsa_bits": 3_072, "key_usage": ["keyEncipherment"]})
    for options in ((), ("-newkey", "rsa:2048")):
        with pytest.raises(KeyNotAccepted, match="use rsa of 3072 bits"):
            issue("pump", options=options)
    assert issue("pump", options=("-newkey", "rsa:3072")).profile == "pump"


def test_an_idevid_has_no_end_and_is_found_again(issue: Any, ca: Issuer) -> None:
    """IEEE 802.1AR 8.7; it outlives its issuer, which only such a profile allows."""
    kind = "1.3.6.1.4.1.32473.1"
    issued = issue("idevid", variables={"hardware_serial": "SN-1", "hardware_type": kind})
    kept = queries.get_certificate(id=issued.id)
    assert (kept.not_after, kept.subject) == (NO_EXPIRY, "serialNumber=SN-1")
    assert kept.not_after > ca.not_after
    assert "GENERALIZEDTIME   :99991231235959Z" in openssl("asn1parse", given=issued.pem.encode())


def test_a_ca_names_only_what_it_may(now: datetime, root: Issuer, tmp_path: Path) -> None:
    tree = [{"kind": "dns", "value": "example.com"}]
    save(now, "issuing-ca", profile_document(PROFILES["issuing-ca"]) | {"permitted_names": tree})
    ca = services.create_issuing_ca(parent=root.id, slug="narrow", common_name="Narrow", actor=ADA, now=now)

    def ask(name: str) -> IssuedCertificate:
        return services.issue_certificate(
            issuer=ca.id, profile="broker-server", csr=make_csr(tmp_path, name), holder=f"broker:{name}",
            variables={"common_name": name}, dns_names=[name], actor=ADA, now=now,
        )  # fmt: skip

    for file, pem in (("root", root.certificate_pem), ("ca", ca.certificate_pem), ("leaf", ask("mq.example.com").pem)):
        (tmp_path / file).write_text(pem)
    said = openssl(
        "verify", "-x509_strict", "-CAfile", tmp_path / "root", "-untrusted", tmp_path / "ca", tmp_path / "leaf"
    )
    assert said.strip().endswith("OK")
    assert "X509v3 Name Constraints: critical" in openssl("x509", "-noout", "-text", given=ca.certificate_pem.encode())
    with pytest.raises(LintFailure, match=r"may not name mq\.example\.org \(RFC 5280 4\.2\.1\.10\)"):
        ask("mq.example.org")


def test_a_ca_names_only_what_those_above_it_may(now: datetime, root: Issuer, tmp_path: Path) -> None:
    document = profile_document(PROFILES["issuing-ca"]) | {"path_length": None}
    save(now, "issuing-ca", document | {"permitted_names": [{"kind": "dns", "value": "example.com"}]})
    narrow = services.create_issuing_ca(
        parent=root.id, slug="narrow", common_name="Narrow", path_length=1, actor=ADA, now=now
    )
    save(now, "issuing-ca", document)
    below = services.create_issuing_ca(
        parent=narrow.id, slug="below", common_name="Below", path_length=0, actor=ADA, now=now
    )
    with pytest.raises(LintFailure, match=r"may not name mq\.example\.org \(RFC 5280 4\.2\.1\.10\)"):
        services.issue_certificate(
            issuer=below.id, profile="broker-server", csr=make_csr(tmp_path, "x"), holder="broker:x",
            variables={"common_name": "mq.example.org"}, dns_names=["mq.example.org"], actor=ADA, now=now,
        )  # fmt: skip


def test_nobody_asks_for_a_ca(issue: Any) -> None:
    for name in ("issuing-ca", "ocsp-signer", "root"):
        with pytest.raises(DomainError) as caught:
            issue(name, variables={"common_name": "x"})
        assert caught.value.code == "profile-not-for-requests"


def test_saving_and_retiring_stand_in_the_journal(now: datetime) -> None:
    save(now)
    services.retire_profile(domain=NORTH, name="pump", actor=ADA, now=now)
    retired, saved = list_entries(domain=NORTH, limit=2)
    assert (saved.action, retired.action) == ("pki.profile.saved", "pki.profile.retired")
    assert saved.after["document"]["validity"] == {"days": 30}


def test_a_preview_is_a_certificate_that_nobody_signed(ca: Issuer, now: datetime) -> None:
    profile = save(now).profile
    before = (Certificate.objects.count(), list_entries(limit=1))
    preview = services.preview_certificate(issuer=ca.id, profile=profile, variables={"auth_id": "p-1"}, now=now)
    assert (Certificate.objects.count(), list_entries(limit=1)) == before
    assert [*preview.findings] == []
    assert preview.linters == ("gatehouse", "pkilint")
    text = openssl("x509", "-noout", "-text", "-nameopt", "RFC2253", given=preview.certificate_pem.encode())
    assert "Subject: CN=p-1,O=Acme" in text
    assert "Issuer: CN=North CA" in text
    assert "DNS:p-1.pumps.example" in text
    fields = {field.name: field.values for field in preview.fields}
    assert fields["subject"] == ("CN=p-1,O=Acme",)
    assert fields["subjectAltName"] == ("DNS:p-1.pumps.example",)
    certificate = x509.load_pem_x509_certificate(preview.certificate_pem.encode())
    with pytest.raises(InvalidSignature):
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.certificate_pem.encode()))


def test_previews_share_sample_keys_of_a_few_sizes(now: datetime) -> None:
    found = []
    for bits in (2_049, 3_071, 3_072):
        profile = save(now, document=PUMP | {"key_families": ["rsa"], "rsa_bits": bits}).profile
        pem = services.preview_certificate(issuer=None, profile=profile, now=now).certificate_pem
        found.append(x509.load_pem_x509_certificate(pem.encode()).public_key())
    assert [getattr(key, "key_size", 0) for key in found] == [3_072] * 3
    assert found[0] == found[1] == found[2]


def test_without_pkilint_our_own_rules_stand_alone(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["pki.services.preview_certificate"], "is_installed", lambda: False)
    assert services.preview_certificate(issuer=None, profile=PROFILES["device"], now=now).linters == ("gatehouse",)
    with pytest.raises(UnsoundProfile, match="practice statement"):
        save(now, document=PUMP | {"policies": [{"oid": "1.3.6.1.4.1.32473.9", "cps": "the wall"}]})


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_built_in_profile_can_be_previewed_without_anything_given(name: str, now: datetime) -> None:
    preview = services.preview_certificate(issuer=None, profile=PROFILES[name], now=now)
    assert [*preview.findings] == []
