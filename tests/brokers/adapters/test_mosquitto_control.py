"""The control connection against a real Mosquitto."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from brokers.adapters.mosquitto_control import CommandRefused, control
from brokers.core.mosquitto.connection import MosquittoConnection
from brokers.core.mosquitto.dynsec_changes import Command
from brokers.core.ports import BrokerUnreachable
from tests.brokers.mosquitto import LiveMosquitto
from tests.servers import free_port


def command(name: str, **members: object) -> Command:
    target = str(members.get("rolename") or members.get("username") or "all")
    return Command(name=name, target=target, summary="", members=members)


@pytest.fixture
def connection(bare_mosquitto: LiveMosquitto) -> MosquittoConnection:
    return MosquittoConnection.of(bare_mosquitto.connection)


def test_answers_come_in_the_order_of_the_commands(connection: MosquittoConnection) -> None:
    with control(connection) as broker:
        roles, clients = broker.ask([command("listRoles"), command("listClients")])
    assert roles["data"]["roles"] == ["admin"]
    assert clients["data"]["clients"] == ["gatehouse"]


def test_version_is_read_from_the_broker(connection: MosquittoConnection) -> None:
    with control(connection) as broker:
        assert broker.await_version().startswith("2.")


def test_refused_command_names_its_object(connection: MosquittoConnection) -> None:
    with control(connection) as broker, pytest.raises(CommandRefused, match="deleteRole of nobody: Role not found"):
        broker.ask([command("deleteRole", rolename="nobody")])


def test_commands_beside_a_refused_one_are_carried_out(connection: MosquittoConnection) -> None:
    with control(connection) as broker:
        with pytest.raises(CommandRefused):
            broker.ask([command("deleteRole", rolename="x"), command("createRole", rolename="kept")])
        assert broker.ask([command("listRoles")])[0]["data"]["roles"] == ["admin", "kept"]


def test_answers_to_other_administrators_go_by(connection: MosquittoConnection) -> None:
    with control(connection) as one, control(connection) as other:
        one.ask([command("createRole", rolename="of-one")])
        assert other.ask([command("getRole", rolename="of-one")])[0]["data"]["role"]["rolename"] == "of-one"


def test_wrong_password_is_unreachable_and_says_so_without_it(connection: MosquittoConnection) -> None:
    wrong = replace(connection, password="not-this-one")
    with pytest.raises(BrokerUnreachable, match="refused the control account") as caught, control(wrong):
        pass
    assert "not-this-one" not in str(caught.value)


def test_nobody_at_the_port_is_unreachable(connection: MosquittoConnection) -> None:
    with pytest.raises(BrokerUnreachable, match="does not answer"), control(replace(connection, port=free_port())):
        pass


def test_broker_that_stands_still_is_unreachable_in_time(
    bare_mosquitto: LiveMosquitto, connection: MosquittoConnection
) -> None:
    bare_mosquitto.pause()
    began = time.monotonic()
    try:
        with pytest.raises(BrokerUnreachable, match="does not answer"), control(connection):
            pass
    finally:
        bare_mosquitto.go_on()
    assert time.monotonic() - began < 40  # it gives up after 9


def test_account_without_the_right_is_told_apart(
    bare_mosquitto: LiveMosquitto, connection: MosquittoConnection
) -> None:
    with control(connection) as broker:
        broker.ask([command("createClient", username="plain", password="plain")])
    with (
        pytest.raises(BrokerUnreachable, match="may not use dynamic security"),
        control(replace(connection, username="plain", password="plain")),
    ):
        pass
