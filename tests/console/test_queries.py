"""Who among operators holds a scope."""

from __future__ import annotations

from collections.abc import Callable

from console.core.roles import ConsoleRole
from console.models import Operator
from console.queries import operators_with
from tests.cast import NORTH, SOUTH


def test_active_operators_whose_role_holds_the_scope(operator_in: Callable[..., Operator]) -> None:
    owner, auditor, gone = (
        operator_in(name, role)
        for name, role in (("ann", ConsoleRole.OWNER), ("ben", ConsoleRole.AUDITOR), ("cat", ConsoleRole.OWNER))
    )
    other = operator_in("dan", ConsoleRole.OWNER, SOUTH)
    Operator.objects.filter(pk=gone.pk).update(is_active=False)
    ids = {str(each.pk) for each in (owner, auditor, gone, other)} | {"command:root", ""}
    assert operators_with("policy:approve", domain=NORTH, among=ids) == {str(owner.pk)}
    assert operators_with("policy:read", domain=NORTH, among=ids) == {str(owner.pk), str(auditor.pk)}
    assert operators_with("policy:approve", domain=NORTH, among=[]) == frozenset()
