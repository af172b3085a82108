"""What HiveMQ holds, as values: permissions, the roles that gather them, and accounts (SDK `TopicPermission`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from acl.core.values import EVERY_QOS

ANY_GROUP = "#"


class Activity(StrEnum):
    """What a permission is about."""

    __hash__ = str.__hash__  # that of Enum is no C

    PUBLISH = "PUBLISH"
    SUBSCRIBE = "SUBSCRIBE"
    ALL = "ALL"


class Retained(StrEnum):
    """Which publishes a permission is about."""

    __hash__ = str.__hash__  # that of Enum is no C

    RETAINED = "RETAINED"
    NOT_RETAINED = "NOT_RETAINED"
    ALL = "ALL"


class Sharing(StrEnum):
    """Which subscriptions a permission is about."""

    __hash__ = str.__hash__  # that of Enum is no C

    SHARED = "SHARED"
    NOT_SHARED = "NOT_SHARED"
    ALL = "ALL"


QOS_NAMES: Mapping[frozenset[int], str] = {
    frozenset({0}): "ZERO",
    frozenset({1}): "ONE",
    frozenset({2}): "TWO",
    frozenset({0, 1}): "ZERO_ONE",
    frozenset({0, 2}): "ZERO_TWO",
    frozenset({1, 2}): "ONE_TWO",
    EVERY_QOS: "ALL",
}
QOS_BY_NAME = {name: qos for qos, name in QOS_NAMES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One permission; it only allows. `group` narrows shared subscriptions to one group, `#` is any."""

    topic: str
    activity: Activity = Activity.ALL
    qos: frozenset[int] = EVERY_QOS
    retain: Retained = Retained.ALL
    shared: Sharing = Sharing.ALL
    group: str = ANY_GROUP

    @property
    def place(self) -> tuple[str, ...]:
        """What permissions are sorted by."""
        return (self.topic, self.activity, QOS_NAMES[self.qos], self.retain, self.shared, self.group)


# Harmless, since nobody may publish there (hivemq_rules); an account without any permission may do everything.
NOTHING = Permission(
    topic="$gatehouse/nothing",
    activity=Activity.SUBSCRIBE,
    qos=frozenset({0}),
    shared=Sharing.NOT_SHARED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who may connect, by name of roles and with permissions of its own. `barred`: its password is taken away."""

    roles: tuple[str, ...] = ()
    permissions: frozenset[Permission] = frozenset()
    barred: bool = False
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """Accounts by name, and roles by id."""

    users: Mapping[str, Account] = field(default_factory=dict)
    roles: Mapping[str, frozenset[Permission]] = field(default_factory=dict)

    def permissions_of(self, name: str) -> frozenset[Permission]:
        """Every permission of an account that is there, its roles' included."""
        account = self.users[name]
        return account.permissions.union(*(self.roles.get(role, frozenset()) for role in account.roles))


def in_order(permissions: frozenset[Permission]) -> list[Permission]:
    """The permissions, sorted."""
    return sorted(permissions, key=lambda permission: permission.place)
