"""Rules of many principals as few: what several have alike is written once, with the list of them beside it.

A level that is the very name a rule is about becomes the broker's own placeholder. That is safe: the rule holds only
for clients of that name, and a name that stands as one level has no `/` in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeVar, cast

from acl.core.templates import placeholders
from brokers.core.emqx.identity import Identity, Scope
from brokers.core.ports import RenderSubject

Kind = TypeVar("Kind")  # this and the next can be hashed and sorted
Topic = TypeVar("Topic")

_PLACEHOLDER = {Scope.USERNAME: "${username}", Scope.CLIENTID: "${clientid}"}


def shared(
    entries: Iterable[tuple[Kind, Identity, Topic]],
) -> list[tuple[Kind, tuple[Identity, ...], tuple[Topic, ...]]]:
    """For each kind of rule and each set of principals that have topics in common, those topics; sorted.

    The entries of a principal follow each other.
    """
    holders: dict[tuple[Kind, Topic], list[Identity]] = defaultdict(list)
    for kind, identity, topic in entries:
        identities = holders[kind, topic]
        if not identities or identities[-1] is not identity:
            identities.append(identity)
    topics: dict[tuple[Kind, tuple[Identity, ...]], list[Topic]] = defaultdict(list)
    for (kind, topic), identities in holders.items():
        topics[kind, tuple(sorted(identities))].append(topic)
    found = [(kind, who, tuple(sorted(cast("list[Any]", several)))) for (kind, who), several in topics.items()]
    return sorted(found, key=lambda entry: cast("Any", entry[:2]))


def templated(topic: str, identity: Identity, subject: RenderSubject) -> str:
    """The topic with a placeholder for each level that is the principal's name, if its rules have any placeholder."""
    if identity.name not in topic or identity.name in {"+", "#"}:
        return topic
    levels = topic.split("/")
    if identity.name not in levels or not _is_templated(subject):
        return topic
    return "/".join(_PLACEHOLDER[identity.scope] if level == identity.name else level for level in levels)


def _is_templated(subject: RenderSubject) -> bool:
    return any(placeholders(bound.rule.topic) for bound in subject.policy)
