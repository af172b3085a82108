from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from acl.core.values import Action
from brokers.core.hivemq import ce_file as hivemq_ce_file
from brokers.core.hivemq import ese_file as hivemq_ese_file
from brokers.core.hivemq.ce_file import NO_PASSWORD, faults_of
from brokers.core.hivemq.file import InvalidRealmFile, with_passwords
from brokers.core.hivemq.permissions import Account, Activity, Permission, Realm, Retained, Sharing
from brokers.core.hivemq.xml import InvalidXml, read_xml
from brokers.core.ports import RenderSubject, Standing
from tests.brokers.core.faithfulness import PUMP
from tests.brokers.core.hivemq.test_policy import person
from tests.brokers.core.nats.test_policy import admitted, bound

SAMPLE = """<?xml version="1.0"?>
<ese-file-realm version="1">
  <mqtt>
    <users>
      <user><name>dev-001</name><password>clear &lt;text&gt;</password>
        <roles><role>sensor</role></roles>
        <permissions>
          <permission><topic>cmd/dev-001/#</topic><activity>SUBSCRIBE</activity></permission>
        </permissions>
      </user>
      <user><name>idle</name></user>
    </users>
    <roles>
      <role>
        <id>sensor</id>
        <permissions>
          <permission>
            <topic>tele/${mqtt-clientid}/#</topic><qos>ZERO_ONE</qos><activity>PUBLISH</activity><retain>RETAINED</retain>
          </permission>
          <permission><topic>x</topic><type>DENY</type></permission>
          <permission><topic>y</topic><qos>THREE</qos></permission>
        </permissions>
      </role>
    </roles>
  </mqtt>
  <control-center><users/></control-center>
</ese-file-realm>
"""


def test_a_file_is_read_with_the_line_of_every_permission() -> None:
    reading = hivemq_ese_file.read(SAMPLE)
    assert [(each.owner, each.name, each.line) for each in reading.permissions] == [
        ("user", "dev-001", 8),
        ("role", "sensor", 17),
    ]
    assert reading.permissions[1].permission == Permission(
        topic="tele/${mqtt-clientid}/#",
        activity=Activity.PUBLISH,
        qos=frozenset({0, 1}),
        retain=Retained.RETAINED,
        shared=Sharing.ALL,
    )
    assert reading.realm.users["dev-001"].roles == ("sensor",)
    assert reading.realm.users["dev-001"].password == "clear <text>"
    assert reading.realm.users["idle"] == Account()


def test_what_has_no_meaning_is_told_with_its_line_and_path() -> None:
    remarks = hivemq_ese_file.read(SAMPLE).remarks
    role = "ese-file-realm/mqtt/roles/role sensor/permissions/permission"
    assert [(remark.line, remark.path) for remark in remarks] == [
        (20, f"{role}/type"),
        (21, role),
        (26, "ese-file-realm/control-center"),
    ]
    with pytest.raises(InvalidRealmFile, match="Line 20"):
        hivemq_ese_file.parse(SAMPLE)


def test_a_permission_that_is_not_understood_as_a_whole_allows_nothing() -> None:
    reading = hivemq_ese_file.read(SAMPLE)
    assert [permission.topic for permission in reading.realm.roles["sensor"]] == ["tele/${mqtt-clientid}/#"]


def test_a_name_that_is_there_twice_or_not_at_all_is_told() -> None:
    twice = "<file-rbac><roles><role><id>a</id></role><role><id>a</id></role><role/></roles></file-rbac>"
    with pytest.raises(InvalidRealmFile, match="a is there twice"):
        hivemq_ce_file.parse(twice)


@pytest.mark.parametrize(
    "inner",
    [
        "<permission><topic>a</topic><shared-group/></permission>",
        "<permission><qos>ALL</qos></permission>",
        "<permission><topic>a</topic><topic>b</topic></permission>",
        "<allow>a</allow>",
    ],
)
def test_a_permission_that_is_odd_is_told_and_allows_nothing(inner: str) -> None:
    role = f"<role><id>r</id><permissions>{inner}</permissions></role>"
    reading = hivemq_ese_file.read(f"<ese-file-realm><mqtt><roles>{role}</roles></mqtt></ese-file-realm>")
    assert reading.realm.roles == {"r": frozenset()}
    assert len(reading.remarks) == 1


