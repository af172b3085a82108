"""Policy as users of a NATS server's own configuration, for a part of it that is included into an account.

The server knows a client by the subject of its certificate (`verify_and_map`); `subject` spells it, with `{auth_id}` in
it. Who is not admitted is no user. Nothing binds the client id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from acl.core.values import Action
from brokers.core.effects import Flow
from brokers.core.nats import policy
from brokers.core.nats.policy import NatsPermissions
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import Deviations

NAME = "{auth_id}"
_HEAD = "# Written by Gatehouse; what else is written here is lost.\nusers: ["
_TAIL = "]\n"
_MQTT = '"allowed_connection_types": ["MQTT"]'
_ESCAPED = frozenset(',+"\\<>;=#')  # of a name in a subject: RFC 4514 2.4
_UNNAMEABLE = "Its name can not stand in a subject as it is: it is no user."
_FREE = (
    "The client id is free: who is let in may take over the session of another client of the account, with what is "
    "kept for it; what it may not receive it is not brought."
)
CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1",),
    shared_subscriptions=False,
    limits=(*((limit.kind, limit.why) for limit in policy.LIMITS), (DeviationKind.WIDER, _FREE)),
    certificate_lag=timedelta(seconds=5),  # OCSP is asked at each handshake, and knows within a second
)


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The permissions of the admitted as JSON, by auth id, and what they can not express."""
    deviations, admitted = Deviations(), []
    for subject in subjects:
        name = subject.principal.auth_id
        if subject.state is not Standing.ADMITTED:
            continue
        if _is_nameable(name):
            admitted.append(subject)
        for bound in () if _is_nameable(name) else subject.policy:
            deviations.note(bound, name, DeviationKind.NARROWER, _UNNAMEABLE)
    found = policy.render(admitted)
    return replace(found, deviations=(*found.deviations, *deviations.all()))


def to_conf(users: Mapping[str, NatsPermissions], *, subject: str) -> str:
    """The part of the configuration: same users, same octets."""
    lines = (_user(subject.replace(NAME, name), users[name]) for name in sorted(users))
    return _HEAD + ",".join(f"\n  {line}" for line in lines) + f"\n{_TAIL}"


def parse_conf(text: str, *, subject: str) -> Mapping[str, NatsPermissions]:
    """The users in a text, by auth id, as far as they are spelled as `to_conf` does: a line for each."""
    found: dict[str, NatsPermissions] = {}
    for line in text.split("\n"):  # a topic may have other ends of lines in it, such as U+2028
        try:
            row = json.loads(line.strip().removesuffix(","))
            found |= policy.parse(json.dumps({auth_id_of(row["user"], subject=subject): row["permissions"]}))
        except (ValueError, LookupError, TypeError, AttributeError, policy.InvalidPermissions):
            continue
    return found


def respelled(text: str) -> str:
    """What `to_conf` wrote, so that it means the same and the server's digest of it is another, if there are users."""
    return text.replace(_MQTT, _MQTT.replace('["MQTT"]', '["MQTT", "MQTT"]'))


def auth_id_of(user: str, *, subject: str) -> str:
    """Whose user that is; the user's own name if it is not spelled like that."""
    before, _, after = subject.partition(NAME)
    spelled = user.startswith(before) and user.endswith(after) and len(user) > len(before) + len(after)
    return user[len(before) : len(user) - len(after)] if spelled else user


def flow(granted: NatsPermissions, action: Action) -> Flow:
    """The filters of one direction."""
    if action is Action.PUBLISH:
        allow, deny = granted.publish_allow, granted.publish_deny
    else:
        allow, deny = granted.subscribe_allow, granted.subscribe_deny
    return Flow(allows=frozenset(map(_filter, allow)), denies=frozenset(map(_filter, deny)))


def _is_nameable(name: str) -> bool:
    return not _ESCAPED & set(name) and name == name.strip() and name.isprintable()


def _user(user: str, granted: NatsPermissions) -> str:
    permissions = {
        "publish": {"allow": granted.publish_allow, "deny": granted.publish_deny},
        "subscribe": {"allow": granted.subscribe_allow, "deny": granted.subscribe_deny},
    }
    document = {"user": user, "allowed_connection_types": ["MQTT"], "permissions": permissions}
    return json.dumps(document, ensure_ascii=False)


def _filter(subject: str) -> str:
    """The filter that `nats.subjects_of` made the subject of."""
    levels = {"*": "+", ">": "#", "/": ""}
    return "/".join(levels.get(token, token.replace("//", ".")) for token in subject.split("."))
