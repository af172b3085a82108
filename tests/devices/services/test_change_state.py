"""Suspending, resuming, quarantining, revoking, decommissioning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from devices import queries, services
from devices.core.lifecycle import WrongState
from devices.core.values import CredentialState, DeviceId, DeviceState
from devices.models import Device
from devices.queries import UnknownDevice
from kernel.core.ids import EntryId, new_id
from kernel.queries import list_entries
from pki import queries as pki
from pki import services as pki_services
from pki.core.values import CertificateState, ReasonCode
from tests.cast import ADA
from tests.devices.factory import Factory

Change = Callable[..., EntryId]
S = DeviceState


def revoke(**given: Any) -> EntryId:
    return services.revoke_device(reason=ReasonCode.KEY_COMPROMISE, **given)


CHANGES: dict[S, Change] = {
    S.SUSPENDED: services.suspend_device,
    S.ACTIVE: services.resume_device,
    S.QUARANTINED: services.quarantine_device,
    S.REVOKED: revoke,
    S.DECOMMISSIONED: services.decommission_device,
}
POSSIBLE = {
    (S.PRE_REGISTERED, S.REVOKED), (S.PRE_REGISTERED, S.DECOMMISSIONED),
    (S.ENROLLING, S.REVOKED), (S.ENROLLING, S.DECOMMISSIONED),
    (S.ACTIVE, S.SUSPENDED), (S.ACTIVE, S.QUARANTINED), (S.ACTIVE, S.REVOKED), (S.ACTIVE, S.DECOMMISSIONED),
    (S.SUSPENDED, S.ACTIVE), (S.SUSPENDED, S.REVOKED), (S.SUSPENDED, S.DECOMMISSIONED),
    (S.QUARANTINED, S.ACTIVE), (S.QUARANTINED, S.SUSPENDED),
    (S.QUARANTINED, S.REVOKED), (S.QUARANTINED, S.DECOMMISSIONED),
    (S.REVOKED, S.DECOMMISSIONED),
}  # fmt: skip
REPEATS = {(state, state) for state in CHANGES}


def state_of(device: DeviceId) -> S:
    return queries.get_device(device=device).state


@pytest.mark.parametrize("after", CHANGES)
@pytest.mark.parametrize("before", S)
def test_operator_may_change_a_state_as_the_table_says_and_no_other_way(north: Factory, before: S, after: S) -> None:
    device = north.register().id
    Device.objects.update(state=before)
    if (before, after) in POSSIBLE | REPEATS:
        CHANGES[after](device=device, actor=ADA, now=north.now)
        assert state_of(device) is after
    else:
        with pytest.raises(WrongState):
            CHANGES[after](device=device, actor=ADA, now=north.now)
        assert state_of(device) is before


@pytest.mark.parametrize("after", CHANGES)
def test_operation_is_an_entry_that_says_what_happened(north: Factory, after: S) -> None:
    device = north.device("pump-17")
    operation = CHANGES[after](device=device, actor=ADA, now=north.now, note="smells of burning")
    entry = list_entries(limit=1)[0]
    assert (entry.id, entry.subject.id, entry.note) == (operation, str(device), "smells of burning")
    assert (entry.before["state"], entry.after["state"]) == ("active", after.value)
    assert (entry.after["auth_id"], entry.after["client_id"]) == ("pump-17", "pump-17")


def test_actions_have_the_names_that_are_routed(north: Factory) -> None:
    device = north.device()
    for after in (S.SUSPENDED, S.ACTIVE, S.QUARANTINED, S.REVOKED, S.DECOMMISSIONED):
        CHANGES[after](device=device, actor=ADA, now=north.now)
    found = list_entries(subject_kind="devices.device", subject_id=str(device))
    told = [entry.action.rpartition(".")[2] for entry in found]
    assert told == ["decommissioned", "revoked", "quarantined", "resumed", "suspended", "enrolled"]


def test_unknown_device_is_not_found(north: Factory) -> None:
    for change in CHANGES.values():
        with pytest.raises(UnknownDevice):
            change(device=DeviceId(new_id()), actor=ADA, now=north.now)


def test_suspension_keeps_the_credentials(north: Factory) -> None:
    device = north.device()
    services.suspend_device(device=device, actor=ADA, now=north.now)
    assert [each.state for each in queries.credentials_of(device=device)] == [CredentialState.ACTIVE]
    assert [each.state for each in pki.certificates_of(holder=f"device:{device}")] == [CertificateState.ISSUED]


@pytest.mark.parametrize("ending", [S.REVOKED, S.DECOMMISSIONED])
def test_end_revokes_every_certificate_and_names_their_issuers(north: Factory, ending: S) -> None:
    made = north.enroll()
    second = services.renew_credential(
        chain=_chain(made.certificate.pem), csr=north.workshop.csr(), address="", now=north.now
    )
    pki_services.hold_certificate(certificate=second.certificate.id, actor=ADA, now=north.now)
    operation = CHANGES[ending](device=made.device.id, actor=ADA, now=north.now)
    held = pki.certificates_of(holder=f"device:{made.device.id}")
    reason = ReasonCode.KEY_COMPROMISE if ending is S.REVOKED else ReasonCode.CESSATION_OF_OPERATION
    assert [(each.state, each.reason) for each in held] == [(CertificateState.REVOKED, reason)] * 2
    assert {each.state for each in queries.credentials_of(device=made.device.id)} == {CredentialState.REVOKED}
    entry = list_entries(limit=1)[0]
    assert entry.id == operation
    assert (entry.after["issuers"], entry.after["reason"]) == (["north-ca"], reason.value)
    assert queries.device_of_certificate(certificate=made.certificate.id) is None


def test_revoking_again_revokes_no_certificate_again(north: Factory) -> None:
    device = north.device()
    first = revoke(device=device, actor=ADA, now=north.now)
    [before] = pki.certificates_of(holder=f"device:{device}")
    second = services.revoke_device(device=device, reason=ReasonCode.SUPERSEDED, actor=ADA, now=north.now)
    assert first != second
    assert pki.certificates_of(holder=f"device:{device}") == [before]
    revoked = [entry for entry in list_entries(limit=50) if entry.action == "pki.certificate.revoked"]
    assert len(revoked) == 1


def test_revoking_a_device_that_never_enrolled_reserves_its_name(north: Factory) -> None:
    device = north.register("pump-17").id
    revoke(device=device, actor=ADA, now=north.now)
    assert list_entries(limit=1)[0].after["issuers"] == []
    assert state_of(device) is S.REVOKED


@pytest.mark.parametrize("reason", [ReasonCode.CERTIFICATE_HOLD, ReasonCode.REMOVE_FROM_CRL])
def test_reason_that_is_none_changes_nothing(north: Factory, reason: ReasonCode) -> None:
    from pki.services.revoke_certificate import BadReason

    device = north.device()
    with pytest.raises(BadReason):
        services.revoke_device(device=device, reason=reason, actor=ADA, now=north.now)
    assert state_of(device) is S.ACTIVE


def _chain(pem: str) -> Any:
    from cryptography import x509

    return x509.load_pem_x509_certificates(pem.encode())