def test_a_file_without_a_part_about_mqtt_says_nothing() -> None:
    assert hivemq_ese_file.read("<ese-file-realm/>").realm == Realm()


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a "b">]><file-rbac/>',
        '<!DOCTYPE file-rbac SYSTEM "file:///etc/passwd"><file-rbac/>',
        "<file-rbac>&other;</file-rbac>",
        "<file-rbac>",
        "",
        "<a>" * 20 + "</a>" * 20,
        "<file-rbac>\x00</file-rbac>",
        "\ud800",
        "<other/>",
    ],
)
def test_a_file_that_is_not_safe_or_another_one_is_refused(text: str) -> None:
    with pytest.raises(InvalidXml):
        hivemq_ce_file.parse(text)


def test_a_declared_encoding_is_not_believed() -> None:
    assert read_xml('<?xml version="1.0" encoding="UTF-16"?><a>\u00e9</a>').text == "\u00e9"


def test_names_and_topics_are_escaped() -> None:
    name = "</name><x a='b' c=\"d\">&amp;]]>"
    rule = bound("allow", "<a>/&/x/#", actions=frozenset({Action.PUBLISH}))
    artifact = hivemq_ese_file.render([admitted(rule, principal=person(name))]).artifact
    root = ET.fromstring(artifact)
    assert [user.findtext("name") for user in root.iter("user")] == [name]
    assert "<a>/&/x/#" in [topic.text for topic in root.iter("topic")]


def test_all_six_elements_stand_in_the_order_of_the_samples() -> None:
    artifact = hivemq_ese_file.render([admitted(bound("allow", "a/#"))]).artifact
    root = ET.fromstring(artifact)
    for permission in root.iter("permission"):
        assert [part.tag for part in permission] == [
            "topic",
            "qos",
            "activity",
            "retain",
            "shared-subscription",
            "shared-group",
        ]
    assert [part.tag for part in root] == ["mqtt"]


def test_no_password_is_rendered_and_an_adapter_may_put_some_in() -> None:
    plain = hivemq_ese_file.render([admitted(bound("allow", "a/#"))]).artifact
    assert "<password>" not in plain
    realm = with_passwords(hivemq_ese_file.parse(plain), {"pump": "s & s"})
    assert "<password>s &amp; s</password>" in hivemq_ese_file.to_artifact(realm)
    assert hivemq_ese_file.parse(hivemq_ese_file.to_artifact(realm)) == realm
    assert "s & s" not in repr(realm)
    with pytest.raises(InvalidRealmFile):
        with_passwords(realm, {"pump": "\x01"})


def test_file_rbac_has_a_password_that_nobody_has_until_an_adapter_puts_one_in() -> None:
    artifact = hivemq_ce_file.render([admitted(bound("allow", "a/#"))]).artifact
    assert f"<password>{NO_PASSWORD}</password>" in artifact
    realm = hivemq_ce_file.parse(artifact)
    assert realm.users["pump"].password is None
    assert not list(faults_of(with_passwords(realm, {"pump": "c2FsdA==:100:aGFzaA=="})))


def test_the_layout_of_file_rbac() -> None:
    rule = bound("allow", "a/${auth_id}/#", actions=frozenset({Action.PUBLISH}))
    root = ET.fromstring(hivemq_ce_file.render([admitted(rule)]).artifact)
    assert root.tag == "file-rbac"
    [user] = root.findall("users/user")
    assert [part.tag for part in user] == ["name", "password", "roles"]
    named = {role.text for role in user.findall("roles/id")}
    assert named == {role.findtext("id") for role in root.findall("roles/role")}
    assert {topic.text for topic in root.iter("topic")} == {"a/${{username}}/#", "$gatehouse/nothing"}


def test_file_rbac_never_refuses_what_is_rendered() -> None:
    barred = RenderSubject(principal=PUMP, policy=(), state=Standing.BARRED)
    for subjects in ([], [barred], [admitted()], [admitted(bound("allow", "a/#"), principal=person("x"))]):
        realm = hivemq_ce_file.parse(hivemq_ce_file.render(subjects).artifact)
        assert list(faults_of(realm)) == []
        assert realm.users


@pytest.mark.parametrize(
    ("realm", "fault"),
    [
        (Realm(), "no account"),
        (Realm(users={"a": Account()}, roles={"r": frozenset({Permission(topic="a")})}), "has no role"),
        (Realm(users={"a": Account(roles=("r",))}, roles={"r": frozenset()}), "has no permission"),
        (Realm(users={"a": Account(roles=("x",))}, roles={"r": frozenset({Permission(topic="a")})}), "is not there"),
        (
            Realm(users={"a": Account(roles=("r",), password="a:b")}, roles={"r": frozenset({Permission(topic="a")})}),
            "is no hash",
        ),
    ],
)
def test_what_the_validator_of_file_rbac_refuses(realm: Realm, fault: str) -> None:
    assert fault in " ".join(faults_of(realm))
