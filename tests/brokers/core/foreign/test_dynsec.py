"""Mosquitto's dynamic security as roles: never more than the plugin allows, and what has no equivalent is listed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Principal, Request, Shared, Subscribe
from brokers.core.foreign.dynsec import read_dynsec, read_dynsec_21
from brokers.core.foreign.dynsec_file import InvalidDynsec
from brokers.core.foreign.outcome import ForeignPolicy, Loss
from brokers.core.mosquitto import dynsec_21_emulator as later
from brokers.core.mosquitto import dynsec_emulator as plugin
from brokers.core.mosquitto.dynsec_state import Defaults, DynsecClient, DynsecState, acls_of
from tests.brokers.core.foreign_judging import CAST, LEVELS, Judged, filter_of, judge, requests

SEND, RECEIVE = "publishClientSend", "publishClientReceive"


def acl(kind: str, topic: str, *, allow: bool = True, priority: int = 0) -> dict[str, Any]:
    return {"acltype": kind, "topic": topic, "allow": allow, "priority": priority}


def role(name: str, *acls: dict[str, Any]) -> dict[str, Any]:
    return {"rolename": name, "acls": list(acls)}


def client(name: str, *roles: str, **more: Any) -> dict[str, Any]:
    given = [{"rolename": each, "priority": -number} for number, each in enumerate(roles)]
    return {"username": name, "roles": given, **more}


def read(*roles: Any, clients: Any = (), receive: bool = False, **more: Any) -> ForeignPolicy:
    defaults = {SEND: False, RECEIVE: receive, "subscribe": False, "unsubscribe": True}
    document = {"defaultACLAccess": defaults, "roles": list(roles), "clients": list(clients), **more}
    return read_dynsec(json.dumps(document))


def publish(topic: str, effect: Effect = Effect.ALLOW) -> RuleSpec:
    return RuleSpec(effect=effect, actions=frozenset({Action.PUBLISH}), topic=topic)


def subscribe(
    topic: str, shared: Shared = Shared.NEVER, group: str | None = None, effect: Effect = Effect.ALLOW
) -> RuleSpec:
    actions = frozenset({Action.SUBSCRIBE})
    return RuleSpec(effect=effect, actions=actions, topic=topic, shared=shared, shared_group=group)


def notes(foreign: ForeignPolicy) -> set[tuple[str, Loss]]:
    return {(note.place, note.loss) for note in foreign.notes}


def test_role_and_its_clients() -> None:
    found = read(
        role("pump", acl(SEND, "up/#"), acl("subscribePattern", "down/#"), acl(RECEIVE, "down/#")),
        clients=[client("pump-1", "pump"), client("pump-2", "pump", disabled=True)],
    )
    assert [(each.name, each.rules) for each in found.roles] == [("pump", (publish("up/#"), subscribe("down/#")))]
    assert [(each.role, each.auth_id, each.place) for each in found.bindings] == [("pump", "pump-1", "/clients/0")]
    assert notes(found) == {("/clients/1", Loss.LEFT_OUT)}


def test_roles_of_groups_are_given_to_their_members() -> None:
    found = read(
        role("a"),
        role("b"),
        clients=[client("one", "a"), client("two", groups=[{"groupname": "g"}])],
        groups=[{"groupname": "g", "roles": [{"rolename": "b"}], "clients": [{"username": "one"}]}],
    )
    assert [(each.auth_id, each.role) for each in found.bindings] == [("one", "a"), ("one", "b"), ("two", "b")]


def test_subscription_is_what_may_be_asked_for_and_received() -> None:
    found = read(role("r", acl("subscribePattern", "a/#"), acl(RECEIVE, "+/b"), acl(RECEIVE, "c")))
    assert found.roles[0].rules == (subscribe("a/b"),)
    assert notes(found) == {("/roles/0/acls/0", Loss.NARROWER)}


def test_where_all_is_received_by_default_what_may_be_asked_for_is_taken() -> None:
    assert read(role("r", acl("subscribePattern", "a/#")), receive=True).roles[0].rules == (subscribe("a/#"),)


def test_shared_subscriptions_are_conditions_of_rules() -> None:
    patterns = ["$share/g/a/#", "$share/+/b", "$share/#", "$share/g"]
    found = read(role("r", *(acl("subscribePattern", each) for each in patterns)), receive=True)
    assert found.roles[0].rules == (
        subscribe("a/#", Shared.ONLY, "g"),
        subscribe("b", Shared.ONLY),
        subscribe("#", Shared.ONLY),
    )
    assert notes(found) == {("/roles/0/acls/3", Loss.LEFT_OUT)}


def test_deny_that_means_hidden_topics_as_well_says_so_here() -> None:
    acls = [acl("subscribePattern", "#", allow=False, priority=5), acl("subscribePattern", "$SYS/#")]
    rules = read(role("r", *acls), receive=True).roles[0].rules
    assert rules[:2] == (
        subscribe("#", Shared.ANY, effect=Effect.DENY),
        subscribe("$SYS/#", Shared.ANY, effect=Effect.DENY),
    )


def test_last_deny_of_everything_is_left_out() -> None:
    found = read(
        role("allow", acl(SEND, "a/#", priority=5)),
        role("never", acl(SEND, "#", allow=False)),
        clients=[client("one", "allow", "never")],
    )
    assert [each.rules for each in found.roles] == [(publish("a/#"),), ()]
    assert notes(found) == {("/roles/1/acls/0", Loss.SAME)}


def test_allow_before_a_deny_that_is_needed_loses_and_is_listed() -> None:
    acls = [acl(SEND, "a/b", priority=9), acl(SEND, "a/#", allow=False, priority=5), acl(SEND, "#")]
    found = read(role("r", *acls))
    assert found.roles[0].rules == (publish("a/b"), publish("a/#", Effect.DENY), publish("#"))
    assert notes(found) == {("/roles/0/acls/0", Loss.NARROWER)}


def test_deny_of_one_spelling_counts_only_where_something_allows_it() -> None:
    literal = acl("subscribeLiteral", "#", allow=False)
    without = read(role("r", literal, acl("subscribePattern", "a/#")), receive=True)
    assert (without.roles[0].rules, notes(without)) == ((subscribe("a/#"),), {("/roles/0/acls/0", Loss.SAME)})
    found = read(role("r", literal, acl("subscribePattern", "#")), receive=True)
    assert subscribe("#", effect=Effect.DENY) in found.roles[0].rules
    assert ("/roles/0/acls/0", Loss.NARROWER) in notes(found)


def test_one_spelling_that_a_deny_is_about_is_left_out() -> None:
    """2.0.11 takes `#` for contained in `/#`: the deny is asked first, and nothing is granted."""
    acls = [acl("subscribePattern", "/#", allow=False, priority=5), acl("subscribeLiteral", "#")]
    found = read(role("deny", acls[0]), role("allow", acls[1]), receive=True)
    assert found.roles[1].rules == ()
    assert notes(found) == {("/roles/1/acls/0", Loss.LEFT_OUT)}


def test_control_and_defaults_and_nobodys_rights_are_listed() -> None:
    document = {
        "defaultACLAccess": {SEND: True, RECEIVE: True, "subscribe": True},
        "roles": [role("admin", acl(SEND, "$CONTROL/#"), acl("unsubscribePattern", "#", allow=False))],
        "anonymousGroup": "g",
    }
    found = read_dynsec(json.dumps(document))
    assert found.roles[0].rules == ()
    assert notes(found) == {
        ("/defaultACLAccess/publishClientSend", Loss.LEFT_OUT),
        ("/defaultACLAccess/subscribe", Loss.LEFT_OUT),
        ("/anonymousGroup", Loss.LEFT_OUT),
        ("/roles/0/acls/0", Loss.LEFT_OUT),
        ("/roles/0/acls/1", Loss.LEFT_OUT),
    }


def test_marks_are_text_to_2_0_and_placeholders_to_2_1() -> None:
    text = json.dumps({"roles": [role("r", acl(SEND, "up/%u/%c-x"))]})
    assert read_dynsec(text).roles[0].rules == (publish("up/%u/%c-x"),)
    assert read_dynsec_21(text).roles[0].rules == (publish("up/${username}/%c-x"),)


def test_placeholders_of_ours_are_text_to_the_plugin_and_nobody_publishes_to_its_own_topics() -> None:
    acls = [
        acl(SEND, "a/${x}"),
        acl(SEND, "b/${x}/#", allow=False),
        acl(SEND, "${x}", allow=False),
        acl(SEND, "$SYS/a"),
    ]
    found = read(role("r", *acls))
    assert found.roles[0].rules == (publish("b/+/#", Effect.DENY),)
    assert notes(found) == {
        ("/roles/0/acls/0", Loss.LEFT_OUT),
        ("/roles/0/acls/2", Loss.SAME),
        ("/roles/0/acls/3", Loss.SAME),
    }


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("{", None),
        ('{"roles": [], "roles": []}', None),
        ("[]", ""),
        ("{}", ""),
        ('{"roles": {}}', "/roles"),
        ('{"roles": [{"rolename": 1}]}', "/roles/0/rolename"),
        ('{"roles": [{"rolename": "a"}, {"rolename": "a"}]}', "/roles/1"),
        ('{"roles": [{"rolename": "a", "acls": [{"acltype": "x", "topic": "a"}]}]}', "/roles/0/acls/0/acltype"),
        ('{"roles": [{"rolename": "a", "acls": [{"acltype": [], "topic": "a"}]}]}', "/roles/0/acls/0/acltype"),
        ('{"clients": [{"username": "\\ud800"}]}', "/clients/0/username"),
        ('{"clients": [{"username": "a", "disabled": 1}]}', "/clients/0/disabled"),
    ],
)
def test_what_is_no_file_of_the_plugin_is_told_with_its_place(text: str, pointer: str | None) -> None:
    with pytest.raises(InvalidDynsec) as caught:
        read_dynsec(text)
    assert [fault.pointer for fault in caught.value.errors] == ([] if pointer is None else [pointer])


def file_of(roll: random.Random) -> dict[str, Any]:
    kinds = [SEND, RECEIVE, RECEIVE, "subscribePattern", "subscribePattern", "subscribeLiteral"]
    roles = []
    for name in ("r", "s", "t"):
        numbers = list(range(10))
        roll.shuffle(numbers)  # which of two alike is asked first is not said anywhere
        found = {}
        for number in numbers[: roll.randint(1, 6)]:
            kind = roll.choice(kinds)
            first = ("$share/g", "$share/+", "$share") if kind.startswith("subscribe") else ()
            levels = (*LEVELS, "%u", "%c", "x%u")
            entry = acl(kind, filter_of(roll, levels, first=first), allow=roll.random() < 0.7, priority=number)
            found[kind, entry["topic"]] = entry
        roles.append(role(name, *found.values()))
    names = ["r", "s", "t"]
    clients = [client(each.auth_id, *roll.sample(names, roll.randint(1, 3))) for each in CAST]
    defaults = {SEND: roll.random() < 0.2, RECEIVE: roll.random() < 0.5, "subscribe": roll.random() < 0.2}
    return {"defaultACLAccess": defaults, "roles": roles, "clients": clients}


def state_of(document: dict[str, Any]) -> DynsecState:
    given = document["defaultACLAccess"]
    references = {
        each["username"]: tuple((entry["rolename"], entry["priority"]) for entry in each["roles"])
        for each in document["clients"]
    }
    return DynsecState(
        defaults=Defaults(send=given[SEND], receive=given[RECEIVE], subscribe=given["subscribe"]),
        roles={each["rolename"]: acls_of(each) for each in document["roles"]},
        clients={name: DynsecClient(username=name, mark="", roles=roles) for name, roles in references.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Version:
    """How a version of the plugin decides, and how its file is read."""

    read: Callable[[str], ForeignPolicy]
    emulate: Callable[[DynsecState, Principal, Request], bool]
    delivers: Callable[[DynsecState, Principal, Subscribe, str], bool]


V20 = Version(
    read=read_dynsec,
    emulate=lambda state, principal, asked: plugin.emulate(state, principal.auth_id, asked),
    delivers=lambda state, principal, wanted, topic: plugin.deliverable(
        state, principal.auth_id, wanted.spelled, topic
    ),
)
V21 = Version(read=read_dynsec_21, emulate=later.emulate, delivers=later.deliverable)
V21_GUARDED = Version(
    read=read_dynsec_21,
    emulate=partial(later.emulate, guarded=True),
    delivers=partial(later.deliverable, guarded=True),
)


def judged(document: dict[str, Any], roll: random.Random, principal: Principal, version: Version) -> Judged:
    state = state_of(document)
    acls = [each for found in document["roles"] for each in found["acls"]]
    literal = {each["topic"] for each in acls if each["acltype"] == "subscribeLiteral"}
    topics = [topic.split("/", 2)[-1] if topic.startswith("$share/") else topic for topic in filled(acls, principal)]
    return judge(
        version.read(json.dumps(document)),
        principal,
        requests(roll, topics, 15),
        source=lambda asked: version.emulate(state, principal, asked),
        # who may ask for this one spelling may receive all under it, and that is what counts
        delivers=lambda wanted, topic: any(
            version.delivers(state, principal, asked, topic)
            for asked in [*spellings(wanted), *(Subscribe.parse(each) for each in literal if alike(wanted, each))]
        ),
        roll=roll,
    )


def filled(acls: list[dict[str, Any]], principal: Principal) -> list[str]:
    return [each["topic"].replace("%u", principal.auth_id).replace("%c", principal.client_id) for each in acls]


def spellings(wanted: Subscribe) -> list[Subscribe]:
    """The filter, and the other one that stands for the same names: no name is empty."""
    others = {"#": "+/#", "+/#": "#", "/#": "/+/#", "/+/#": "/#"}
    return [wanted, wanted._replace(topic=others.get(wanted.topic, wanted.topic))]


def alike(wanted: Subscribe, literal: str) -> bool:
    """Whether both are plain, or shared in the same group."""
    asked = Subscribe.parse(literal)
    return asked.group == wanted.group and not asked.topic.startswith("$share")


def try_files(files: int, *, seed: int, version: Version = V20) -> int:
    """How many requests the imports allow; each of them is allowed by its file."""
    roll, allowed = random.Random(seed), 0
    for _ in range(files):
        document = file_of(roll)
        for principal in CAST:
            found = judged(document, roll, principal, version)
            allowed += found.allowed
            assert found.wider == [], (json.dumps(document), principal.auth_id)
    return allowed


def test_import_is_never_wider_than_the_file() -> None:
    assert try_files(250, seed=7) > 1_000


@pytest.mark.parametrize("version", [V21, V21_GUARDED], ids=["as 2.0", "guarded"])
def test_import_is_never_wider_than_the_file_of_2_1_however_it_takes_hidden_filters(version: Version) -> None:
    assert try_files(150, seed=8, version=version) > 500
