"""Policy as permissions of HiveMQ, which only allow; three formats hold them (ESE SQL and file realm, CE file RBAC).

HiveMQ compares the filter of a SUBSCRIBE as if it were a topic name, lets a first level that is a wildcard meet those
that begin with `$`, and takes empty levels off the end of a topic before it compares it with a permission that has no
wildcard. Deliveries are not judged. A connection without any permission may do everything, so nobody is left without.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from acl.core.evaluation import EffectiveRule, effective
from acl.core.templates import placeholders
from acl.core.topics import matches
from acl.core.values import Action, BoundRule, Effect, Principal, Publish, Request
from brokers.core.allowances import Allowance, allowances, covered, named_groups, without_open_ends
from brokers.core.hivemq_permissions import NOTHING, Account, Activity, Permission, Realm, in_order
from brokers.core.hivemq_ways import publishing, subscribing
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from brokers.core.rendering import Deviations, Limit, begins_with_wildcard, concerning

OURS = "gh."
NOTHING_ROLE = f"{OURS}nothing"
_ACCOUNT = "\ue000"  # stands for the name of the account while rules are compiled for all accounts at once
_ESCAPE = "\u00a7"  # before a variable it takes its meaning away
_SAME_FOR_MANY = frozenset({"domain", "device_type"})

LIMITS = (
    Limit(kind=DeviationKind.NARROWER, why="Topics with control characters or Unicode noncharacters are refused."),
    Limit(
        kind=DeviationKind.NARROWER,
        why="Unless mqtt.allow-dollar-topics is set, who publishes to a topic that begins with $ is disconnected.",
    ),
    Limit(
        kind=DeviationKind.NARROWER,
        why="Permissions are taken at connect: who gains one has to connect again, who loses one to be disconnected.",
    ),
    Limit(
        kind=DeviationKind.SIGNALLING,
        why=(
            f"Every account may subscribe to {NOTHING.topic}, where nothing is published: an account without any "
            "permission could do everything."
        ),
    ),
)
# What holds of the Enterprise Security Extension besides.
ESE_LIMITS = (
    *LIMITS,
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "Whoever is admitted without an account here has no permission, and may then do everything: let the "
            "pipeline log in by this realm."
        ),
    ),
)

_SLASHES = (
    "HiveMQ takes empty levels off the end of a topic, so a/b/ passes for a/b and a/b for a/b/: write a/b/# instead, "
    "or accept it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one format can say.

    `conditions`: that only retained messages, or only shared subscriptions, are meant. `variable` is the spelling of
    the account's name in topics, empty if there is none that the account can not choose itself; `in_parts` if it may
    be a part of a level, `by_client_id` if what stands there is the client id. `trims`: blanks at the ends of a text
    may not survive. `personal`: accounts have permissions of their own. `keeps_barred`: an account that is barred has
    to stay, with nothing, lest it is taken for one without any permission. `wildcard_names`: the name of an account,
    or its client id, may have `+` and `#`.
    """

    conditions: bool = True
    variable: str = ""
    in_parts: bool = False
    by_client_id: bool = False
    trims: bool = True
    personal: bool = True
    keeps_barred: bool = True
    wildcard_names: bool = True


def realm_of(subjects: Iterable[RenderSubject], dialect: Dialect, deviations: Deviations) -> Realm:
    """What HiveMQ should hold for these subjects: their accounts, and every role that those refer to."""
    roles = {NOTHING_ROLE: frozenset({NOTHING})}
    users = {}
    for subject in subjects:
        name = subject.principal.auth_id
        if subject.state is Standing.ABSENT or not _has_an_account(subject, dialect, deviations):
            continue
        shared, own = _Compiler(subject, dialect, deviations).permissions()
        named = {_role_name(role, held): held for role, held in shared.items()}
        if own and not dialect.personal:
            named[f"{OURS}d.{name}"], own = own, frozenset()
        roles |= named
        users[name] = Account(
            roles=tuple(sorted({NOTHING_ROLE, *named})), permissions=own, barred=subject.state is Standing.BARRED
        )
    return Realm(users=users, roles=roles)


def limited(request: Request) -> bool:
    """Whether the broker refuses the request whatever the policy says."""
    dollar = isinstance(request, Publish) and request.topic.startswith("$")
    return dollar or not is_text(request.topic)


def is_text(text: str) -> bool:
    """Whether HiveMQ takes the text: no control characters, no surrogates or noncharacters of Unicode."""
    return text.isprintable() or not any(map(_is_control, text))


