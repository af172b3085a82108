from __future__ import annotations

import json
from typing import Any

import pytest

from brokers.core.rabbitmq.definitions import (
    InvalidDefinitions,
    PermissionEntry,
    TopicEntry,
    Unread,
    UserEntry,
    read_definitions,
)
from brokers.core.rabbitmq.state import parse, to_artifact

# As RabbitMQ 3.10.8 exported it (GET /api/definitions), with a user, a queue and a binding made by hand.
EXPORTED = """{"rabbit_version":"3.10.8","rabbitmq_version":"3.10.8","product_name":"RabbitMQ",
"product_version":"3.10.8",
"users":[{"name":"guest","password_hash":"mSSbpzKpthKXFSmLXbiRTwc5gqZeEx51PIWRM9/biUASO0/R",
"hashing_algorithm":"rabbit_password_hashing_sha256","tags":["administrator"],"limits":{}},
{"name":"q","password_hash":"","hashing_algorithm":"rabbit_password_hashing_sha256","tags":[],
"limits":{"max-connections":1}}],"vhosts":[{"name":"/"}],
"permissions":[{"user":"guest","vhost":"/","configure":".*","write":".*","read":".*"},
{"user":"q","vhost":"/","configure":"^$","write":"^amq\\\\.topic$","read":"^$"}],
"topic_permissions":[{"user":"q","vhost":"/","exchange":"amq.topic","write":"^fleet\\\\.{username}\\\\..*$","read":"^$"}],
"parameters":[],"global_parameters":[{"name":"internal_cluster_id","value":"rabbitmq-cluster-id-kdF_fbJ73fX72vzqnPqt6w"}],
"policies":[],"queues":[{"name":"mqtt-subscription-qqos1","vhost":"/","durable":true,"auto_delete":false,"arguments":{}}],
"exchanges":[],"bindings":[]}"""


def document(**sections: Any) -> str:
    user = {"name": "a", "password_hash": "", "tags": []}
    return json.dumps({"users": [user], "permissions": [], "topic_permissions": [], **sections})


def topic(**members: Any) -> dict[str, Any]:
    return {"user": "a", "vhost": "/", "exchange": "amq.topic", "write": "^a$", "read": "^b$", **members}


def unread(text: str) -> list[tuple[str, str]]:
    return [(found.pointer, found.why) for found in read_definitions(text).unread]


def test_users_and_permissions_of_an_export_are_read_and_all_else_is_listed() -> None:
    found = read_definitions(EXPORTED)
    assert found.users == (
        UserEntry(pointer="/users/0", name="guest", tags=("administrator",)),
        UserEntry(pointer="/users/1", name="q"),
    )
    assert found.permissions[1] == PermissionEntry(
        pointer="/permissions/1", user="q", vhost="/", configure="^$", write=r"^amq\.topic$", read="^$"
    )
    assert found.topic_permissions == (
        TopicEntry(
            pointer="/topic_permissions/0",
            user="q",
            vhost="/",
            exchange="amq.topic",
            write=r"^fleet\.{username}\..*$",
            read="^$",
        ),
    )
    aside = "It says nothing of what users may do to topics."
    assert found.unread == (
        Unread(pointer="/global_parameters", why=aside),
        Unread(pointer="/queues", why=aside),
        Unread(pointer="/vhosts", why=aside),
        Unread(pointer="/users/0/password_hash", why="Passwords are not taken over."),
        Unread(pointer="/users/1/limits", why="It is unknown."),
    )


def test_no_password_hash_is_told() -> None:
    assert "mSSbpzKpthKXFSmLXbiRTwc5gqZeEx51" not in repr(read_definitions(EXPORTED))


def test_tags_may_be_a_text_with_commas() -> None:
    text = document(users=[{"name": "a", "tags": "management, administrator"}, {"name": "b", "tags": ""}])
    assert [user.tags for user in read_definitions(text).users] == [("management", "administrator"), ()]


@pytest.mark.parametrize(
    ("sections", "pointer"),
    [
        ({"users": [{"name": 1}]}, "/users/0"),
        ({"users": ["a"]}, "/users/0"),
        ({"users": {"a": {}}}, "/users"),
        ({"users": [{"name": "a", "tags": [1]}]}, "/users/0/tags"),
        ({"users": [{"name": "a", "a/b~": 1}]}, "/users/0/a~1b~0"),
        ({"users": [{"name": "a"}, {"name": "a"}]}, "/users/1"),
        ({"topic_permissions": [topic(), topic(exchange="amq.topic", write="")]}, "/topic_permissions/1"),
        ({"topic_permissions": [topic(user="b")]}, "/topic_permissions/0"),
        ({"topic_permissions": [topic(write=None)]}, "/topic_permissions/0"),
        ({"topic_permissions": [topic(more=0)]}, "/topic_permissions/0/more"),
        ({"permissions": [{"user": "a", "vhost": "/"}]}, "/permissions/0"),
        ({"some/thing": [1]}, "/some~1thing"),
    ],
)
def test_what_is_not_as_expected_is_listed_with_its_place(sections: dict[str, Any], pointer: str) -> None:
    assert [place for place, _ in unread(document(**sections))] == [pointer]
    with pytest.raises(InvalidDefinitions, match=f"^{pointer}: "):
        parse(document(**sections))


@pytest.mark.parametrize("text", ["", "{", "[]", '"users"', '{"a": 1}', "[" * 100_000, "\x00"])
def test_what_is_no_definitions_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidDefinitions, match="definitions"):
        read_definitions(text)


def test_a_state_has_one_virtual_host() -> None:
    two = [topic(), topic(vhost="other")]
    assert len(read_definitions(document(topic_permissions=two)).topic_permissions) == 2
    with pytest.raises(InvalidDefinitions, match="virtual hosts"):
        parse(document(topic_permissions=two))
    assert parse(document(topic_permissions=[topic(vhost="other")])).vhost == "other"


def test_a_document_is_written_sorted_whatever_its_order() -> None:
    text = document(
        users=[{"name": "b", "tags": []}, {"name": "a", "tags": ["x"]}],
        topic_permissions=[topic(user="b"), topic(), topic(exchange="amq.direct")],
    )
    assert to_artifact(parse(text)) == (
        '{"users": [\n{"name": "a", "password_hash": "", "tags": ["x"]},\n'
        '{"name": "b", "password_hash": "", "tags": []}\n],\n"permissions": [],\n"topic_permissions": [\n'
        '{"user": "a", "vhost": "/", "exchange": "amq.direct", "write": "^a$", "read": "^b$"},\n'
        '{"user": "a", "vhost": "/", "exchange": "amq.topic", "write": "^a$", "read": "^b$"},\n'
        '{"user": "b", "vhost": "/", "exchange": "amq.topic", "write": "^a$", "read": "^b$"}\n]}\n'
    )
    assert parse(to_artifact(parse(text))) == parse(text)
