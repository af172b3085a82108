"""Who makes whom hear what: every rule that lets publish against every rule that lets subscribe.

It says filters, role by role; how many devices are behind them is for those who know the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from acl.core.analysis_filters import Equality, common_part, template_covers, without
from acl.core.analysis_work import Work
from acl.core.values import EVERY_QOS, Action, Effect, Retain, Role, RoleId, Rule, Shared

_NAME_SPACES = (("client_id", "auth_id", "username"), ("cert.serial",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Topics that devices of one role may publish to and devices of another may hear.

    Placeholders in `filter` have the publisher's values, those written `${subscriber.NAME}` the subscriber's; every
    equality of `where` has to apply. Of what falls under `without` the roles' own denies let nothing pass.
    """

    publisher: Role
    publishing: Rule
    subscriber: Role
    subscribing: Rule
    filter: str
    without: tuple[str, ...]
    where: tuple[Equality, ...]

    @property
    def to_itself(self) -> bool:
        """Whether a device only hears what it published itself: names are nobody else's in a domain.

        A serial number is not, as long as it is compared with a name: a device may be named like one. Other names in
        a certificate are what its profile says, and may be the same for all.
        """
        return self.publisher.domain == self.subscriber.domain and any(_is_one_device(pair) for pair in self.where)

    @property
    def plain_filter(self) -> str:
        """The filter with + for what depends on devices."""
        return "/".join("+" if "${" in level else level for level in self.filter.split("/"))


def _is_one_device(pair: Equality) -> bool:
    """Whether the publisher's name and the subscriber's are the same in one space of names."""
    sides = {pair.left, pair.right}
    return any(
        sides & {f"${{{name}}}" for name in names} and sides & {f"${{subscriber.{name}}}" for name in names}
        for names in _NAME_SPACES
    )


@dataclass(frozen=True, slots=True)
class _Voice:
    role: Role
    rule: Rule
    topic: str
    denied: tuple[str, ...]


def find_flows(
    publishers: Iterable[Role],
    subscribers: Iterable[Role],
    *,
    publisher_domain: str,
    subscriber_domain: str,
    most: int,
    work: Work | None = None,
) -> tuple[tuple[Flow, ...], bool]:
    """The flows from devices with a role of `publishers` to those with one of `subscribers`, and whether that is all.

    At most `most` pairs of rules that meet are looked at, and as many as there is work left for. Of two flows between
    the same roles, one of which holds the other, there is the wider alone.
    """
    left = work or Work()
    found = list(islice(_flows(publishers, subscribers, publisher_domain, subscriber_domain, left), most + 1))
    kept: dict[tuple[RoleId, RoleId], list[Flow]] = {}
    for flow in found[:most]:
        alike = kept.setdefault((flow.publisher.id, flow.subscriber.id), [])
        if not any(_holds(other, flow, left) for other in alike):
            alike[:] = [other for other in alike if not _holds(flow, other, left)] + [flow]
    are_all = len(found) <= most and not left.has_run_out
    return tuple(flow for alike in kept.values() for flow in alike), are_all


def _holds(wide: Flow, narrow: Flow, work: Work) -> bool:
    """Whether it is plain to see that all of `narrow` is in `wide`."""
    if not work.spend(1) or not set(wide.where) <= set(narrow.where):
        return False
    if not template_covers(wide.filter, narrow.filter):
        return False
    rest = without(narrow.filter, wide.without, work)
    return not work.has_run_out and rest == narrow.without


def _flows(
    publishers: Iterable[Role], subscribers: Iterable[Role], publisher_domain: str, subscriber_domain: str, work: Work
) -> Iterator[Flow]:
    ears = list(_voices(subscribers, Action.SUBSCRIBE, subscriber_domain, named="subscriber."))
    for mouth in _voices(publishers, Action.PUBLISH, publisher_domain):
        for ear in ears:
            if not work.spend(1):
                return
            met = common_part(mouth.topic, ear.topic)
            if met is None or (rest := without(met.filter, {*mouth.denied, *ear.denied}, work)) is None:
                continue
            yield Flow(
                publisher=mouth.role,
                publishing=mouth.rule,
                subscriber=ear.role,
                subscribing=ear.rule,
                filter=met.filter,
                without=rest,
                where=met.where,
            )


def _voices(roles: Iterable[Role], action: Action, domain: str, *, named: str = "") -> Iterator[_Voice]:
    """The allow rules about the action, each with what its own role denies in every way."""

    def spelled(rule: Rule) -> str:
        return rule.topic.replace("${domain}", domain).replace("${", "${" + named)

    for role in roles:
        about = [rule for rule in role.rules if action in rule.actions]
        denied = tuple(spelled(rule) for rule in about if rule.effect is Effect.DENY and _is_unconditional(rule))
        for rule in about:
            if rule.effect is Effect.ALLOW:
                yield _Voice(role, rule, spelled(rule), denied)


def _is_unconditional(rule: Rule) -> bool:
    return rule.qos == EVERY_QOS and rule.retain is Retain.ANY and rule.shared is Shared.ANY
