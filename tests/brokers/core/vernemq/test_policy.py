from __future__ import annotations

from dataclasses import replace

import pytest

from acl.core.values import Action, BoundRule, Principal, Publish, Receive, Retain, Shared, Subscribe
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from brokers.core.targets import TARGETS, Target
from brokers.core.vernemq.acl import Access, AclFile, InvalidVernemqAcl
from brokers.core.vernemq.acl import parse as parse_file
from brokers.core.vernemq.acl import render as render_file
from brokers.core.vernemq.acl import to_artifact as write_file
from brokers.core.vernemq.emulator import deliverable_file, deliverable_rows, emulate_file, emulate_rows, match
from brokers.core.vernemq.policy import limited
from brokers.core.vernemq.postgresql import Item, NoVernemqRows, Row
from brokers.core.vernemq.postgresql import parse as parse_rows
from brokers.core.vernemq.postgresql import render as render_rows
from tests.brokers.core.faithfulness import PUMP
from tests.brokers.core.hivemq.test_policy import person
from tests.brokers.core.nats.test_policy import admitted, bound
from tests.brokers.core.trials import shrunk, trial

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def row(*policy: BoundRule, principal: Principal = PUMP) -> Row:
    [found] = parse_rows(render_rows([admitted(*policy, principal=principal)]).artifact).values()
    return found


def access(*policy: BoundRule, principal: Principal = PUMP) -> Access:
    return parse_file(render_file([admitted(*policy, principal=principal)]).artifact).users[principal.auth_id]


def kinds(*policy: BoundRule, principal: Principal = PUMP) -> list[set[DeviationKind]]:
    """What is declared of the rows, and of the file."""
    subjects = [admitted(*policy, principal=principal)]
    return [{each.kind for each in render(subjects).deviations} for render in (render_rows, render_file)]


@pytest.mark.parametrize(
    ("topic", "acl", "expected"),
    [
        ("a/b", "a/b", True),
        ("a", "a/#", True),
        ("a/b/c", "a/#", True),
        ("a/b/", "a/b", False),
        ("a/", "a/+", True),
        ("a/#", "a/+", True),
        ("a/#", "a/+/#", True),
        ("a/#", "a/+/+", False),
        ("$SYS/x", "#", True),
        ("$share/g/x", "+/g/x", True),
        ("/", "/", True),
        ("a", "a/+", False),
    ],
)
def test_topics_and_filters_are_matched_as_names(topic: str, acl: str, expected: bool) -> None:
    assert match(topic, acl) is expected


def test_the_row_and_the_block_of_a_device() -> None:
    policy = (
        bound("allow", "${domain}/${client_id}/up/#", actions=PUBLISH),
        bound("allow", "${domain}/all/#", actions=SUBSCRIBE),
    )
    assert row(*policy) == Row(
        client_id="pump",
        username="pump",
        publish=(Item(pattern="north/pump/up/#"),),
        subscribe=(Item(pattern="$share/+/north/all/#"), Item(pattern="north/all/#")),
    )
    artifact = render_file([admitted(*policy)]).artifact
    assert artifact.split("\n")[1:] == [
        "",
        "user pump",
        "topic read $share/+/north/all/#",
        "topic read north/all/#",
        "topic write north/pump/up/#",
        "",
    ]
    assert kinds(*policy) == [set(), set()]


@pytest.mark.parametrize("state", [Standing.BARRED, Standing.ABSENT])
def test_who_is_not_admitted_has_no_row_and_no_block(state: Standing) -> None:
    subject = RenderSubject(principal=PUMP, policy=(), state=state)
    assert parse_rows(render_rows([subject]).artifact) == {}
    assert parse_file(render_file([subject]).artifact) == AclFile()


def test_a_pattern_line_would_hold_for_everybody_so_there_is_none() -> None:
    artifact = render_file([admitted(bound("allow", "a/${username}/#"))]).artifact
    assert "pattern" not in artifact
    foreign = AclFile(patterns=Access(write=frozenset({"a/%u/#"})))
    assert emulate_file(foreign, person("nobody that we know"), Publish(topic="a/nobody that we know/x"))
    assert emulate_file(foreign, replace(PUMP, auth_id="+"), Publish(topic="a/valve/x"))
    assert not emulate_file(foreign, replace(PUMP, auth_id="b/c"), Publish(topic="a/b/c/x"))  # one level to VerneMQ


