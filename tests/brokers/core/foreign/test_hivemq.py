"""HiveMQ's ESE file realm as roles: never more than HiveMQ allows, and what has no equivalent is listed."""

from __future__ import annotations

import random
from xml.sax.saxutils import escape

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Principal, Retain, Shared
from brokers.core.foreign.hivemq import read_ese_file
from brokers.core.foreign.outcome import Loss
from brokers.core.hivemq import emulator as hivemq_emulator
from brokers.core.hivemq.ese_file import read
from brokers.core.hivemq.xml import InvalidXml
from tests.brokers.core.foreign_judging import CAST, LEVELS, Judged, filter_of, judge, requests


def permission(topic: str, **parts: str) -> str:
    inner = "".join(f"<{name.replace('_', '-')}>{text}</{name.replace('_', '-')}>\n" for name, text in parts.items())
    return f"<permission>\n<topic>{escape(topic)}</topic>\n{inner}</permission>\n"


def role(name: str, *permissions: str) -> str:
    return f"<role>\n<id>{name}</id>\n<permissions>\n{''.join(permissions)}</permissions>\n</role>\n"


def user(name: str, *roles: str, own: str = "") -> str:
    held = "".join(f"<role>{each}</role>" for each in roles)
    return f"<user><name>{name}</name><roles>{held}</roles><permissions>{own}</permissions></user>\n"


def file(*, roles: str = "", users: str = "", more: str = "") -> str:
    parts = f"<mqtt>\n<users>\n{users}</users>\n<roles>\n{roles}</roles>\n</mqtt>{more}"
    return f"<ese-file-realm>{parts}</ese-file-realm>\n"


def allow(topic: str, *actions: Action, **more: object) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=frozenset(actions or Action), topic=topic, **more)  # type: ignore[arg-type]


def test_roles_and_permissions_of_users_become_roles() -> None:
    text = file(
        roles=role(
            "sensor",
            permission("tele/${mqtt-clientid}/#", activity="PUBLISH", qos="ZERO_ONE", retain="NOT_RETAINED"),
            permission("cmd/#", activity="SUBSCRIBE", shared_subscription="SHARED", shared_group="g"),
            permission("both", shared_group="h"),
        ),
        users=user("pump", "sensor", own=permission("own", activity="SUBSCRIBE")) + user("v1", "sensor", "gone"),
    )
    found = read_ese_file(text)
    assert [(each.name, each.rules) for each in found.roles] == [
        (
            "sensor",
            (
                allow("tele/${client_id}/#", Action.PUBLISH, qos=frozenset({0, 1}), retain=Retain.NEVER),
                allow("cmd/#", Action.SUBSCRIBE, shared=Shared.ONLY, shared_group="g"),
                allow("both", shared=Shared.NEVER),
                allow("both", Action.SUBSCRIBE, shared=Shared.ONLY, shared_group="h"),
            ),
        ),
        ("pump", (allow("own", Action.SUBSCRIBE),)),
    ]
    assert [(each.role, each.auth_id) for each in found.bindings] == [
        ("sensor", "pump"),
        ("pump", "pump"),
        ("sensor", "v1"),
    ]
    assert [(note.place, note.source) for note in found.notes] == [("user v1", "gone")]


def test_what_has_no_equivalent_is_listed_with_its_line() -> None:
    text = file(
        roles=role("r", permission("a/"), permission("/"), permission("#"), permission("x/${mqtt-username}")),
        more="<control-center/>",
    )
    found = read_ese_file(text)
    assert found.roles[0].rules == (allow("a"), allow("#"))
    assert [(note.place, note.loss) for note in found.notes] == [
        ("line 23", Loss.LEFT_OUT),
        ("line 8", Loss.NARROWER),
        ("line 11", Loss.LEFT_OUT),
        ("line 14", Loss.NARROWER),
        ("line 17", Loss.LEFT_OUT),
    ]


def test_file_with_entities_is_refused() -> None:
    with pytest.raises(InvalidXml):
        read_ese_file('<!DOCTYPE a [<!ENTITY b "c">]><ese-file-realm/>')


def permission_of(roll: random.Random) -> str:
    parts = {
        "activity": roll.choice(["PUBLISH", "SUBSCRIBE", "ALL"]),
        "qos": roll.choice(["ALL", "ALL", "ZERO", "ONE_TWO"]),
        "retain": roll.choice(["ALL", "ALL", "RETAINED", "NOT_RETAINED"]),
        "shared_subscription": roll.choice(["ALL", "SHARED", "NOT_SHARED"]),
        "shared_group": roll.choice(["#", "g", "h"]),
    }
    return permission(filter_of(roll, (*LEVELS, "${mqtt-clientid}", "${mqtt-username}")), **parts)


def judged(text: str, roll: random.Random, principal: Principal) -> Judged:
    reading = read(text)
    topics = [each.permission.topic.replace("${mqtt-clientid}", "pump") for each in reading.permissions]
    return judge(
        read_ese_file(text),
        principal,
        requests(roll, topics, 12),
        source=lambda asked: hivemq_emulator.emulate_ese(reading.realm, principal, asked),
        delivers=lambda wanted, name: hivemq_emulator.deliverable_ese(reading.realm, principal, wanted, name),
        roll=roll,
    )


def try_files(files: int, *, seed: int) -> int:
    """How many requests the imports allow; each of them is allowed by its file."""
    roll, allowed = random.Random(seed), 0
    for _ in range(files):
        roles = "".join(role(name, *(permission_of(roll) for _ in range(roll.randint(1, 4)))) for name in ("r", "s"))
        users = user("pump", "r", own=permission_of(roll)) + user("v1", "r", "s") + user("b", "s")
        text = file(roles=roles, users=users)
        for principal in CAST:
            found = judged(text, roll, principal)
            allowed += found.allowed
            assert found.wider == [], (text, principal.auth_id)
    return allowed


def test_import_is_never_wider_than_the_file() -> None:
    assert try_files(100, seed=5) > 500