def _is_control(character: str) -> bool:
    point = ord(character)
    if point < 0x20 or 0x7F <= point <= 0x9F:
        return True
    return 0xD800 <= point <= 0xDFFF or 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE


def _role_name(role: str, held: frozenset[Permission]) -> str:
    """One name for each set that a role comes to: principals with the same set share it, whoever they are."""
    spelled = "\n".join("\t".join(permission.place) for permission in in_order(held))
    return f"{OURS}r.{role}.{hashlib.sha256(spelled.encode()).hexdigest()[:24]}"


def _has_an_account(subject: RenderSubject, dialect: Dialect, deviations: Deviations) -> bool:
    if subject.state is Standing.BARRED and not dialect.keeps_barred:
        return False
    name, client_id = subject.principal.auth_id, subject.principal.client_id
    fault = ""
    if not is_text(name) or (dialect.trims and name != name.strip()):
        fault = "The account's name has control characters, or blanks at an end: it gets no account."
    elif not dialect.wildcard_names and any(character in name + client_id for character in "+#"):
        fault = "HiveMQ refuses + and # in the account's name or client id: it gets no account."
    if fault:
        for bound in subject.policy:
            deviations.note(bound, name, DeviationKind.NARROWER, fault)
    return not fault


@dataclass(frozen=True, slots=True)
class _Granted:
    bound: BoundRule
    permission: Permission


class _Compiler:
    """Turns the rules of one principal into permissions, and notes what is lost on the way."""

    def __init__(self, subject: RenderSubject, dialect: Dialect, deviations: Deviations) -> None:
        self._subject = subject
        self._dialect = dialect
        self._deviations = deviations

    def permissions(self) -> tuple[dict[str, frozenset[Permission]], frozenset[Permission]]:
        """Those that come of its roles, by role, and those that are its own."""
        exact = list(self._granted(self._subject.principal))
        general = self._general(exact) if exact and self._has_variable() else None
        shared: dict[str, set[Permission]] = defaultdict(set)
        own: set[Permission] = set()
        for granted in exact if general is None else general:
            if self._is_own(granted, symbolic=general is not None):
                own.add(replace(granted.permission, topic=self._filled(granted.permission.topic)))
            else:
                topic = granted.permission.topic.replace(_ACCOUNT, self._dialect.variable)
                shared[granted.bound.role_name].add(replace(granted.permission, topic=topic))
        return {role: _merged(held) for role, held in shared.items()}, _merged(own)

    def _has_variable(self) -> bool:
        principal = self._subject.principal
        named = not self._dialect.by_client_id or principal.client_id == principal.auth_id
        return bool(self._dialect.variable) and named

    def _general(self, exact: Sequence[_Granted]) -> list[_Granted] | None:
        """The permissions with a mark for the account's name, if that comes to the same for it; None if not."""
        name = self._subject.principal.auth_id
        if any(_ACCOUNT in granted.permission.topic for granted in exact):
            return None
        unheard = _Compiler(self._subject, self._dialect, Deviations())
        general = list(unheard._granted(_marked(self._subject.principal)))
        filled = {replace(granted.permission, topic=self._filled(granted.permission.topic)) for granted in general}
        return general if filled == {granted.permission for granted in exact} and _is_plain(name) else None

    def _filled(self, topic: str) -> str:
        return topic.replace(_ACCOUNT, self._subject.principal.auth_id)

    def _is_own(self, granted: _Granted, *, symbolic: bool) -> bool:
        """Whether the permission is another one for each account."""
        topic = granted.permission.topic
        in_part = any(_ACCOUNT in level and level != _ACCOUNT for level in topic.split("/"))
        if (in_part and not self._dialect.in_parts) or _ESCAPE + _ACCOUNT in topic:
            return True
        named = set(placeholders(granted.bound.rule.topic)) - _SAME_FOR_MANY
        if symbolic:
            marked = _marked(self._subject.principal)
            named = {name for name in named if not _says_account(name, marked)}
        return bool(named)

    def _granted(self, principal: Principal) -> Iterator[_Granted]:
        rules = effective(self._subject.policy, principal)
        yield from self._publishing(rules)
        yield from self._subscribing(rules)

    def _publishing(self, rules: Sequence[EffectiveRule]) -> Iterator[_Granted]:
        allowed = allowances(rules, Action.PUBLISH, self._narrower)
        for each in self._sayable(allowed, rules, Action.PUBLISH):
            permissions, lost = publishing(each, conditions=self._dialect.conditions)
            yield from self._noted(each, permissions, lost)

    def _subscribing(self, rules: Sequence[EffectiveRule]) -> Iterator[_Granted]:
        allowed = allowances(rules, Action.SUBSCRIBE, self._narrower)
        closed = list(without_open_ends(allowed, self._narrower, self._signalling))
        for each in self._sayable(closed, rules, Action.SUBSCRIBE, of=allowed):
            permissions, lost = subscribing(each, named_groups(rules), conditions=self._dialect.conditions)
            yield from self._noted(each, permissions, lost)

    def _noted(self, each: Allowance, permissions: Iterable[Permission], lost: str) -> Iterator[_Granted]:
        if lost:
            self._narrower(each.bound, f"{lost} can not be told apart here: left out.")
        for permission in permissions:
            yield _Granted(each.bound, permission)

    def _sayable(
        self,
        allowed: Sequence[Allowance],
        rules: Sequence[EffectiveRule],
        action: Action,
        of: Sequence[Allowance] = (),
    ) -> Iterator[Allowance]:
        """Those that HiveMQ reads as they are meant, or nearly."""
        denies = [topic for _, topic in concerning(rules, action, Effect.DENY)]
        for each in allowed:
            if fault := self._fault_of(each.filter, denies):
                self._narrower(each.bound, f"{fault}: left out.")
                continue
            if _is_literal(each.filter) and not covered(f"{each.filter.rstrip('/')}/#", each.ways, of or allowed):
                self._deviations.note(each.bound, self._subject.principal.auth_id, DeviationKind.WIDER, _SLASHES)
            yield each

    def _fault_of(self, filter: str, denies: Sequence[str]) -> str:
        """Why HiveMQ must not be told the filter; empty if it may."""
        if begins_with_wildcard(filter):
            return "HiveMQ lets a first level that is a wildcard meet those that begin with $"
        if not filter.strip("/") or (filter.endswith("/") and not _is_literal(filter)):
            return "HiveMQ takes the empty levels off its end, and it would be another filter"
        if "${" in filter:
            return "It has ${ in it, where HiveMQ would put a value"
        if not is_text(filter) or (self._dialect.trims and filter != filter.strip()):
            return "It has control characters, or blanks at an end"
        if _is_literal(filter) and any(matches(deny, name) for deny in denies for name in _alike(filter, deny)):
            return "HiveMQ takes empty levels off the end of topics, and with them it is denied"
        return ""

    def _signalling(self, bound: BoundRule, why: str) -> None:
        self._deviations.note(bound, self._subject.principal.auth_id, DeviationKind.SIGNALLING, why)

    def _narrower(self, bound: BoundRule, why: str) -> None:
        self._deviations.note(bound, self._subject.principal.auth_id, DeviationKind.NARROWER, why)