def test_a_client_id_is_a_part_of_the_key_and_none_is_any() -> None:
    rows = parse_rows(render_rows([admitted(bound("allow", "a/#"))]).artifact)
    assert emulate_rows(rows, PUMP, Publish(topic="a"))
    assert not emulate_rows(rows, replace(PUMP, client_id="valve"), Publish(topic="a"))
    without = replace(PUMP, client_id="")
    assert row(bound("allow", "a/#"), principal=without).client_id == "*"


def test_a_row_for_the_very_client_id_wins_entirely() -> None:
    rows = {
        ("", "*", "pump"): Row(client_id="*", username="pump", publish=(Item(pattern="a"),)),
        ("", "pump", "pump"): Row(client_id="pump", username="pump", publish=(Item(pattern="b"),)),
    }
    assert not emulate_rows(rows, PUMP, Publish(topic="a"))
    assert emulate_rows(rows, PUMP, Publish(topic="b"))
    assert emulate_rows(rows, replace(PUMP, client_id="other"), Publish(topic="a"))


@pytest.mark.parametrize("client_id", ["*", "a\nb", "x" * 129])
def test_a_client_id_that_a_row_can_not_hold_gets_none(client_id: str) -> None:
    who = replace(PUMP, client_id=client_id)
    rendering = render_rows([admitted(bound("allow", "a/#"), principal=who)])
    assert parse_rows(rendering.artifact) == {}
    assert [each.kind for each in rendering.deviations] == [DeviationKind.NARROWER]


@pytest.mark.parametrize("name", ["pump ", "\tpump", "a\nuser b", "a\ntopic write #", "a\rb"])
def test_a_name_that_a_line_can_not_hold_gets_no_block(name: str) -> None:
    rendering = render_file([admitted(bound("allow", "a/#"), principal=person(name))])
    assert parse_file(rendering.artifact) == AclFile()
    assert [each.kind for each in rendering.deviations] == [DeviationKind.NARROWER]


@pytest.mark.parametrize("topic", ["a/b ", " a", "a/\nb", "a\r"])
def test_a_filter_that_a_line_can_not_hold_is_left_out_of_the_file(topic: str) -> None:
    assert access(bound("allow", topic, actions=PUBLISH)) == Access()
    assert kinds(bound("allow", topic, actions=PUBLISH))[1] == {DeviationKind.NARROWER}
    assert access(bound("allow", topic, actions=SUBSCRIBE)).read <= {f"$share/+/{topic}"}


@pytest.mark.parametrize("level", ["%c", "%u", "%m"])
def test_a_level_that_rows_would_have_replaced_is_left_out_of_them(level: str) -> None:
    rule = bound("allow", f"a/{level}/#", actions=PUBLISH)
    assert row(rule).publish == ()
    assert access(rule).write == {f"a/{level}/#"}
    assert row(bound("allow", f"a/x{level}/#", actions=PUBLISH)).publish == (Item(pattern=f"a/x{level}/#"),)
    injected = replace(PUMP, client_id="+")
    held = {("", "+", "pump"): Row(client_id="+", username="pump", publish=(Item(pattern="a/%c"),))}
    assert emulate_rows(held, injected, Publish(topic="a/anything"))


@pytest.mark.parametrize("topic", ["#", "+/b", "+"])
def test_a_first_level_that_is_a_wildcard_is_left_out(topic: str) -> None:
    assert (row(bound("allow", topic)).publish, row(bound("allow", topic)).subscribe) == ((), ())
    assert access(bound("allow", topic)) == Access()
    assert kinds(bound("allow", topic)) == [{DeviationKind.NARROWER}] * 2


