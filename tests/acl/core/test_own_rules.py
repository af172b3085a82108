"""Names of roles that hold the rules of one principal alone."""

from __future__ import annotations

import pytest

from acl.core.own_rules import holder_of, own_role_name, words_of
from acl.core.rules import InvalidRole, check_role


@pytest.mark.parametrize("holder", ["pump-17", "a", "a" * 64, "@pump", "泵 17", "..", "$x", "x'\"\\"])
def test_every_name_of_a_device_names_its_own_rules(holder: str) -> None:
    name = own_role_name(holder)
    check_role(name=name, rules=[])
    assert (name, holder_of(name), words_of(name)) == (f"@{holder}", holder, f"own rules of {holder}")


@pytest.mark.parametrize("holder", ["", "a" * 65, "a/b", "a+b", "a#", "a\x00b", "a\nb", "a\n", "\ud800"])
def test_what_no_device_is_called_names_none(holder: str) -> None:
    with pytest.raises(InvalidRole) as caught:
        check_role(name=f"@{holder}", rules=[])
    assert [fault.pointer for fault in caught.value.errors] == ["/name"]


def test_a_role_for_many_is_nobodys_own() -> None:
    assert (holder_of("pumps"), words_of("pumps")) == (None, "pumps")
