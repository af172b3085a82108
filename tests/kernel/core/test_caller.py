"""How far a call may reach."""

from __future__ import annotations

import pytest

from kernel.core.caller import Caller, DomainRef
from kernel.core.errors import Invalid, NotFound
from tests.cast import ADA, NORTH, SOUTH

ONE = Caller(actor=ADA, domains=(DomainRef(id=NORTH, slug="north"),), scopes=frozenset({"devices:read"}))
BOTH = Caller(
    actor=ADA,
    domains=(
        DomainRef(id=NORTH, slug="north", scopes=frozenset({"devices:read", "devices:write"})),
        DomainRef(id=SOUTH, slug="south", scopes=frozenset({"devices:read"})),
    ),
    scopes=frozenset({"devices:read", "devices:write"}),
)
NOWHERE = Caller(actor=ADA, domains=(), scopes=frozenset())


def test_only_domain_needs_no_name() -> None:
    assert ONE.domain(None) == ONE.domain("north") == NORTH


def test_one_of_several_has_to_be_named() -> None:
    with pytest.raises(Invalid) as caught:
        BOTH.domain(None)
    assert (caught.value.code, "north, south" in caught.value.detail) == ("domain-required", True)
    assert BOTH.domain("south") == SOUTH


@pytest.mark.parametrize(("caller", "slug"), [(ONE, "south"), (ONE, ""), (NOWHERE, None), (NOWHERE, "north")])
def test_domain_that_may_not_be_entered_is_not_found(caller: Caller, slug: str | None) -> None:
    with pytest.raises(NotFound):
        caller.domain(slug)


def test_sight_ends_at_ones_own_domains() -> None:
    assert ONE.may_see(NORTH)
    assert not ONE.may_see(SOUTH)
    assert ONE.slug_of(NORTH) == "north"
    with pytest.raises(NotFound):
        ONE.slug_of(SOUTH)


def test_scope_narrows_to_the_domains_where_it_holds() -> None:
    assert BOTH.within("devices:read").domain_ids == (NORTH, SOUTH)
    assert BOTH.within("devices:write").domain_ids == (NORTH,)
    assert ONE.within("devices:read") == ONE


def test_scope_that_holds_nowhere_leaves_nothing() -> None:
    narrowed = BOTH.within("roles:write")
    assert (narrowed.domains, narrowed.scopes) == ((), frozenset())
