"""Which use of the policy a broker tells of. Where nobody tells, nothing is ever called unused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from acl.core.values import Action
from brokers.core.values import AdapterKind

TOLD_WHILE_HEARD: Mapping[AdapterKind, frozenset[Action]] = {
    AdapterKind.MOSQUITTO_DYNSEC: frozenset({Action.SUBSCRIBE})
}
"""What kinds of broker tell by their log or events, and so only to who listens. All else is told by asking us."""
TOLD_IN_PART = frozenset({AdapterKind.EMQX, AdapterKind.NANOMQ, AdapterKind.VERNEMQ_POSTGRESQL})
"""What kinds of broker tell by webhook, where nobody knows what was lost on the way."""

_MINUTES_HEARD = 1_380  # 23 hours of a day: a restart is no gap
_LATELY = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayHeard:
    """For how many minutes of a day a broker was heard, how often it told of each action, and how much was lost."""

    day: date
    minutes: int
    told: Mapping[Action, int]
    lost: int = 0


def reports_use(kind: AdapterKind, heard: Mapping[date, DayHeard], *, since: date, until: date) -> frozenset[Action]:
    """The actions whose every use on a broker, from `since` to before `until`, is known.

    What is told only to who listens was listened to on each of the days, and was told at all. A broker that asks us
    about each request did so at the beginning and lately: who is not answered is not let in meanwhile.
    """
    if kind in TOLD_IN_PART:
        return frozenset()
    days = [since + timedelta(days=number) for number in range((until - since).days)]
    listened = all(day in heard and heard[day].minutes >= _MINUTES_HEARD and not heard[day].lost for day in days)
    known = set()
    for action in Action:
        told = [day for day, found in heard.items() if found.told[action]]
        if action in TOLD_WHILE_HEARD.get(kind, ()):
            if listened and any(since <= day < until for day in told):
                known.add(action)
        elif any(day <= since for day in told) and any(day >= until - _LATELY for day in told):
            known.add(action)
    return frozenset(known)
