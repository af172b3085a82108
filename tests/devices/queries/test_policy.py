"""The policy of a domain, read as one document."""

from __future__ import annotations

from typing import Any

import pytest

from devices import services
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, PolicyDocument, RoleSpec
from devices.queries.policy import policy_document, policy_now
from devices.services.bindings import BindingTarget
from tests.cast import ADA
from tests.devices.factory import DOWN, UP, Factory

pytestmark = pytest.mark.django_db


def test_document_tells_all_of_a_domain_by_name_and_nothing_of_another(north: Factory, south: Factory) -> None:
    who: dict[str, Any] = {"actor": ADA, "now": north.now}
    role, quiet = north.role(), north.role("quiet", DOWN)
    south.role("theirs")
    services.create_group(domain=south.domain, name="theirs", **who)
    services.create_group(domain=north.domain, name="hall-1", **who)
    services.set_quarantine_role(domain=north.domain, role=quiet.id, **who)
    device = north.register("pump-1").id
    for target in (
        BindingTarget(domain="north"),
        BindingTarget(group="hall-1"),
        BindingTarget(device=device),
        BindingTarget(device_type="pump"),
    ):
        services.bind_role(domain=north.domain, role=role.id, target=target, **who)
    assert policy_document(domain=north.domain) == PolicyDocument(
        domain="north",
        quarantine_role="quiet",
        roles=(RoleSpec(name="pumps", rules=(UP, DOWN)), RoleSpec(name="quiet", rules=(DOWN,))),
        bindings=(
            BindingSpec(role="pumps", via=BindingVia.DEVICE, target="pump-1"),
            BindingSpec(role="pumps", via=BindingVia.DEVICE_TYPE, target="pump"),
            BindingSpec(role="pumps", via=BindingVia.DOMAIN, target="north"),
            BindingSpec(role="pumps", via=BindingVia.GROUP, target="hall-1"),
        ),
        groups=(GroupSpec(name="hall-1"),),
    )


def test_names_stand_for_what_is_there(north: Factory) -> None:
    role = north.role()
    made = services.bind_role(
        domain=north.domain, role=role.id, target=BindingTarget(domain="north"), actor=ADA, now=north.now
    )
    now = policy_now(domain=north.domain)
    assert now.roles == {"pumps": role}
    assert now.bindings == {BindingSpec(role="pumps", via=BindingVia.DOMAIN, target="north"): made}
