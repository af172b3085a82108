"""Counting what of the policy is used and what is denied, before it is written down. Bounded, whatever devices send."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from acl.core.analysis_filters import template_covers
from acl.core.observed_topics import MOST_FILTERS, describe, generalise, summarise
from acl.core.values import Principal, Publish, Rule, RuleId, Subscribe
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import BrokerId
from devices.core.values import DeviceId

Used = tuple[Publish | Subscribe, Principal, int]
"""What was allowed to whom, and how often."""

ANYTHING = "#"
MOST_DENIALS = 5_000
MOST_TOPICS = 8
"""Of one device; what else it is denied counts as one topic, `#`."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class UseKey:
    """A rule on a broker on one day."""

    broker: BrokerId
    rule: RuleId
    day: date


@dataclass(slots=True)
class Use:
    """How often a rule let somebody on one day, and under which templates. `filters` is empty if they are too many."""

    rule_topic: str
    count: int = 0
    last_device: DeviceId | None = None
    filters: frozenset[str] = frozenset()

    @property
    def is_of_too_many(self) -> bool:
        """Whether it is not told any more which."""
        return self.count > 0 and not self.filters

    def tells(self, filter: str) -> bool:
        """Whether that template is among them or below one."""
        return filter in self.filters or any("#" in each and template_covers(each, filter) for each in self.filters)

    def add(self, filters: frozenset[str], *, count: int, device: DeviceId | None) -> None:
        """Counts so many more, with those templates; none stands for too many."""
        together = frozenset() if self.is_of_too_many or not filters else self.filters | filters
        if len(together) > MOST_FILTERS:
            together = frozenset(summarise(self.rule_topic, together))
        self.filters, self.count, self.last_device = together, self.count + count, device or self.last_device


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DenialKey:
    """What a device was denied on one day."""

    broker: BrokerId
    device: DeviceId
    action: AccessAction
    topic: str
    reason: AccessReason
    day: date


@dataclass(slots=True)
class Denial:
    """How often, when last, and by which deny rule if by one."""

    rule: RuleId | None
    last_at: datetime
    count: int = 0

    def add(self, count: int, at: datetime) -> None:
        """Counts so many more."""
        self.count, self.last_at = self.count + count, max(self.last_at, at)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class HearingKey:
    """A broker on one day."""

    broker: BrokerId
    day: date


@dataclass(slots=True)
class Hearing:
    """For how many minutes of a day a broker was heard, how often it told of something used, and how much was lost."""

    minutes: int = 0
    publishes: int = 0
    subscribes: int = 0
    lost: int = 0


@dataclass(slots=True)
class Counts:
    """What was noted since it was written last."""

    uses: dict[UseKey, Use] = field(default_factory=dict)
    denials: dict[DenialKey, Denial] = field(default_factory=dict)
    hearings: dict[HearingKey, Hearing] = field(default_factory=dict)
    topics: dict[tuple[BrokerId, DeviceId], int] = field(default_factory=dict)

    def allow(self, broker: BrokerId, rule: Rule, used: Iterable[Used], *, device: DeviceId | None, day: date) -> None:
        """Counts that the rule let somebody do all that on that day; `device` was the last of them."""
        use = self.uses.setdefault(UseKey(broker=broker, rule=rule.id, day=day), Use(rule_topic=rule.topic))
        hearing, fresh, count = self.hearing(broker, day), set[str](), 0
        for request, principal, times in used:
            if isinstance(request, Publish):
                hearing.publishes += times
            else:
                hearing.subscribes += times
            count += times
            if not use.is_of_too_many and not use.tells(filter := generalise(rule.topic, request.topic, principal)):
                fresh.add(filter)
            if len(fresh) > MOST_FILTERS:  # a few at a time: to put them together costs by the square
                use.add(frozenset(fresh), count=count, device=device)
                fresh, count = set(), 0
        use.add(frozenset(fresh) or use.filters, count=count, device=device)

    def deny(
        self,
        broker: BrokerId,
        rule: RuleId | None,
        request: Publish | Subscribe,
        principal: Principal,
        device: DeviceId,
        *,
        reason: AccessReason,
        at: datetime,
        count: int = 1,
    ) -> None:
        """Counts that the device was denied that, last at `at`. Of 5,000 different ones the next are not counted."""
        key = DenialKey(
            broker=broker,
            device=device,
            action=AccessAction.PUBLISH if isinstance(request, Publish) else AccessAction.SUBSCRIBE,
            topic=describe(request.topic, principal),
            reason=reason,
            day=at.date(),
        )
        if key not in self.denials:
            seen = self.topics.get((broker, device), 0)
            self.topics[broker, device] = seen + 1
            key = key if seen < MOST_TOPICS else replace(key, topic=ANYTHING)
        if key in self.denials or len(self.denials) < MOST_DENIALS:
            self.denials.setdefault(key, Denial(rule=rule, last_at=at)).add(count, at)

    def hearing(self, broker: BrokerId, day: date) -> Hearing:
        """How the broker was heard that day, to be counted on."""
        return self.hearings.setdefault(HearingKey(broker=broker, day=day), Hearing())

    def merge(self, earlier: Counts) -> None:
        """Counts what could not be written as well."""
        for use_key, use in earlier.uses.items():
            ours = self.uses.setdefault(use_key, Use(rule_topic=use.rule_topic))
            ours.add(use.filters, count=use.count, device=use.last_device)
        for key, denial in earlier.denials.items():
            if key in self.denials or len(self.denials) < MOST_DENIALS:
                known = self.denials.setdefault(key, Denial(rule=denial.rule, last_at=denial.last_at))
                known.add(denial.count, denial.last_at)
        for hearing_key, hearing in earlier.hearings.items():
            found = self.hearings.setdefault(hearing_key, Hearing())
            found.minutes += hearing.minutes
            found.publishes += hearing.publishes
            found.subscribes += hearing.subscribes
            found.lost += hearing.lost