def test_a_subscription_that_ends_in_plus_is_left_out() -> None:
    rule = bound("allow", "a/+")
    assert (row(rule).subscribe, row(rule).publish) == ((), (Item(pattern="a/+"),))
    assert access(rule) == Access(write=frozenset({"a/+"}))
    loose = AclFile(users={"pump": Access(read=frozenset({"a/+"}))})
    assert deliverable_file(loose, PUMP, Subscribe(topic="a/#"), "a/b/c")


def test_what_several_rules_cover_only_together_is_granted_and_declared() -> None:
    policy = (bound("allow", "a/+/#", actions=SUBSCRIBE), bound("allow", "a", actions=SUBSCRIBE))
    rows = {("", "pump", "pump"): row(*policy)}
    assert emulate_rows(rows, PUMP, Subscribe(topic="a/#"))
    assert kinds(*policy) == [{DeviationKind.SIGNALLING}] * 2


def test_a_filter_that_the_broker_can_not_read_allows_nothing() -> None:
    rows = {("", "pump", "pump"): Row(client_id="pump", username="pump", publish=(Item(pattern="a+"),))}
    assert not emulate_rows(rows, PUMP, Publish(topic="a+"))
    assert not emulate_file(AclFile(everybody=Access(write=frozenset({"#/a"}))), PUMP, Publish(topic="x/a"))


def test_more_than_ten_levels_are_left_out_and_a_shared_filter_has_two_more() -> None:
    nine = "/".join("abcdefghi")
    assert row(bound("allow", nine, actions=SUBSCRIBE)).subscribe == (Item(pattern=nine),)
    eleven = "/".join("abcdefghijk")
    assert row(bound("allow", eleven)).publish == ()
    assert kinds(bound("allow", eleven)) == [{DeviationKind.NARROWER}] * 2
    assert limited(Publish(topic=eleven))
    assert limited(Subscribe(topic=nine, group="g"))
    assert not limited(Subscribe(topic=nine))


def test_rows_have_a_ceiling_of_qos() -> None:
    rule = bound("allow", "a/#", actions=PUBLISH, qos=frozenset({0, 1}))
    assert row(rule).publish == (Item(pattern="a/#", max_qos=1),)
    gap = bound("allow", "a/#", actions=PUBLISH, qos=frozenset({0, 2}))
    assert row(gap).publish == (Item(pattern="a/#", max_qos=0),)
    assert kinds(gap)[0] == {DeviationKind.NARROWER}
    assert row(bound("allow", "a/#", qos=frozenset({1, 2}))).publish == ()


def test_rows_know_messages_that_are_not_retained_and_not_those_that_are() -> None:
    never = bound("allow", "a/#", actions=PUBLISH, retain=Retain.NEVER)
    assert row(never).publish == (Item(pattern="a/#", allowed_retain=False),)
    assert row(bound("allow", "a/#", actions=PUBLISH, retain=Retain.ONLY)).publish == ()
    held = {("", "pump", "pump"): row(never)}
    assert emulate_rows(held, PUMP, Publish(topic="a/b"))
    assert not emulate_rows(held, PUMP, Publish(topic="a/b", retain=True))


def test_the_file_knows_neither_qos_nor_retain() -> None:
    for rule in (
        bound("allow", "a/#", actions=PUBLISH, qos=frozenset({0, 1})),
        bound("allow", "a/#", actions=PUBLISH, retain=Retain.NEVER),
        bound("allow", "a/#", actions=SUBSCRIBE, qos=frozenset({0})),
    ):
        assert access(rule) == Access()
        assert kinds(rule)[1] == {DeviationKind.NARROWER}


def test_shared_subscriptions_are_filters_of_their_own() -> None:
    assert access(bound("allow", "a/#", actions=SUBSCRIBE, shared=Shared.NEVER)).read == {"a/#"}
    assert access(bound("allow", "a/#", actions=SUBSCRIBE, shared=Shared.ONLY)).read == {"$share/+/a/#"}
    one = bound("allow", "a/#", actions=SUBSCRIBE, shared=Shared.ONLY, shared_group="g")
    assert access(one).read == {"$share/g/a/#"}
    rows = {("", "pump", "pump"): row(one)}
    assert emulate_rows(rows, PUMP, Subscribe(topic="a/b", group="g"))
    assert not emulate_rows(rows, PUMP, Subscribe(topic="a/b", group="h"))
    assert not emulate_rows(rows, PUMP, Subscribe(topic="a/b"))
    assert emulate_rows(rows, PUMP, Receive(topic="a/b"))
    assert not deliverable_rows(rows, PUMP, Subscribe(topic="a/#"), "a/b")


