"""An application of the fleet that hears what every device sends, with its files to connect with."""

from __future__ import annotations

from acl import services as acl
from acl.core.values import Action
from devices import services as devices
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from tests.brokers.fleet import Enrolled, Fleet, allow, make_request
from tests.cast import ADA


def add_application(fleet: Fleet, name: str = "dashboards") -> Enrolled:
    """Registered, certified, and bound to a role `readers` of its own."""
    here = fleet.domain.id
    made = devices.register_application(domain=here, name=name, actor=ADA, now=utc_now())
    key, csr = make_request(fleet.folder, name)
    given = devices.certify_application(application=made.id, csr=csr.read_text(), actor=ADA, now=utc_now())
    certificate = fleet.folder / f"{name}.pem"
    certificate.write_text(given.certificate.pem + given.certificate.chain_pem)
    rules = [allow(Action.SUBSCRIBE, "${domain}/+/up/#"), allow(Action.SUBSCRIBE, "${domain}/${device_type}/#")]
    role = acl.create_role(domain=here, name="readers", rules=rules, actor=ADA, now=utc_now())
    target = BindingTarget(application=made.id)
    devices.bind_role(domain=here, role=role.id, target=target, actor=ADA, now=utc_now())
    return Enrolled(device=given.device, certificate=certificate, key=key)
