"""mosquitto-go-auth's keys in Redis: three sets of topics for each user.

The sets under `common:` hold for whoever the broker lets in, and only there the plugin puts %u and %c in; so none is
written, and the keys grow with the fleet. Passwords and `<user>:su` (superuser: see WARNINGS) are none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from brokers.core.goauth import policy
from brokers.core.ports import Capabilities, Rendering, RenderSubject
from brokers.core.rendering import Deviations
from kernel.core.errors import Invalid

SETS = ("racls", "wacls", "sacls", "rwacls")
COMMON = "common"
CAPABILITIES = Capabilities(stores_policy=True, protocol_versions=("3.1.1", "5"), version="3.0", limits=policy.LIMITS)
WHOLE = (
    "Of devices these sets are all that there may be: in one transaction (MULTI), delete every key that ends in "
    ":racls, :wacls, :sacls or :rwacls, but those of accounts of your own, and write these. A set that stays goes on "
    "allowing, those under common: to everybody; who is barred has none."
)
WARNINGS = (WHOLE, "Delete every key that ends in :su: it makes a superuser, who may do everything.")


class InvalidGoAuthKeys(Invalid):
    """The text is no list of the plugin's keys."""

    code = "invalid-goauth-keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoAuthKeys:
    """The sets by key; a set that is empty is not there."""

    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The keys for these subjects, and what they can not express."""
    deviations = Deviations()
    sets: dict[str, frozenset[str]] = {}
    for subject in sorted(subjects, key=lambda subject: subject.principal.auth_id):
        name = subject.principal.auth_id
        found = policy.rights(subject, deviations, fault=key_fault(name))
        sets |= {f"{name}:racls": found.read, f"{name}:wacls": found.write, f"{name}:sacls": found.subscribe}
    keys = GoAuthKeys(sets={key: topics for key, topics in sets.items() if topics})
    return Rendering(artifact=to_artifact(keys), deviations=deviations.all(), warnings=WARNINGS)


def to_artifact(keys: GoAuthKeys) -> str:
    """The sets as JSON, a line for each: same keys, same octets."""
    lines = (
        f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(sorted(keys.sets[key]), ensure_ascii=False)}"
        for key in sorted(keys.sets)
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def parse(artifact: str) -> GoAuthKeys:
    """The keys that `to_artifact` wrote. Raises InvalidGoAuthKeys."""
    try:
        document = json.loads(artifact)
    except ValueError as error:
        raise InvalidGoAuthKeys("The text is not JSON: write an object with a list of topics for each key.") from error
    if not isinstance(document, dict):
        raise InvalidGoAuthKeys("Write an object with a list of topics for each key.")
    return GoAuthKeys(sets={key: _topics(key, topics) for key, topics in document.items()})


def _topics(key: str, topics: object) -> frozenset[str]:
    if not is_set(key):
        raise InvalidGoAuthKeys(f"The key {key[:64]} does not end in one of {', '.join(f':{name}' for name in SETS)}.")
    if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) and topic for topic in topics):
        raise InvalidGoAuthKeys(f"The key {key[:64]} has no list of topics.")
    return frozenset(topics)


def is_set(key: str) -> bool:
    """Whether the plugin reads the key as the set of a user; one without a colon is the password of a user."""
    _, colon, last = key.rpartition(":")
    return bool(colon) and last in SETS


def key_fault(name: str) -> str:
    """Why keys of that name would be read as somebody else's; empty if they are not."""
    taken = any(name.endswith(f":{suffix}") for suffix in (*SETS, "su"))
    return "Keys of its username would be read as those of others: it gets nothing." if taken or name == COMMON else ""
