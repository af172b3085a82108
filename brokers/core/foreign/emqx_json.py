"""Rules of EMQX's built-in database, as its API gives them: lists by username and client id, and one for all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from brokers.core.emqx.file_rules import EVERYBODY, FileRule, FileTopic, Who, WhoKind
from brokers.core.emqx.rule import NotEmqxRules, rules_of
from brokers.core.foreign.emqx import Placed, policy_of
from brokers.core.foreign.outcome import ForeignPolicy
from kernel.core.errors import FieldError, Invalid

_KNOWN = frozenset({"permission", "action", "topic", "topics", "qos", "retain", "username", "clientid"})
_KINDS = {"clientid": WhoKind.CLIENTID, "username": WhoKind.USERNAME}
_FIRST = (WhoKind.CLIENTID, WhoKind.USERNAME, WhoKind.ALL)  # the order in which EMQX asks


class InvalidEmqxRules(Invalid):
    """The text is none of the forms in which EMQX's API gives rules, or a rule in it could be a deny not understood."""

    code = "invalid-emqx-rules"


def read_emqx_rules(text: str) -> ForeignPolicy:
    """The roles that the rules come to. Raises InvalidEmqxRules with the place of what is wrong."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidEmqxRules("This is no JSON: export the rules anew.") from error
    found = list(_entries(document, ""))
    rules = [
        placed
        for kind in _FIRST
        for who, rules, place in found
        if who.kind is kind
        for placed in _placed(rules, who, place)
    ]
    return policy_of(rules, certificates=False)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _entries(document: Any, place: str) -> Iterator[tuple[Who, list[Any], str]]:
    """(whom, rules, where) for each list of rules in the document."""
    if isinstance(document, list):
        if document and all(isinstance(each, dict) and "permission" in each for each in document):
            yield EVERYBODY, document, place
            return
        for number, each in enumerate(document):
            yield from _entries(each, f"{place}/{number}")
    elif isinstance(document, dict) and isinstance(document.get("data"), list):
        yield from _entries(document["data"], f"{place}/data")
    elif isinstance(document, dict) and isinstance(document.get("rules"), list):
        yield _who(document, place), document["rules"], f"{place}/rules"
    else:
        raise _wrong(place, "has to be a list of rules, or an object with rules")


def _who(document: Mapping[str, Any], place: str) -> Who:
    named = [name for name in _KINDS if name in document]
    if not named:
        return EVERYBODY
    value = document[named[0]]
    if len(named) > 1 or not isinstance(value, str) or any("\ud800" <= each <= "\udfff" for each in value):
        raise _wrong(f"{place}/{named[0]}", "has to be one text: a username or a client id")
    return Who(kind=_KINDS[named[0]], value=value)


def _placed(rules: list[Any], who: Who, place: str) -> Iterator[Placed]:
    for number, document in enumerate(rules):
        at = f"{place}/{number}"
        try:
            found = rules_of([document])
        except NotEmqxRules as error:
            raise _wrong(at, "is not understood, and could be a deny") from error
        for rule in found:
            whole = FileRule(
                allow=rule.allow,
                who=who,
                action=rule.action,
                topics=(FileTopic(topic=rule.topic, literal=rule.literal),),
                qos=rule.qos,
                retain=rule.retain,
            )
            source = json.dumps(document, ensure_ascii=True)
            yield Placed(rule=whole, place=at, source=source, conditional=not document.keys() <= _KNOWN)


def _wrong(place: str, what: str) -> InvalidEmqxRules:
    detail = f"{place or 'The document'} {what}."
    return InvalidEmqxRules(detail, errors=(FieldError(pointer=place, code=InvalidEmqxRules.code, detail=detail),))
