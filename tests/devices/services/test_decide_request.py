"""An enrolment that waits for an operator's word."""

from __future__ import annotations

from datetime import timedelta

import pytest

from devices import queries, services
from devices.core.tokens import TokenExpired
from devices.core.values import DeviceId, DeviceState, EnrolmentRequestId, RequestState
from devices.models import Device
from devices.services.decide_request import AlreadyDecided, UnknownRequest
from devices.services.domains import NameTaken
from devices.services.grant_request import RequestDenied
from devices.services.issue_credential import DeviceRefused
from kernel.core.ids import new_id
from kernel.queries import list_entries
from pki import queries as pki
from pki.core.values import ReasonCode
from tests.cast import ADA
from tests.devices.factory import Factory
from tests.devices.openssl import Workshop


def state_of(factory: Factory) -> RequestState:
    [request] = queries.list_enrolment_requests(domains=[factory.domain])
    return request.state


def test_it_waits_without_a_certificate(north: Factory) -> None:
    waiting = north.wait("pump-17", hardware_serial="SN-1")
    [request] = queries.list_enrolment_requests(domains=[north.domain], state="pending")
    assert (request.id, request.name, request.address) == (waiting.request, "pump-17", "192.0.2.7")
    device = Device.objects.get()
    assert device.state == DeviceState.ENROLLING
    assert pki.certificates_of(holder=f"device:{device.id}") == []
    entry = list_entries(limit=1)[0]
    assert (entry.action, entry.subject.id) == ("devices.enrolment_request.created", str(waiting.request))


def test_asking_again_gets_the_same_answer_until_it_is_approved(north: Factory, workshop: Workshop) -> None:
    token, csr = north.mint("gate", uses=1).token, workshop.csr()
    first, second = north.wait(token=token, csr=csr), north.wait(token=token, csr=csr)
    assert first == second
    for _ in range(2):
        services.approve_request(request=first.request, actor=ADA, now=north.now)
    made = north.enroll(token=token, csr=csr)
    assert made.device.state is DeviceState.ACTIVE
    assert state_of(north) is RequestState.ISSUED
    assert sum(row.uses for row in queries.list_enrolment_tokens(domains=[north.domain])) == 1


def test_device_gets_its_answer_though_its_token_has_ended_meanwhile(north: Factory, workshop: Workshop) -> None:
    token, csr = north.mint("gate", seconds=60).token, workshop.csr()
    waiting = north.wait(token=token, csr=csr)
    later = north.now + timedelta(days=3)
    services.approve_request(request=waiting.request, actor=ADA, now=later)
    assert north.enroll(token=token, csr=csr, now=later)
    with pytest.raises(TokenExpired):
        north.ask("pump-18", token=token, now=later)


def test_token_that_was_revoked_meanwhile_gets_no_answer(north: Factory, workshop: Workshop) -> None:
    token, csr = north.mint("gate"), workshop.csr()
    north.wait(token=token.token, csr=csr)
    services.revoke_enrolment_token(token=token.id, actor=ADA, now=north.now)
    with pytest.raises(TokenExpired):
        north.ask(token=token.token, csr=csr)


def test_denial_frees_name_and_use(north: Factory, workshop: Workshop) -> None:
    token, csr = north.mint("gate", uses=1).token, workshop.csr()
    waiting = north.wait(token=token, csr=csr)
    for _ in range(2):
        services.deny_request(request=waiting.request, actor=ADA, now=north.now)
    with pytest.raises(RequestDenied):
        north.ask(token=token, csr=csr)
    assert not Device.objects.exists()
    assert sum(row.uses for row in queries.list_enrolment_tokens(domains=[north.domain])) == 0
    assert north.wait(token=token)


def test_denial_leaves_a_device_registered_ahead(north: Factory) -> None:
    ahead = north.register(attributes={"site": "hall"})
    waiting = north.wait()
    services.deny_request(request=waiting.request, actor=ADA, now=north.now)
    assert queries.get_device(device=ahead.id) == ahead


def test_what_is_decided_stays_so(north: Factory) -> None:
    denied = north.wait("pump-1")
    services.deny_request(request=denied.request, actor=ADA, now=north.now)
    with pytest.raises(AlreadyDecided):
        services.approve_request(request=denied.request, actor=ADA, now=north.now)
    approved = north.wait("pump-2")
    services.approve_request(request=approved.request, actor=ADA, now=north.now)
    with pytest.raises(AlreadyDecided):
        services.deny_request(request=approved.request, actor=ADA, now=north.now)


def test_name_is_taken_while_it_waits(north: Factory) -> None:
    north.wait("pump-17")
    with pytest.raises(NameTaken):
        north.wait("pump-17")


def test_device_revoked_while_it_waits_is_not_enrolled(north: Factory) -> None:
    waiting = north.wait()
    services.revoke_device(
        device=DeviceId(Device.objects.get().id), reason=ReasonCode.UNSPECIFIED, actor=ADA, now=north.now
    )
    with pytest.raises(DeviceRefused):
        services.approve_request(request=waiting.request, actor=ADA, now=north.now)
    assert pki.certificates_of(holder=f"device:{Device.objects.get().id}") == []


def test_unknown_request_is_not_found(north: Factory) -> None:
    with pytest.raises(UnknownRequest):
        services.approve_request(request=EnrolmentRequestId(new_id()), actor=ADA, now=north.now)
