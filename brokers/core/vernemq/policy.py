"""Policy as filters for VerneMQ, which only allow; its rows for vmq_diversity and its ACL file are made of them.

VerneMQ compares the filter of a SUBSCRIBE as if it were a topic name, and lets a first level that is a wildcard meet
`$SYS` and `$share`. A shared subscription is the filter that begins with `$share/<group>/`. A level `%c`, `%u` or `%m`
is put in by the broker. Deliveries are not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from acl.core.evaluation import effective
from acl.core.values import Action, BoundRule, Request, Subscribe
from brokers.core.allowances import OTHERS, Allowance, allowances, named_groups, without_open_ends
from brokers.core.ports import DeviationKind, RenderSubject
from brokers.core.rendering import Deviations, Limit, begins_with_wildcard

MOST_LEVELS = 10  # topic_max_depth, `$share` and the group counted
PUT_IN = frozenset({"%c", "%u", "%m"})

LIMITS = (
    Limit(
        kind=DeviationKind.NARROWER,
        why=f"Topics of more than {MOST_LEVELS} levels are refused (topic_max_depth); $share and its group count.",
    ),
    Limit(
        kind=DeviationKind.NARROWER,
        why="Who may not publish its will is refused at CONNECT (MQTT 3.1.1), whatever else it may.",
    ),
    Limit(
        kind=DeviationKind.NARROWER,
        why="What is gained holds when the client connects anew (rows), or within 10 seconds (file).",
    ),
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "What is taken away may be used until the client connects anew (rows), or for 10 seconds more (file), and "
            "a subscription goes on, in a session that is kept too: vmq-admin session disconnect client-id=… --cleanup."
        ),
    ),
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "With allow_anonymous on nobody is judged, and what another plugin answers ok to is allowed: set "
            "allow_anonymous off, and switch all others off that know of clients or topics (vmq_passwd, vmq_webhooks, "
            "vmq_acl beside rows, vmq_diversity beside the file)."
        ),
    ),
)


def limited(request: Request) -> bool:
    """Whether the broker refuses the request whatever the policy says."""
    spelled = request.spelled if isinstance(request, Subscribe) else request.topic
    return spelled.count("/") >= MOST_LEVELS


class Compiler:
    """Turns the rules of one principal into filters, and notes what is lost on the way."""

    def __init__(self, subject: RenderSubject, deviations: Deviations, *, puts_in: bool) -> None:
        """`puts_in`: the broker puts values in place of the levels %c, %u and %m."""
        self._puts_in = puts_in
        self._auth_id = subject.principal.auth_id
        self._rules = effective(subject.policy, subject.principal)
        self._deviations = deviations

    def publishing(self) -> Iterator[Allowance]:
        """What may be published."""
        for each in allowances(self._rules, Action.PUBLISH, self.narrower):
            if self._is_sayable(each, each.filter):
                yield each

    def subscribing(self) -> Iterator[tuple[Allowance, str, frozenset[int]]]:
        """What may be subscribed to: the allowance, the filter as it is spelled, and in which QoS.

        A filter for any shared group meets those that have a name as well, so it has no QoS that one of them has not.
        """
        allowed = allowances(self._rules, Action.SUBSCRIBE, self.narrower)
        groups = named_groups(self._rules)
        for each in without_open_ends(allowed, self.narrower, self._signalling):
            if begins_with_wildcard(each.filter):
                self.narrower(each.bound, _MEETS_DOLLAR)
                continue
            for spelled, qos in self._spellings(each, groups):
                if qos and self._is_sayable(each, spelled):
                    yield each, spelled, qos

    def narrower(self, bound: BoundRule, why: str) -> None:
        """Notes that the broker allows less than the rule says."""
        self._deviations.note(bound, self._auth_id, DeviationKind.NARROWER, why)

    def _signalling(self, bound: BoundRule, why: str) -> None:
        self._deviations.note(bound, self._auth_id, DeviationKind.SIGNALLING, why)

    def _spellings(self, each: Allowance, groups: Sequence[str]) -> Iterator[tuple[str, frozenset[int]]]:
        others = each.qos(OTHERS)
        anywhere = others.intersection(*map(each.qos, groups))
        if others - anywhere:
            self.narrower(each.bound, "Groups that no rule names can not be told from the others: left out.")
        yield each.filter, each.qos(None)
        yield f"$share/+/{each.filter}", anywhere
        for group in groups:
            yield f"$share/{group}/{each.filter}", each.qos(group) - anywhere

    def _is_sayable(self, each: Allowance, spelled: str) -> bool:
        fault = self._fault_of(spelled)
        if fault:
            self.narrower(each.bound, fault)
        return not fault

    def _fault_of(self, spelled: str) -> str:
        """Why VerneMQ must not be told the filter; empty if it may."""
        levels = spelled.split("/")
        if begins_with_wildcard(spelled):
            return _MEETS_DOLLAR
        if self._puts_in and not PUT_IN.isdisjoint(levels):
            return "VerneMQ would put a value in place of its level %c, %u or %m: left out."
        if len(levels) > MOST_LEVELS:
            return f"With more than {MOST_LEVELS} levels VerneMQ refuses it: left out."
        return ""


_MEETS_DOLLAR = "VerneMQ lets a first level that is a wildcard meet $SYS and $share: left out."


def is_text(text: str) -> bool:
    """Whether the text has no control characters and no lone surrogates."""
    return not any(point < 0x20 or 0x7F <= point <= 0x9F or 0xD800 <= point <= 0xDFFF for point in map(ord, text))
