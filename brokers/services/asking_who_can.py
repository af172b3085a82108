"""Who may do something: roles are asked first, and devices only if a role could let them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from acl import queries as roles
from acl.core.evaluation import effective, evaluate
from acl.core.topics import covers, intersects, valid_filter
from acl.core.values import Action, Allow, BoundRule, Effect, Publish, Subscribe
from brokers.core.answers import WhoCan
from devices import queries as devices
from devices.core.values import DeviceId, DeviceSubject
from kernel.core.ids import DomainId

_SAMPLE = 20
_GRANTS = 100
_EXAMINED = 20_000


def who_can(*, domains: Sequence[DomainId], action: Action, topic: str) -> WhoCan:
    """Who may publish to the topic (with wildcards: to some name of it), or subscribe to the filter.

    `topic` may be `$share/<group>/<filter>` for a subscription. At most 20,000 devices of each domain are examined;
    beyond that the count is projected. Raises InvalidTopic.
    """
    judge = _judge(action, topic)
    sample: list[DeviceId] = []
    grants: dict[tuple[object, object], BoundRule] = {}
    count = 0.0
    for domain in domains:
        if not _some_role_could(domain, action):
            continue
        found = examined = 0
        for subject in islice(devices.iterate_subjects(domain=domain), _EXAMINED):
            examined += 1
            rule = judge(subject)
            if rule is not None:
                found += 1
                sample += [subject.device.id] if len(sample) < _SAMPLE else []
                grants.setdefault((rule.rule.id, rule.binding.id if rule.binding else None), rule)
        count += found * _share_examined(domain, examined)
    return WhoCan(sample=tuple(sample), approximate_count=round(count), grants=tuple(grants.values())[:_GRANTS])


def _share_examined(domain: DomainId, examined: int) -> float:
    if examined < _EXAMINED:
        return 1.0
    return max(1.0, devices.count_devices(domains=[domain]) / examined)


def _some_role_could(domain: DomainId, action: Action) -> bool:
    found = roles.list_roles(domains=[domain])
    return any(rule.effect is Effect.ALLOW and action in rule.actions for role in found for rule in role.rules)


def _judge(action: Action, topic: str) -> Callable[[DeviceSubject], BoundRule | None]:
    """What says which rule lets a device, or None."""
    if action is Action.SUBSCRIBE:
        wanted = Subscribe.parse(topic)
        valid_filter(wanted.topic)
        return lambda subject: _allowing(subject, wanted)
    valid_filter(topic)
    if "+" in topic or "#" in topic:
        return lambda subject: _may_publish_within(subject, topic)
    return lambda subject: _allowing(subject, Publish(topic=topic))


def _allowing(subject: DeviceSubject, request: Publish | Subscribe) -> BoundRule | None:
    verdict = evaluate(subject.policy, subject.principal, request)
    return verdict.rule if isinstance(verdict, Allow) else None


def _may_publish_within(subject: DeviceSubject, topic: str) -> BoundRule | None:
    """The first allow that meets the filter and that no single deny takes away as a whole."""
    rules = [
        (rule.bound, rule.filter)
        for rule in effective(subject.policy, subject.principal)
        if rule.filter is not None and Action.PUBLISH in rule.bound.rule.actions
    ]
    denied = [found for bound, found in rules if bound.rule.effect is Effect.DENY]
    for bound, found in rules:
        meets = bound.rule.effect is Effect.ALLOW and intersects(found, topic)
        if meets and not any(covers(deny, found) or covers(deny, topic) for deny in denied):
            return bound
    return None
