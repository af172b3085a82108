"""Whoever proves the current key gets the next certificate; the old one is good until it ends."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from cryptography import x509

from devices import queries, services
from devices.core.proof import BadProof, Proof
from devices.core.values import CredentialState, DeviceState
from devices.models import Device, UsedProof
from devices.services import Enrolment, renew_credential
from devices.services.issue_credential import MOST_GOOD, DeviceRefused, TooManyCertificates
from kernel.core.errors import Conflict
from kernel.queries import list_entries
from pki import queries as pki
from pki import services as pki_services
from pki.core.csr import BadCsrSignature
from pki.core.values import CertificateState, ReasonCode
from pki.queries import CertificateRefused
from tests.cast import ADA
from tests.devices.factory import Factory
from tests.devices.openssl import Workshop, broken, openssl


def renew(factory: Factory, shown: Enrolment, **changes: Any) -> Enrolment:
    chain = x509.load_pem_x509_certificates(shown.certificate.pem.encode())
    given: dict[str, Any] = {"chain": chain, "address": "192.0.2.7", "now": factory.now, **changes}
    given.setdefault("csr", factory.workshop.csr())
    return services.renew_credential(**given)


def states(factory: Factory, made: Enrolment) -> list[CredentialState]:
    return [each.state for each in queries.credentials_of(device=made.device.id)]


def proof_of(shown: Enrolment, now: Any, jti: str = "once") -> Proof:
    chain = tuple(x509.load_pem_x509_certificates(shown.certificate.pem.encode()))
    return Proof(chain=chain, jti=jti, replay_until=now + timedelta(minutes=10))


def test_new_certificate_is_the_same_devices_and_the_old_one_retires(north: Factory) -> None:
    first = north.enroll("pump-17")
    second = renew(north, first)
    assert second.device.id == first.device.id
    assert second.certificate.serial != first.certificate.serial
    assert second.certificate.public_key_sha256 != first.certificate.public_key_sha256
    assert states(north, first) == [CredentialState.ACTIVE, CredentialState.RETIRING]
    assert queries.device_of_certificate(certificate=first.certificate.id) == first.device.id
    assert pki.get_certificate(id=first.certificate.id).state is CertificateState.ISSUED
    subject = openssl("x509", "-noout", "-subject", given=second.certificate.pem.encode())
    assert subject.strip().endswith("CN = pump-17")


def test_journal_names_both_serials(north: Factory) -> None:
    first = north.enroll()
    second = renew(north, first)
    entry = list_entries(domain=north.domain, limit=1)[0]
    assert entry.action == "devices.device.renewed"
    assert (entry.before["serial"], entry.after["serial"]) == (
        first.certificate.serial_hex,
        second.certificate.serial_hex,
    )


def test_same_key_may_go_on(north: Factory, workshop: Workshop) -> None:
    key = workshop.key()
    first = north.enroll(csr=key.csr())
    second = renew(north, first, csr=key.csr())
    third = renew(north, second, csr=key.csr())
    assert len({first.certificate.id, second.certificate.id, third.certificate.id}) == 3


def test_same_call_again_gets_the_same_certificate(north: Factory, workshop: Workshop) -> None:
    first, csr = north.enroll(), workshop.csr()
    assert renew(north, first, csr=csr).certificate == renew(north, first, csr=csr).certificate
    assert states(north, first) == [CredentialState.ACTIVE, CredentialState.RETIRING]


def test_same_call_with_the_same_key_gets_the_same_certificate_too(north: Factory, workshop: Workshop) -> None:
    key = workshop.key()
    first = north.enroll(csr=key.csr())
    assert renew(north, first, csr=key.csr()).certificate == renew(north, first, csr=key.csr()).certificate


def test_device_that_lost_its_next_key_may_ask_for_another(north: Factory) -> None:
    first = north.enroll()
    renew(north, first)
    assert renew(north, first).device.state is DeviceState.ACTIVE


def test_device_can_not_heap_certificates_up_until_throwing_it_out_takes_long(north: Factory) -> None:
    first = north.enroll()
    others = [renew(north, first) for _ in range(MOST_GOOD - 1)]
    with pytest.raises(TooManyCertificates):
        renew(north, first)
    pki_services.revoke_certificate(
        certificate=others[0].certificate.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=north.now
    )
    assert renew(north, first)


def test_proof_is_taken_once(north: Factory) -> None:
    first = north.enroll()
    proof = proof_of(first, north.now)
    renew(north, first, proof=proof)
    with pytest.raises(BadProof):
        renew(north, first, proof=proof)
    assert renew(north, first, proof=proof_of(first, north.now, "twice"))


def test_proofs_of_two_devices_may_have_one_jti(north: Factory) -> None:
    for name in ("pump-1", "pump-2"):
        made = north.enroll(name)
        assert renew(north, made, proof=proof_of(made, north.now))


def test_proofs_are_forgotten_once_they_could_not_be_shown_again(north: Factory) -> None:
    first = north.enroll()
    renew(north, first, proof=proof_of(first, north.now))
    later = north.now + timedelta(minutes=11)
    renew(north, first, proof=proof_of(first, later), now=later)
    assert UsedProof.objects.count() == 1


def test_stranger_leaves_no_trace(north: Factory, workshop: Workshop) -> None:
    key = workshop.key()
    stranger = x509.load_pem_x509_certificates(
        openssl("req", "-x509", "-key", key.path, "-subj", "/CN=pump-17").encode()
    )
    north.enroll("pump-17")
    proof = Proof(chain=tuple(stranger), jti="x", replay_until=north.now + timedelta(minutes=10))
    with pytest.raises(CertificateRefused) as caught:
        services.renew_credential(chain=stranger, proof=proof, csr=key.csr(), address="", now=north.now)
    assert caught.value.code == "certificate-unknown"
    assert not UsedProof.objects.exists()


def test_quarantined_device_may_renew(north: Factory) -> None:
    first = north.enroll()
    services.quarantine_device(device=first.device.id, actor=ADA, now=north.now)
    assert renew(north, first).device.state is DeviceState.QUARANTINED


def test_suspended_device_may_not(north: Factory) -> None:
    first = north.enroll()
    services.suspend_device(device=first.device.id, actor=ADA, now=north.now)
    with pytest.raises(DeviceRefused):
        renew(north, first)
    services.resume_device(device=first.device.id, actor=ADA, now=north.now)
    assert renew(north, first)


def test_revoked_device_may_not(north: Factory) -> None:
    first = north.enroll()
    services.revoke_device(device=first.device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=north.now)
    with pytest.raises(CertificateRefused) as caught:
        renew(north, first)
    assert caught.value.code == "certificate-revoked"


def test_revoked_certificate_renews_nothing_though_its_device_is_active(north: Factory) -> None:
    first = north.enroll()
    second = renew(north, first)
    pki_services.revoke_certificate(
        certificate=first.certificate.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=north.now
    )
    with pytest.raises(CertificateRefused):
        renew(north, first)
    assert renew(north, second)


def test_certificate_that_ended_renews_nothing(north: Factory) -> None:
    first = north.enroll()
    with pytest.raises(CertificateRefused) as caught:
        renew(north, first, now=first.certificate.not_after)
    assert caught.value.code == "certificate-expired"


def test_brokers_certificate_renews_nothing(north: Factory, workshop: Workshop) -> None:
    made = pki_services.issue_certificate(
        issuer=north.ca.id,
        profile="broker-server",
        csr=workshop.csr().encode(),
        holder="broker:x",
        variables={"common_name": "broker"},
        dns_names=["localhost"],
        actor=ADA,
        now=north.now,
    )
    chain = x509.load_pem_x509_certificates(made.pem.encode())
    with pytest.raises(CertificateRefused):
        services.renew_credential(chain=chain, csr=workshop.csr(), address="", now=north.now)


def test_key_of_another_device_is_refused_and_changes_nothing(north: Factory, workshop: Workshop) -> None:
    csr = workshop.csr()
    north.enroll("pump-1", csr=csr)
    second = north.enroll("pump-2")
    with pytest.raises(Conflict) as caught:
        renew(north, second, csr=csr)
    assert caught.value.code == "key-in-use"
    assert states(north, second) == [CredentialState.ACTIVE]


def test_bad_request_spends_no_proof(north: Factory, workshop: Workshop) -> None:
    first = north.enroll()
    with pytest.raises(BadCsrSignature):
        renew(north, first, proof=proof_of(first, north.now), csr=broken(workshop.csr()))
    assert not UsedProof.objects.exists()


def test_device_thrown_out_while_it_renews_has_no_good_certificate(
    north: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:

    module = import_module(renew_credential.__module__)
    first, genuine = north.enroll(), module.issue_for

    def issue_and_be_thrown_out(device: Device, csr: str, **kwargs: Any) -> object:
        services.revoke_device(device=first.device.id, reason=ReasonCode.UNSPECIFIED, actor=ADA, now=north.now)
        return genuine(device, csr, **kwargs)

    monkeypatch.setattr(module, "issue_for", issue_and_be_thrown_out)
    with pytest.raises(DeviceRefused):
        renew(north, first)
    held = pki.certificates_of(holder=f"device:{first.device.id}")
    assert [each.state for each in held] == [CertificateState.REVOKED] * 2


def test_certificate_revoked_while_it_renews_gets_no_successor(north: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module(renew_credential.__module__)
    first, genuine = north.enroll(), module.issue_for

    def issue_while_it_is_revoked(device: Device, csr: str, **kwargs: Any) -> object:
        pki_services.revoke_certificate(
            certificate=first.certificate.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=north.now
        )
        return genuine(device, csr, **kwargs)

    monkeypatch.setattr(module, "issue_for", issue_while_it_is_revoked)
    with pytest.raises(DeviceRefused):
        renew(north, first)
    held = pki.certificates_of(holder=f"device:{first.device.id}")
    assert [each.state for each in held] == [CertificateState.REVOKED] * 2