def _is_literal(filter: str) -> bool:
    return "+" not in filter and "#" not in filter


def _alike(filter: str, deny: str) -> Iterator[str]:
    """The names that HiveMQ takes for `filter`, but for itself, as far as they differ for `deny`."""
    name = filter.rstrip("/")
    for count in range(deny.count("/") + 2):
        if name + "/" * count != filter:
            yield name + "/" * count


def _is_plain(name: str) -> bool:
    """Whether the name can be put into a topic by the broker: all that it could do there is be a level."""
    return is_text(name) and "${" not in name and not any(character in f"+#/{_ESCAPE}" for character in name)


def _marked(principal: Principal) -> Principal:
    """The principal with the mark in place of its account's name, wherever a template may take that from."""
    name = principal.auth_id
    certificate = principal.certificate
    if certificate and certificate.cn == name:
        certificate = replace(certificate, cn=_ACCOUNT)
    return replace(
        principal,
        auth_id=_ACCOUNT,
        client_id=_ACCOUNT if principal.client_id == name else principal.client_id,
        username=_ACCOUNT if principal.username == name else principal.username,
        certificate=certificate,
    )


def _says_account(placeholder: str, marked: Principal) -> bool:
    if placeholder == "cert.cn":
        return marked.certificate is not None and marked.certificate.cn == _ACCOUNT
    return getattr(marked, placeholder, "") == _ACCOUNT


def _merged(held: Iterable[Permission]) -> frozenset[Permission]:
    """The same permissions, where one can say publish and subscribe in one."""
    found = set(held)
    for permission in list(found):
        twin = replace(permission, activity=Activity.SUBSCRIBE)
        if permission.activity is Activity.PUBLISH and twin in found:
            found -= {permission, twin}
            found.add(replace(permission, activity=Activity.ALL))
    return frozenset(found)
