"""Several at one device's own rules: on SQLite, and on PostgreSQL by tests/test_on_postgresql.py."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from acl.core.rules import RuleSpec
from acl.queries import list_roles
from devices import services
from devices.models import Domain
from devices.queries import list_bindings
from devices.queries.device_rules import device_rules
from devices.services.device_rules import set_device_rules
from kernel.core.clock import utc_now
from kernel.core.journal import Break
from kernel.queries import verify_journal
from tests.cast import ADA, NORTH
from tests.devices.factory import DOWN, UP
from tests.devices.racing import at_once, told

pytestmark = [pytest.mark.several_writers, pytest.mark.django_db(transaction=True)]


def test_writers_at_once_leave_one_role_for_the_device_or_none() -> None:
    who: dict[str, Any] = {"actor": ADA, "now": utc_now()}
    Domain.objects.create(id=NORTH, slug="north", name="North")
    services.create_device_type(domain=NORTH, name="pump", schema={}, **who)
    device = services.register_device(domain=NORTH, name="pump-1", device_type="pump", **who).id
    nothing = device_rules(domain=NORTH, name="pump-1").digest

    def write(rules: Sequence[RuleSpec], digest: str | None = None) -> Any:
        return partial(set_device_rules, device=device, rules=rules, expected_digest=digest, **who)

    found = at_once([write([UP], nothing), write([DOWN], nothing)])
    assert told(found) == {"ok": 1, "version-mismatch": 1}
    assert told(at_once([write([UP]), write([]), write([DOWN]), write([])])) == {"ok": 4}
    roles, bindings = list_roles(domains=[NORTH]), list_bindings(domains=[NORTH])
    assert [role.name for role in roles] == ["@pump-1"] * len(bindings)
    assert [(each.role, each.target_id) for each in bindings] == [(role.id, str(device)) for role in roles]
    assert not any(isinstance(each, Break) for each in verify_journal())
