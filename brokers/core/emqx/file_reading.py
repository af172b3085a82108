"""EMQX's acl.conf read into rules: everything that 5.8 to 6 take, also what Gatehouse never writes.

A foreign file is imported from here, so what is not understood is named with its line and the rest is read.
"""

from __future__ import annotations

from collections.abc import Iterable

from acl.core.values import EVERY_QOS
from brokers.core.emqx.file_rules import EVERYBODY, FileRule, FileTopic, Who, WhoKind
from brokers.core.emqx.rule import LITERALLY, EmqxAction
from brokers.core.emqx.terms import Atom, Fault, Form, Listed, read_forms
from kernel.core.errors import Invalid


class NotAclConf(Invalid):
    """The text is no acl.conf of EMQX 5 or 6."""

    code = "not-emqx-acl-conf"


def read_rules(text: str) -> tuple[tuple[FileRule, ...], tuple[Fault, ...]]:
    """The rules of the file in order, and what in it is not understood."""
    rules, faults = [], []
    for form in read_forms(text):
        if isinstance(form, Fault):
            faults.append(form)
            continue
        try:
            rules.append(_rule_of(form))
        except NotAclConf as error:
            faults.append(Fault(line=form.line, why=error.detail))
    return tuple(rules), tuple(faults)


def _rule_of(form: Form) -> FileRule:
    match form.term:
        case (Atom("allow" | "deny" as effect), Atom("all")):
            return FileRule(allow=effect == "allow", who=EVERYBODY, line=form.line)
        case (Atom("allow" | "deny" as effect), (Atom("security_profile"), _) as who):
            return FileRule(allow=effect == "allow", who=_who_of(who), line=form.line)
        case (Atom("allow" | "deny" as effect), who, action, topics):
            about, qos, retain = _action_of(action)
            return FileRule(
                allow=effect == "allow",
                who=_who_of(who),
                action=about,
                topics=_topics_of(topics),
                qos=qos,
                retain=retain,
                line=form.line,
            )
    raise NotAclConf("A rule is {allow or deny, who, action, topics}, or {allow or deny, all}.")


_COMPARED = {
    "user": WhoKind.USERNAME,
    "username": WhoKind.USERNAME,
    "client": WhoKind.CLIENTID,
    "clientid": WhoKind.CLIENTID,
    "zone": WhoKind.ZONE,
    "listener": WhoKind.LISTENER,
}


def _who_of(term: object) -> Who:
    found = EVERYBODY
    match term:
        case Atom("all"):
            pass
        case (Atom("and" | "or" as kind), Listed(parts)):
            found = Who(kind=WhoKind(kind), parts=tuple(_who_of(part) for part in parts))
        case (Atom(kind), value) if kind in _COMPARED:
            found = _valued(_COMPARED[kind], value)
        case (Atom("client_attr"), str() | Atom() as name, value):
            found = _valued(WhoKind.CLIENT_ATTR, value, name=_text(name))
        case (Atom("ipaddr"), str(address)):
            found = Who(kind=WhoKind.ADDRESS, addresses=(address,))
        case (Atom("ipaddrs"), Listed(addresses)) if all(isinstance(address, str) for address in addresses):
            found = Who(kind=WhoKind.ADDRESS, addresses=tuple(map(str, addresses)))
        case (Atom("security_profile"), Atom("legacy" | "hardened" as profile)):
            found = Who(kind=WhoKind.PROFILE, value=profile)
        case _:
            raise NotAclConf('It is not understood whom the rule is about: write all, or {username, "a"} and the like.')
    return found


def _valued(kind: WhoKind, value: object, *, name: str = "") -> Who:
    match value:
        case str() | Atom():
            return Who(kind=kind, name=name, value=_text(value))
        case (Atom("re"), str(pattern)):
            return Who(kind=kind, name=name, value=pattern, regex=True)
    raise NotAclConf(f'A {kind.value} is compared with a text, or with {{re, "pattern"}}.')


def _text(term: str | Atom) -> str:
    return term.name if isinstance(term, Atom) else term


def _action_of(term: object) -> tuple[EmqxAction, frozenset[int], bool | None]:
    match term:
        case Atom("publish" | "subscribe" | "all" as action):
            return EmqxAction(action), EVERY_QOS, None
        case (Atom("publish" | "subscribe" | "all" as action), Listed() | tuple() as options):
            listed = options.items if isinstance(options, Listed) else (options,)
            about = EmqxAction(action)
            return about, _qos_of(listed), _retain_of(listed, about)
    raise NotAclConf("An action is publish, subscribe or all, alone or with [{qos, ...}, {retain, ...}].")


def _qos_of(options: Iterable[object]) -> frozenset[int]:
    """All there are; an empty list is about no message at all."""
    levels: set[object] = set()
    given = False
    for option in options:
        match option:
            case (Atom("qos"), int(level)):
                given, levels = True, levels | {level}
            case (Atom("qos"), Listed(several)):
                given, levels = True, levels.union(several)
            case (Atom("retain"), _):
                pass
            case _:
                raise NotAclConf("The conditions of an action are {qos, 0 to 2 or a list} and {retain, true or false}.")
    if not levels <= EVERY_QOS:
        raise NotAclConf("A qos is 0, 1 or 2.")
    return EVERY_QOS & levels if given else EVERY_QOS


def _retain_of(options: Iterable[object], action: EmqxAction) -> bool | None:
    """The first one holds; a subscription's is not looked at."""
    for option in options:
        match option:
            case (Atom("retain"), Atom("true" | "false" | "all" as wanted)):
                return None if wanted == "all" or action is EmqxAction.SUBSCRIBE else wanted == "true"
            case (Atom("retain"), _):
                raise NotAclConf("A retain is true, false or all.")
    return None


def _topics_of(term: object) -> tuple[FileTopic, ...] | None:
    if term == Atom("all"):
        return None
    if not isinstance(term, Listed):
        raise NotAclConf('Topics are a list, such as ["a/b", {eq, "a/#"}], or all.')
    return tuple(map(_topic_of, term.items))


def _topic_of(term: object) -> FileTopic:
    match term:
        case str(topic) if topic:
            return FileTopic(topic=topic.removeprefix(LITERALLY), literal=topic.startswith(LITERALLY))
        case (Atom("eq"), str(topic)) if topic:
            return FileTopic(topic=topic, literal=True)
    raise NotAclConf('A topic is a text, or {eq, "text"} to be compared as it stands.')
