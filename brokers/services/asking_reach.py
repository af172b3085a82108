"""Which devices can make which others hear them: roles against roles, then the database counts who is behind them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from acl import queries as roles
from acl.core.analysis_conditions import Condition, Held, every, size_of, some
from acl.core.analysis_reach import Flow, find_flows
from acl.core.analysis_who_can import PublishWithin, ReceiveWithin, who_could
from acl.core.analysis_work import Work
from acl.core.values import Retain, Role, Rule
from brokers.core.answers import Reach, ReachLine
from devices import queries as devices
from devices.queries import DeviceSet, Reached

_MOST_FLOWS, _MOST_PAIRS = 200, 2_000
_COUNTED, _COUNTED_OF_MANY = 24, 8
_MOST_CONDITIONS = 1_000  # that the database is asked about in all


def reach(*, publishers: DeviceSet, subscribers: DeviceSet, now: datetime) -> Reach:
    """Every flow of topics now from active devices of the one set to active devices of the other.

    At most 200 flows; of the first 24 (8 in a domain of 10,000 devices) it is counted who is behind them, and those
    that denies of other roles take away from everybody are left out. What a device can only say to itself is marked.
    Quarantined devices are not in it.
    """
    found, are_all = find_flows(
        devices.roles_among(publishers, now=now),
        devices.roles_among(subscribers, now=now),
        publisher_domain=publishers.domain.slug,
        subscriber_domain=subscribers.domain.slug,
        most=_MOST_PAIRS,
    )
    flows = sorted(found, key=_order)[:_MOST_FLOWS]
    counts = _Counts(publishers, subscribers, now)
    most = _COUNTED_OF_MANY if _are_many(publishers) or _are_many(subscribers) else _COUNTED
    counted = [counts.line(flow) for flow in flows[:most]]
    lines = [line for line in counted if 0 not in (line.publishers, line.subscribers)]
    lines += [ReachLine(flow=flow) for flow in flows[most:]]
    return Reach(lines=tuple(lines), bounded=len(found) > _MOST_FLOWS or not are_all)


def _are_many(those: DeviceSet) -> bool:
    return devices.count_devices(domains=[those.domain.id]) >= devices.APPROXIMATE_FROM


def _order(flow: Flow) -> tuple[object, ...]:
    names = flow.publisher.name, flow.subscriber.name
    return flow.to_itself, bool(flow.where), *names, flow.filter, flow.without, flow.where


class _Counts:
    """Who is behind flows; the same is not counted twice."""

    def __init__(self, publishers: DeviceSet, subscribers: DeviceSet, now: datetime) -> None:
        self._publishers, self._subscribers, self._now = publishers, subscribers, now
        self._known = {each.domain.id: roles.list_roles(domains=[each.domain.id]) for each in (publishers, subscribers)}
        self._counted: dict[Reached, int] = {}
        self._work, self._asking = Work(), Work(_MOST_CONDITIONS)

    def line(self, flow: Flow) -> ReachLine:
        """The flow with both numbers, or None for one that it would be too much work to count."""
        hearing = ReceiveWithin(topic=flow.plain_filter)
        return ReachLine(
            flow=flow,
            publishers=self._count(self._publishers, _ways_to_publish(flow), flow.publisher, flow.publishing),
            subscribers=self._count(self._subscribers, [hearing], flow.subscriber, flow.subscribing),
        )

    def _count(
        self, those: DeviceSet, questions: Sequence[PublishWithin | ReceiveWithin], role: Role, rule: Rule
    ) -> int | None:
        """Those whom the rule lets do one of it; with those of whom it is not sure, since they may."""
        ways: list[Condition] = []
        for question in questions:
            known = self._known[those.domain.id]
            answer = who_could(known, question, domain=those.domain.slug, work=self._work)
            if self._work.has_run_out:
                return None
            ways += [grant.condition for grant in answer.grants if (grant.role, grant.rule.id) == (role.id, rule.id)]
            ways.append(every(Held(frozenset({role.id})), answer.unsure))
        reached = Reached(domain=those.domain.id, condition=some(*ways), now=self._now, among=those.among)
        if reached not in self._counted:
            if not self._asking.spend(size_of(reached.condition)):
                return None
            self._counted[reached] = devices.count_reached(reached)
        return self._counted[reached]


def _ways_to_publish(flow: Flow) -> list[PublishWithin]:
    """Each QoS with and without the retain flag, as far as the rule says so."""
    retains = {Retain.ANY: (False, True), Retain.NEVER: (False,), Retain.ONLY: (True,)}[flow.publishing.retain]
    return [
        PublishWithin(topic=flow.plain_filter, qos=qos, retain=retain)
        for qos in sorted(flow.publishing.qos)
        for retain in retains
    ]
