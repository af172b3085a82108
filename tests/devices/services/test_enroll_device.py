"""A token and a request become a device with a certificate, or nothing at all."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from devices import queries, services
from devices.core.attributes import BadAttributes
from devices.core.names import BadName
from devices.core.tokens import TokenExpired, TokenRefused, TokenSpent, WrongNetwork
from devices.core.values import CredentialState, DeviceId, DeviceState
from devices.models import Credential, Device, Domain, EnrolmentRequest, EnrolmentToken
from devices.services import grant_request
from devices.services.domains import NameTaken
from devices.services.issue_credential import DeviceRefused, NoIssuer, issue_for
from devices.services.write_request import KeyInUse, NotTheSame
from kernel.core.errors import Conflict, DomainError, Invalid, Unavailable
from kernel.queries import list_entries
from pki import queries as pki
from pki.core.csr import BadCsrSignature, MalformedCsr, WeakKey
from pki.core.values import CertificateState, ReasonCode
from tests.cast import ADA
from tests.devices.factory import Factory
from tests.devices.openssl import ED25519, P384, RSA1024, RSA2048, Workshop, broken, openssl

Kind = tuple[str, ...]


def uses(factory: Factory) -> list[int]:
    return [row.uses for row in queries.list_enrolment_tokens(domains=[factory.domain])]


def nothing_is_left(factory: Factory) -> bool:
    left = Device.objects.exists() or EnrolmentRequest.objects.exists() or Credential.objects.exists()
    return not left and not any(uses(factory))


def test_device_is_active_and_its_certificate_is_what_openssl_verifies(north: Factory, tmp_path: Path) -> None:
    made = north.enroll("pump-17", hardware_serial="SN-1", attributes={"site": "hall"})
    device = made.device
    assert (device.state, device.auth_id, device.client_id) == (DeviceState.ACTIVE, "pump-17", "pump-17")
    assert (device.hardware_serial, device.attributes) == ("SN-1", {"site": "hall"})
    (tmp_path / "leaf.pem").write_text(made.certificate.pem)
    (tmp_path / "chain.pem").write_text(made.certificate.chain_pem)
    (tmp_path / "trust.pem").write_text(made.trust_bundle)
    files = ("-CAfile", tmp_path / "trust.pem", "-untrusted", tmp_path / "chain.pem", tmp_path / "leaf.pem")
    assert "OK" in openssl("verify", "-purpose", "sslclient", *files)
    said = openssl("x509", "-in", tmp_path / "leaf.pem", "-noout", "-subject", "-ext", "subjectAltName")
    assert "CN = pump-17" in said
    assert f"URI:urn:gatehouse:north:device:{device.id}" in said


@pytest.mark.parametrize("kind", [P384, RSA2048, ED25519])
def test_other_kinds_of_keys_enrol_too(north: Factory, workshop: Workshop, kind: Kind) -> None:
    assert north.enroll(csr=workshop.csr(kind=kind)).device.state is DeviceState.ACTIVE


def test_journal_tells_who_enrolled_with_which_token(north: Factory) -> None:
    token = north.mint()
    device = north.enroll("pump-17", token=token.token).device
    entry = list_entries(domain=north.domain, limit=1)[0]
    assert (entry.action, entry.subject.id) == ("devices.device.enrolled", str(device.id))
    assert (entry.actor.kind, entry.actor.label, entry.actor.address) == ("device", "pump-17", "192.0.2.7")
    assert entry.after["token"] == str(token.id)
    assert token.token.partition(".")[2] not in str(list_entries(limit=500))


def test_common_name_serves_where_no_name_is_given(north: Factory, workshop: Workshop) -> None:
    assert north.enroll(None, csr=workshop.csr("pump-5")).device.name == "pump-5"


def test_without_any_name_it_is_refused(north: Factory, workshop: Workshop) -> None:
    with pytest.raises(Invalid, match="name"):
        north.ask(None, csr=workshop.csr(""))
    assert nothing_is_left(north)


@pytest.mark.parametrize(
    "name", ["a+b", "a#b", "a/b", "a\0b", "a\nb", "x" * 65, "", "$SYS", " a", "a\u202eb", "a\u2028b", "a\u200bb"]
)
def test_bad_name_leaves_nothing(north: Factory, name: str) -> None:
    with pytest.raises(BadName):
        north.ask(name)
    assert nothing_is_left(north)


@pytest.mark.parametrize("name", ["x" * 64, "ä" * 32, "pump 17", "泵-17"])
def test_odd_names_go_into_the_certificate(north: Factory, name: str) -> None:
    made = north.enroll(name)
    assert made.device.auth_id == name
    options = ("-nameopt", "utf8,sep_multiline")
    assert f"CN={name}" in openssl("x509", "-noout", "-subject", *options, given=made.certificate.pem.encode())


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (broken, BadCsrSignature),
        (lambda csr: csr[:200], MalformedCsr),
        (lambda _csr: "", MalformedCsr),
        (lambda csr: csr.replace("REQUEST", "CERTIFICATE"), MalformedCsr),
    ],
)
def test_bad_request_leaves_nothing(
    north: Factory, workshop: Workshop, spoil: object, error: type[DomainError]
) -> None:
    assert callable(spoil)
    with pytest.raises(error):
        north.ask(csr=spoil(workshop.csr()))
    assert nothing_is_left(north)


def test_weak_key_leaves_nothing(north: Factory, workshop: Workshop) -> None:
    with pytest.raises(WeakKey, match="1024"):
        north.ask(csr=workshop.csr(kind=RSA1024))
    assert nothing_is_left(north)


@pytest.mark.parametrize(
    "attributes",
    [
        {"colour": "red"},
        {"site": 5},
        {"site": ["hall"]},
        {"site": "x" * 257},
        {"site": "\0"},
        {"site": "\ud800"},
        {"litres": 1.5},
        {"litres": True},
        {"litres": 10**400},
        {"weight": float("nan")},
        {"wet": "yes"},
    ],
)
def test_attributes_that_do_not_fit_leave_nothing(north: Factory, attributes: dict[str, object]) -> None:
    with pytest.raises(BadAttributes):
        north.ask(attributes=attributes)
    assert nothing_is_left(north)


def test_attribute_unsafe_in_a_topic_is_stored(north: Factory) -> None:
    assert north.enroll(attributes={"site": "a/+/#"}).device.attributes == {"site": "a/+/#"}


@pytest.mark.parametrize("serial", ["x" * 129, "a\0b", "a\nb"])
def test_bad_serial_leaves_nothing(north: Factory, serial: str) -> None:
    with pytest.raises(Invalid) as caught:
        north.ask(hardware_serial=serial)
    assert caught.value.code == "bad-serial"
    assert nothing_is_left(north)


@pytest.mark.parametrize("token", ["", "x", "a.b", "." * 40, "01930000000070008000000000000001.secret", "ä.ö"])
def test_unknown_token_is_refused(north: Factory, token: str) -> None:
    with pytest.raises(TokenRefused):
        north.ask(token=token)


def test_wrong_secret_is_refused_with_the_words_of_an_unknown_token(north: Factory) -> None:
    with pytest.raises(TokenRefused) as unknown:
        north.ask(token="01930000000070008000000000000001.secret")
    with pytest.raises(TokenRefused) as wrong:
        north.ask(token=north.mint().token[:-1] + "!")
    assert (unknown.value.code, unknown.value.detail) == (wrong.value.code, wrong.value.detail)


def test_only_a_keyed_hash_of_the_token_is_kept(north: Factory) -> None:
    token = north.mint().token
    row = EnrolmentToken.objects.get()
    assert len(bytes(row.secret_hash)) == 32
    secret = token.partition(".")[2]
    assert len(secret) >= 22  # 128 bits in base64url
    assert all(secret not in str(value) for value in vars(row).values())
    assert secret not in repr(north.mint())


def test_spent_token_enrols_no_other_device(north: Factory) -> None:
    token = north.mint(uses=1).token
    north.enroll("pump-1", token=token)
    with pytest.raises(TokenSpent):
        north.ask("pump-2", token=token)
    assert Device.objects.count() == 1


def test_expired_token_is_refused(north: Factory) -> None:
    token = north.mint(seconds=60).token
    with pytest.raises(TokenExpired):
        north.ask(token=token, now=north.now + timedelta(seconds=60))
    assert nothing_is_left(north)


def test_revoked_token_is_refused(north: Factory) -> None:
    token = north.mint()
    for _ in range(2):
        services.revoke_enrolment_token(token=token.id, actor=ADA, now=north.now)
    with pytest.raises(TokenExpired):
        north.ask(token=token.token)
    assert nothing_is_left(north)


@pytest.mark.parametrize("address", ["10.1.0.1", "192.0.3.1", "", "nonsense", "2001:db8::1"])
def test_token_is_refused_from_another_network(north: Factory, address: str) -> None:
    token = north.mint(networks=["10.0.0.0/16", "192.0.2.0/24"]).token
    with pytest.raises(WrongNetwork):
        north.ask(token=token, address=address)
    assert nothing_is_left(north)


@pytest.mark.parametrize("address", ["10.0.3.4", "192.0.2.255", "2001:db8::7", "::ffff:10.0.0.1"])
def test_token_is_taken_from_its_networks(north: Factory, address: str) -> None:
    token = north.mint(networks=["10.0.0.0/16", "192.0.2.0/24", "2001:db8::/32"]).token
    assert north.enroll(token=token, address=address)


def test_same_call_again_gets_the_same_certificate_and_spends_nothing(north: Factory, workshop: Workshop) -> None:
    token, csr = north.mint(uses=1).token, workshop.csr()
    first = north.enroll(token=token, csr=csr)
    again = north.enroll(token=token, csr=csr, now=north.now + timedelta(days=2))
    assert again.certificate == first.certificate
    assert uses(north) == [1]
    assert len(list_entries(subject_kind="devices.device", subject_id=str(first.device.id))) == 1


def test_retry_with_another_token_needs_that_to_be_good(north: Factory, workshop: Workshop) -> None:
    csr = workshop.csr()
    first = north.enroll(csr=csr)
    other = north.mint(seconds=60).token
    assert north.enroll(csr=csr, token=other).certificate == first.certificate
    with pytest.raises(TokenExpired):
        north.ask(csr=csr, token=other, now=north.now + timedelta(seconds=61))


def test_key_of_another_device_is_refused_and_leaves_nothing(north: Factory, workshop: Workshop) -> None:
    key = workshop.key()
    north.enroll("pump-1", csr=key.csr())
    token = north.mint().token
    with pytest.raises(KeyInUse) as caught:
        north.ask("pump-2", csr=key.csr("another subject"), token=token)
    assert caught.value.code == "key-in-use"
    assert [device.name for device in Device.objects.all()] == ["pump-1"]
    assert sorted(uses(north)) == [0, 1]


def test_key_of_a_device_of_another_domain_is_refused(north: Factory, south: Factory, workshop: Workshop) -> None:
    csr = workshop.csr()
    north.enroll(csr=csr)
    with pytest.raises(Conflict) as caught:
        south.ask(csr=csr)
    assert caught.value.code == "key-in-use"
    assert not Device.objects.filter(domain_id=south.domain).exists()


def test_key_that_waits_under_two_profiles_becomes_one_device(north: Factory, workshop: Workshop) -> None:
    csr = workshop.csr()
    waiting = north.wait("pump-1", csr=csr)
    north.enroll("pump-2", csr=csr)
    with pytest.raises(Conflict) as caught:
        services.approve_request(request=waiting.request, actor=ADA, now=north.now)
    assert caught.value.code == "key-in-use"
    assert [device.name for device in Device.objects.all()] == ["pump-2"]
    assert EnrolmentRequest.objects.count() == 1


def test_name_of_another_device_is_never_taken_over(north: Factory) -> None:
    north.enroll("pump-17")
    token = north.mint().token
    with pytest.raises(NameTaken):
        north.ask("pump-17", token=token)
    assert sorted(uses(north)) == [0, 1]


def test_two_domains_may_have_devices_of_one_name(north: Factory, south: Factory) -> None:
    assert north.enroll("pump-17").device.id != south.enroll("pump-17").device.id


@pytest.mark.parametrize("ending", [services.revoke_device, services.decommission_device])
def test_name_and_key_of_a_device_that_ended_stay_reserved(north: Factory, workshop: Workshop, ending: object) -> None:
    csr = workshop.csr()
    device = north.enroll(csr=csr).device.id
    extra = {"reason": ReasonCode.KEY_COMPROMISE} if ending is services.revoke_device else {}
    assert callable(ending)
    ending(device=device, actor=ADA, now=north.now, **extra)
    with pytest.raises(NameTaken):
        north.ask()
    with pytest.raises(DeviceRefused):
        north.ask(csr=csr)
    with pytest.raises(KeyInUse):
        north.ask("pump-18", csr=csr)


def test_device_registered_ahead_keeps_its_id_and_attributes(north: Factory) -> None:
    ahead = north.register(hardware_serial="SN-1", attributes={"site": "hall"})
    made = north.enroll(hardware_serial="SN-1", attributes={"litres": 5}).device
    assert (made.id, made.state) == (ahead.id, DeviceState.ACTIVE)
    assert made.attributes == {"site": "hall", "litres": 5}


def test_attribute_registered_ahead_is_not_changed_by_the_device(north: Factory) -> None:
    north.register(attributes={"site": "hall"})
    with pytest.raises(BadAttributes, match="site"):
        north.ask(attributes={"site": "vault"})
    assert Device.objects.get().state == DeviceState.PRE_REGISTERED


def test_wish_that_comes_to_nothing_leaves_no_serial_and_no_attribute(north: Factory) -> None:
    north.register(attributes={"wet": True})
    waits = north.wait(hardware_serial="foreign", attributes={"site": "elsewhere"})
    services.deny_request(request=waits.request, actor=ADA, now=north.now)
    assert (Device.objects.get().hardware_serial, Device.objects.get().attributes) == ("", {"wet": True})
    made = north.enroll(hardware_serial="own", attributes={"site": "hall"})
    assert (made.device.hardware_serial, made.device.attributes) == ("own", {"site": "hall", "wet": True})


@pytest.mark.parametrize("serial", ["", "SN-2"])
def test_another_serial_than_registered_is_refused(north: Factory, serial: str) -> None:
    north.register(hardware_serial="SN-1")
    with pytest.raises(NotTheSame) as caught:
        north.ask(hardware_serial=serial)
    assert caught.value.code == "serial-mismatch"
    assert Device.objects.get().state == DeviceState.PRE_REGISTERED


def test_token_of_another_type_does_not_enrol_a_registered_device(north: Factory) -> None:
    services.create_device_type(domain=north.domain, name="valve", schema={}, actor=ADA, now=north.now)
    north.register(device_type="valve")
    with pytest.raises(NotTheSame) as caught:
        north.ask()
    assert caught.value.code == "device-type-mismatch"


def test_domain_without_issuer_leaves_nothing(north: Factory) -> None:
    token = north.mint().token
    Domain.objects.filter(id=north.domain).update(issuer=None)
    with pytest.raises(NoIssuer):
        north.ask(token=token)
    assert nothing_is_left(north)


def test_failure_before_the_key_is_bound_leaves_a_registered_device_as_it_was(
    north: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    north.register()

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise Unavailable("The key store does not answer: try again.")

    monkeypatch.setattr(grant_request, "issue_for", refuse)
    with pytest.raises(Unavailable):
        north.ask()
    assert Device.objects.get().state == DeviceState.PRE_REGISTERED
    assert not EnrolmentRequest.objects.exists()
    assert not any(uses(north))


class Killed(BaseException):
    """The process ends here."""


def killed_at(monkeypatch: pytest.MonkeyPatch, place: str, factory: Factory, **wish: Any) -> None:
    """An enrolment whose process is killed when it comes to that function."""

    def die(*_args: object, **_kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as crash:
        crash.setattr(grant_request, place, die)
        with pytest.raises(Killed):
            factory.ask(**wish)


@pytest.mark.parametrize("at", ["issue_for", "_settle"])
def test_retry_completes_what_a_crash_left(
    north: Factory, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    token, csr = north.mint(uses=1).token, workshop.csr()
    killed_at(monkeypatch, at, north, token=token, csr=csr)
    assert Device.objects.get().state == DeviceState.ENROLLING
    made = north.enroll(token=token, csr=csr)
    assert made.device.state is DeviceState.ACTIVE
    assert uses(north) == [1]
    assert [each.id for each in pki.certificates_of(holder=f"device:{made.device.id}")] == [made.certificate.id]


def test_retry_completes_what_failed_once_the_key_was_bound(
    north: Factory, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, csr = north.mint(uses=1).token, workshop.csr()

    def fail(*_args: object) -> None:
        raise Unavailable("The key store does not answer: try again.")

    with monkeypatch.context() as broken_store:
        broken_store.setattr(import_module("pki.services.issue_certificate"), "signing_key", fail)
        with pytest.raises(Unavailable):
            north.ask(token=token, csr=csr)
    assert north.enroll(token=token, csr=csr).device.state is DeviceState.ACTIVE
    assert uses(north) == [1]


def test_device_revoked_between_signing_and_storing_has_no_good_certificate(
    north: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = issue_for

    def issue_and_be_thrown_out(device: Device, csr: str, **kwargs: object) -> object:
        services.revoke_device(device=DeviceId(device.id), reason=ReasonCode.UNSPECIFIED, actor=ADA, now=north.now)
        return genuine(device, csr, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(grant_request, "issue_for", issue_and_be_thrown_out)
    with pytest.raises(Conflict):
        north.ask()
    device = Device.objects.get()
    assert device.state == DeviceState.REVOKED
    assert {each.state for each in pki.certificates_of(holder=f"device:{device.id}")} == {CertificateState.REVOKED}


def test_device_revoked_after_a_crash_has_no_good_certificate_once_it_asks(
    north: Factory, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    csr = workshop.csr()
    killed_at(monkeypatch, "_settle", north, csr=csr)
    Device.objects.update(state=DeviceState.REVOKED)
    with pytest.raises(DeviceRefused):
        north.ask(csr=csr)
    device = Device.objects.get()
    assert {each.state for each in pki.certificates_of(holder=f"device:{device.id}")} == {CertificateState.REVOKED}


def test_credential_is_recorded_with_its_times(north: Factory) -> None:
    made = north.enroll()
    [credential] = queries.credentials_of(device=made.device.id)
    assert (credential.certificate, credential.state) == (made.certificate.id, CredentialState.ACTIVE)
    assert (credential.not_before, credential.not_after) == (made.certificate.not_before, made.certificate.not_after)
    assert queries.device_of_certificate(certificate=made.certificate.id) == made.device.id
