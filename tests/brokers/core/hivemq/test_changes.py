"""In which order a realm of HiveMQ's is changed."""

from __future__ import annotations

from brokers.core.hivemq.changes import changes
from brokers.core.hivemq.permissions import NOTHING, Account, Permission, Realm
from brokers.core.hivemq.policy import NOTHING_ROLE

UP, DOWN, ALL = (frozenset({Permission(topic=topic)}) for topic in ("up", "down", "all"))
NONE: frozenset[Permission] = frozenset()


def realm(roles: dict[str, frozenset[Permission]], **users: tuple[str, frozenset[Permission]]) -> Realm:
    """Accounts by name, each with one role besides that of all, if it is named, and permissions of its own."""
    return Realm(
        roles={NOTHING_ROLE: frozenset({NOTHING}), **roles},
        users={
            name: Account(roles=tuple(sorted({NOTHING_ROLE, role} - {""})), permissions=held)
            for name, (role, held) in users.items()
        },
    )


def test_what_takes_away_comes_first_and_nothing_refers_to_what_is_not_there() -> None:
    present = realm(
        {"gh.less": UP, "gh.more": ALL, "gh.old": ALL},
        a_gains=("gh.less", NONE),
        b_is_moved=("gh.old", NONE),
        c_is_barred=("", UP),
        d_had_too_much=("gh.more", NONE),
        e_goes=("", UP),
    )
    wanted = realm(
        {"gh.less": UP | DOWN, "gh.more": NONE, "gh.new": DOWN},
        a_gains=("gh.less", NONE),
        b_is_moved=("gh.new", NONE),
        c_is_barred=("", NONE),
        d_had_too_much=("gh.more", NONE),
        f_comes=("", UP),
    )
    found = [(change.kind, change.name, change.ends) for change in changes(wanted, present, whole=True)]
    assert found == [
        ("delete-user", "e_goes", True),
        ("set-role", "gh.more", True),
        ("set-role", "gh.new", False),
        ("set-user", "c_is_barred", True),
        ("set-user", "d_had_too_much", True),
        ("set-user", "b_is_moved", True),
        ("set-role", "gh.less", False),
        ("set-user", "f_comes", False),
        ("delete-role", "gh.old", False),
    ]
