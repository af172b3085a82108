"""Ways to use a topic as HiveMQ permissions: QoS, the retain flag, shared groups."""

from __future__ import annotations

from collections.abc import Sequence

from brokers.core.allowances import OTHERS, RETAINED, UNRETAINED, Allowance
from brokers.core.hivemq.permissions import ANY_GROUP, Activity, Permission, Retained, Sharing

Said = tuple[list[Permission], str]


def publishing(allowance: Allowance, *, conditions: bool) -> Said:
    """The permissions for these publishes, and in words which of them could not be said.

    Without `conditions` nothing can be said of retained messages alone.
    """
    unretained, retained = allowance.qos(UNRETAINED), allowance.qos(RETAINED)
    either = unretained & retained
    said = [(Retained.ALL, either), (Retained.NOT_RETAINED, unretained - either)]
    only = retained - either
    if conditions:
        said.append((Retained.RETAINED, only))
    permissions = [
        Permission(topic=allowance.filter, activity=Activity.PUBLISH, qos=qos, retain=retain)
        for retain, qos in said
        if qos
    ]
    return permissions, "Retained messages" if only and not conditions else ""


def subscribing(allowance: Allowance, groups: Sequence[str], *, conditions: bool) -> Said:
    """The permissions for these subscriptions, and in words which of them could not be said.

    `groups` are all that some rule names: a permission for any group is one for each of them as well. Without
    `conditions` nothing can be said of shared subscriptions alone.
    """
    plain, others = allowance.qos(None), allowance.qos(OTHERS)
    shared = others.intersection(*map(allowance.qos, groups))
    lost = "Shared subscriptions in groups that no rule names" if others - shared else ""
    said = [(ANY_GROUP, shared), *((group, allowance.qos(group) - shared) for group in groups)]
    permissions = [_subscription(allowance, Sharing.NOT_SHARED, plain - shared)]
    for group, qos in said:
        permissions.append(_subscription(allowance, Sharing.ALL, qos & plain, group))
        if conditions:
            permissions.append(_subscription(allowance, Sharing.SHARED, qos - plain, group))
        elif qos - plain:
            lost = "Shared subscriptions"
    return [permission for permission in permissions if permission.qos], lost


def _subscription(allowance: Allowance, shared: Sharing, qos: frozenset[int], group: str = ANY_GROUP) -> Permission:
    return Permission(topic=allowance.filter, activity=Activity.SUBSCRIBE, qos=qos, shared=shared, group=group)