def test_a_denied_group_takes_those_without_a_name_with_it() -> None:
    policy = (
        bound("allow", "a/#", actions=SUBSCRIBE),
        bound("deny", "a/#", actions=SUBSCRIBE, shared=Shared.ONLY, shared_group="g"),
    )
    assert access(*policy).read == {"a/#"}
    assert kinds(*policy) == [{DeviationKind.NARROWER}] * 2


def test_a_file_by_another_hand_is_read_as_vernemq_reads_it() -> None:
    text = "topic read news\n# a remark\n\nuser  ada \ntopic  x/# \npattern write sensor/%u/up\ntopic write y\n"
    acl = parse_file(text)
    assert acl == AclFile(
        everybody=Access(read=frozenset({"news"})),
        patterns=Access(write=frozenset({"sensor/%u/up"})),
        users={"ada": Access(read=frozenset({"x/#"}), write=frozenset({"x/#", "y"}))},
    )
    assert parse_file(text.replace("\n", "\r\n")) == acl
    assert parse_file(write_file(acl)) == acl


@pytest.mark.parametrize("text", ["deny x", "topics a", "user", "topic", " topic a"])
def test_a_line_that_vernemq_does_not_know_is_refused_with_its_number(text: str) -> None:
    with pytest.raises(InvalidVernemqAcl, match="Line 2"):
        parse_file(f"# first\n{text}\n")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"vmq_auth_acl": [1]}', '{"vmq_auth_acl": [{"client_id": "a"}]}'])
def test_what_is_not_rows_is_refused(text: str) -> None:
    with pytest.raises(NoVernemqRows):
        parse_rows(text)


def test_who_has_no_row_or_block_gets_nothing() -> None:
    assert not emulate_rows({}, PUMP, Publish(topic="a"))
    assert not emulate_file(AclFile(), PUMP, Publish(topic="a"))


TRIED = {name: target for name, target in TARGETS.items() if name.startswith("vernemq-")}


@pytest.mark.parametrize("target", TRIED.values(), ids=TRIED)
def test_engine_and_vernemq_agree_or_the_deviation_is_declared(target: Target) -> None:
    found = trial(target, seed="vernemq", pairs=1_500)
    if found.first is not None:
        case = shrunk(target, found.first)
        pytest.fail(f"{case.fault_on(target)}\n{case.told()}")
    assert found.counts["agreed"] > 1_000


@pytest.mark.parametrize("name", ["vernemq-postgresql", "vernemq-acl"])
def test_what_is_gained_comes_late_and_what_is_lost_goes_on(name: str) -> None:
    limits = TARGETS[name].capabilities.limits
    assert [kind for kind, why in limits if why.startswith("What is gained")] == [DeviationKind.NARROWER]
    assert [kind for kind, why in limits if why.startswith("What is taken away")] == [DeviationKind.WIDER]


@pytest.mark.parametrize("name", ["vernemq-postgresql", "vernemq-acl"])
def test_what_has_to_be_off_is_told(name: str) -> None:
    wider = [why for kind, why in TARGETS[name].capabilities.limits if kind is DeviationKind.WIDER]
    [found] = [why for why in wider if "allow_anonymous off" in why]
    assert "vmq_passwd" in found


def test_that_the_rows_are_the_whole_is_told_with_them_even_if_nothing_is_left() -> None:
    barred = RenderSubject(principal=PUMP, policy=(), state=Standing.BARRED)
    for subjects in ([], [barred], [admitted(bound("allow", "a"))]):
        [warning] = render_rows(subjects).warnings
        assert "in one transaction, and delete what is not in them" in warning
    assert parse_rows(render_rows([barred]).artifact) == {}
