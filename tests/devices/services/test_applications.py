"""Applications are principals: their names, certificates and lives are those of devices, and they have no type."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from cryptography import x509
from django.db import IntegrityError, transaction

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from devices import queries, services
from devices.core.import_rows import DeviceRow
from devices.core.names import BadName
from devices.core.policy_changes import PolicyChange
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.core.values import CredentialState, Device, DeviceState, PrincipalKind
from devices.models import Device as DeviceTable
from devices.queries.concerned import concerned_devices
from devices.queries.policy import policy_document
from devices.services import Enrolment, policy_changes
from devices.services.bindings import BindingTarget, UnknownTarget
from devices.services.certify_application import KeyRevoked
from devices.services.domains import NameTaken
from devices.services.import_devices import RowOutcome
from devices.services.issue_credential import DeviceRefused
from devices.services.policy_changes.drafting import UnknownBindingTarget
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from pki import queries as pki
from pki import services as pki_services
from pki.core.csr import MalformedCsr
from pki.core.values import CertificateState, ReasonCode
from pki.services.issue_certificate import KeyInUse
from tests.cast import ADA
from tests.devices.factory import Factory
from tests.devices.openssl import openssl

SERVICE: Any = import_module("devices.services.certify_application")
ALL_UP = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/+/up/#")


def register(factory: Factory, name: str = "dashboards") -> Device:
    return services.register_application(domain=factory.domain, name=name, actor=ADA, now=factory.now)


def certify(factory: Factory, application: Device, **changes: Any) -> Enrolment:
    given = {"csr": factory.workshop.csr(), "now": factory.now, **changes}
    return services.certify_application(application=application.id, actor=ADA, **given)


def bind(factory: Factory, target: BindingTarget, *rules: RuleSpec) -> None:
    role = factory.role("watchers", *rules)
    services.bind_role(domain=factory.domain, role=role.id, target=target, actor=ADA, now=factory.now)


def actions(factory: Factory, application: Device) -> list[str]:
    found = list_entries(domain=factory.domain, subject_kind="devices.application", subject_id=str(application.id))
    return [entry.action for entry in reversed(found)]


def test_application_is_registered_without_type_serial_and_attributes(north: Factory) -> None:
    made = register(north)
    assert (made.kind, made.state) == (PrincipalKind.APPLICATION, DeviceState.PRE_REGISTERED)
    assert (made.name, made.auth_id, made.client_id) == ("dashboards",) * 3
    assert (made.device_type, made.hardware_serial, made.attributes, made.groups) == ("", "", {}, ())
    assert actions(north, made) == ["devices.application.registered"]


def test_name_follows_the_rules_of_devices(north: Factory) -> None:
    for name in ["", "a/b", "a+", "#", "$SYS", "a\nb", "x" * 65]:
        with pytest.raises(BadName):
            register(north, name)


def test_names_are_one_over_devices_and_applications(north: Factory) -> None:
    north.enroll("pump-17")
    register(north, "dashboards")
    with pytest.raises(NameTaken):
        register(north, "pump-17")
    with pytest.raises(NameTaken):
        north.register("dashboards")


def test_device_never_enrols_under_an_applications_name(north: Factory) -> None:
    made = register(north)
    with pytest.raises(NameTaken):
        north.enroll("dashboards")
    assert queries.get_application(application=made.id).state is DeviceState.PRE_REGISTERED
    assert not queries.credentials_of(device=made.id)


def test_import_leaves_an_application_alone(north: Factory) -> None:
    register(north)
    row = DeviceRow(name="dashboards", device_type="", hardware_serial="", attributes={})
    [told] = services.import_devices(
        domain=north.domain, rows=[(1, row)], device_type="pump", dry_run=False, actor=ADA, now=north.now
    )
    assert told.outcome is RowOutcome.REFUSED
    assert "application" in told.detail


def test_database_keeps_kinds_and_types_together(north: Factory) -> None:
    device = north.register()
    wrongs: list[dict[str, Any]] = [{"kind": "application"}, {"device_type": None}, {"kind": "robot"}]
    for wrong in wrongs:
        with pytest.raises(IntegrityError), transaction.atomic():
            DeviceTable.objects.filter(id=device.id).update(**wrong)


def test_first_certificate_makes_it_active_and_names_it_as_an_application(north: Factory) -> None:
    made = register(north)
    given = certify(north, made)
    assert (given.device.id, given.device.state) == (made.id, DeviceState.ACTIVE)
    assert given.device.enrolled_at == north.now
    text = openssl("x509", "-noout", "-subject", "-ext", "subjectAltName", given=given.certificate.pem.encode())
    assert "CN = dashboards" in text
    assert f"URI:urn:gatehouse:north:application:{made.id}" in text
    assert given.certificate.holder == f"application:{made.id}"
    assert queries.device_of_certificate(certificate=given.certificate.id) == made.id
    assert actions(north, made) == ["devices.application.registered", "devices.application.certified"]


def test_next_certificate_retires_the_one_before(north: Factory) -> None:
    made = register(north)
    certify(north, made)
    certify(north, made)
    states = [each.state for each in queries.credentials_of(device=made.id)]
    assert states == [CredentialState.ACTIVE, CredentialState.RETIRING]


def test_same_key_again_gets_the_same_certificate(north: Factory) -> None:
    made, csr = register(north), north.workshop.csr()
    first, second = certify(north, made, csr=csr), certify(north, made, csr=csr)
    assert first.certificate.id == second.certificate.id
    assert len(queries.credentials_of(device=made.id)) == 1


def test_what_was_signed_before_a_crash_is_handed_out(north: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    made, csr = register(north), north.workshop.csr()
    with monkeypatch.context() as crash:
        crash.setattr(SERVICE, "_settle", None)
        with pytest.raises(TypeError):
            certify(north, made, csr=csr)
    [stray] = pki.certificates_of(holder=f"application:{made.id}")
    assert certify(north, made, csr=csr).certificate.id == stray.id


def test_key_of_another_is_refused(north: Factory) -> None:
    csr = north.workshop.csr()
    north.enroll("pump-17", csr=csr)
    made = register(north)
    with pytest.raises(KeyInUse):
        certify(north, made, csr=csr)
    assert queries.get_application(application=made.id).state is DeviceState.PRE_REGISTERED


def test_key_that_was_revoked_is_not_taken_again(north: Factory) -> None:
    made, csr = register(north), north.workshop.csr()
    given = certify(north, made, csr=csr)
    pki_services.revoke_certificate(
        certificate=given.certificate.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=north.now
    )
    with pytest.raises(KeyRevoked):
        certify(north, made, csr=csr)
    assert certify(north, made).certificate.id != given.certificate.id


def test_what_is_no_request_is_refused(north: Factory) -> None:
    with pytest.raises(MalformedCsr):
        certify(north, register(north), csr="nonsense")


def test_device_gets_no_certificate_this_way(north: Factory) -> None:
    device = north.register()
    with pytest.raises(queries.UnknownApplication):
        certify(north, device)


def test_suspended_application_gets_no_certificate(north: Factory) -> None:
    made = register(north)
    certify(north, made)
    services.suspend_device(device=made.id, actor=ADA, now=north.now)
    with pytest.raises(DeviceRefused):
        certify(north, made)


def test_certificate_signed_while_it_was_thrown_out_is_revoked(north: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    made = register(north)
    certify(north, made)
    sign = SERVICE.issue_for

    def sign_late(*args: Any, **kwargs: Any) -> Any:
        signed = sign(*args, **kwargs)
        services.suspend_device(device=made.id, actor=ADA, now=north.now)
        return signed

    monkeypatch.setattr(SERVICE, "issue_for", sign_late)
    with pytest.raises(DeviceRefused):
        certify(north, made)
    states = sorted(each.state for each in pki.certificates_of(holder=f"application:{made.id}"))
    assert states == [CertificateState.ISSUED, CertificateState.REVOKED]


def test_renewal_with_its_own_certificate_works_as_for_devices(north: Factory) -> None:
    made = register(north)
    first = certify(north, made)
    chain = x509.load_pem_x509_certificates(first.certificate.pem.encode())
    second = services.renew_credential(
        chain=chain, csr=north.workshop.csr(), address="192.0.2.7", now=north.now + timedelta(hours=1)
    )
    assert second.device.id == made.id
    assert second.certificate.profile == "application"
    assert actions(north, made)[-1] == "devices.application.renewed"
    [last, *_] = list_entries(domain=north.domain, subject_kind="devices.application", subject_id=str(made.id))
    assert (last.actor.kind, last.actor.id) == ("application", str(made.id))


def test_revoking_it_revokes_all_its_certificates(north: Factory) -> None:
    made = register(north)
    certify(north, made)
    certify(north, made)
    services.revoke_device(device=made.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=north.now)
    held = pki.certificates_of(holder=f"application:{made.id}")
    assert {each.state for each in held} == {CertificateState.REVOKED}
    assert actions(north, made)[-1] == "devices.application.revoked"
    [last, *_] = list_entries(domain=north.domain, subject_kind="devices.application", subject_id=str(made.id))
    assert last.after["holder"] == f"application:{made.id}"


def test_certificate_revoked_by_itself_names_its_application(north: Factory) -> None:
    given = certify(north, register(north))
    pki_services.revoke_certificate(
        certificate=given.certificate.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=north.now
    )
    [entry] = [each for each in list_entries(domain=north.domain) if each.action == "pki.certificate.revoked"]
    assert entry.after["holder"] == given.device.holder


def test_devices_and_applications_are_never_listed_together(north: Factory) -> None:
    device, made = north.register("pump-17"), register(north)
    devices = queries.list_devices(domains=[north.domain])
    applications = queries.list_devices(domains=[north.domain], kind=PrincipalKind.APPLICATION)
    assert [each.id for each in devices.devices] == [device.id]
    assert [each.id for each in applications.devices] == [made.id]
    assert queries.count_devices(domains=[north.domain]) == 1
    assert queries.count_devices(domains=[north.domain], kind=PrincipalKind.APPLICATION) == 1
    assert sum(queries.count_by_state(domains=[north.domain]).values()) == 1


def test_each_is_found_as_what_it_is(north: Factory) -> None:
    device, made = north.register("pump-17"), register(north)
    for id in (device.id, made.id):
        assert queries.get_principal(id=id).id == id
    with pytest.raises(queries.UnknownDevice):
        queries.get_device(device=made.id)
    with pytest.raises(queries.UnknownApplication):
        queries.get_application(application=device.id)


def test_role_is_bound_to_it_by_what_it_is(north: Factory) -> None:
    made = register(north)
    certify(north, made)
    with pytest.raises(UnknownTarget):
        bind(north, BindingTarget(device=made.id), ALL_UP)
    role = policy_document(domain=north.domain)
    assert role.bindings == ()
    found = north.role("readers", ALL_UP)
    services.bind_role(
        domain=north.domain, role=found.id, target=BindingTarget(application=made.id), actor=ADA, now=north.now
    )
    [binding] = queries.list_bindings(domains=[north.domain])
    assert (binding.via, binding.target, binding.target_id) == ("application", "dashboards", str(made.id))
    [spec] = policy_document(domain=north.domain).bindings
    assert spec == BindingSpec(role="readers", via=BindingVia.APPLICATION, target="dashboards")


def test_device_is_no_application_to_bind_to(north: Factory) -> None:
    device = north.register()
    with pytest.raises(UnknownTarget):
        bind(north, BindingTarget(application=device.id), ALL_UP)


def test_roles_by_domain_and_group_reach_it_and_by_type_do_not(north: Factory) -> None:
    made = register(north)
    certify(north, made)
    services.create_group(domain=north.domain, name="backend", members=[made.id], actor=ADA, now=north.now)
    for target in (
        BindingTarget(domain="north"),
        BindingTarget(group="backend"),
        BindingTarget(device_type="pump"),
    ):
        role = north.role("by-" + next(name for name in ("domain", "group", "device_type") if getattr(target, name)))
        services.bind_role(domain=north.domain, role=role.id, target=target, actor=ADA, now=north.now)
    subject = queries.subject_of(device=made.id, now=utc_now())
    assert {bound.role_name for bound in subject.policy} == {"by-domain", "by-group"}
    assert subject.principal.device_type == ""


def test_change_of_policy_gives_it_a_role_by_what_it_is(north: Factory) -> None:
    made, device = register(north), north.register("pump-17")
    certify(north, made)
    readers = RoleSpec(name="readers", rules=(ALL_UP,))
    who: dict[str, Any] = {"actor": ADA, "now": north.now}

    def draft(via: BindingVia, target: str) -> PolicyChange:
        binding = BindingSpec(role="readers", via=via, target=target)
        document = PolicyDocument.of(domain="north", roles=[readers], bindings=[binding])
        return policy_changes.draft_change(domain=north.domain, title="Readers", document=document, **who)

    for via, target in ((BindingVia.DEVICE, made.name), (BindingVia.APPLICATION, device.name)):
        with pytest.raises(UnknownBindingTarget):
            draft(via, target)
    change = draft(BindingVia.APPLICATION, made.name)
    concerned, count = concerned_devices(domain=north.domain, before=change.base, after=change.document, limit=10)
    assert (concerned, count) == ([made.id], 1)
    policy_changes.approve_change(change=change.id, **who)
    policy_changes.apply_change(change=change.id, **who)
    [bound] = queries.subject_of(device=made.id, now=utc_now()).policy
    assert (bound.role_name, bound.binding and bound.binding.via) == ("readers", "application")
    assert policy_document(domain=north.domain) == change.document
