"""Questions and answers of the auth callout. The question is one that a NATS server 2.15.1 asked, signed anew."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from brokers.core.nats import callout
from brokers.core.nats.callout import CalloutRequest, grant_name, parse_request, split_grant_name
from brokers.core.nats.nkeys import AccountKey, BadNkeyError, verified_claims
from brokers.core.nats.policy import NOTHING, NatsPermissions

NOW = datetime(2027, 3, 1, 12, 0, 0, tzinfo=UTC)
USER = "UD6TSG2DAJXO5SYXDMVES34DDF3IBV4WY5MPDTQAAPGONCVQWEEVS5IL"
GRANTED = NatsPermissions(
    publish_allow=("north.pump-1.up.>",), publish_deny=(), subscribe_allow=("north.all.>",), subscribe_deny=("x.>",)
)


class Server:
    """A server's key; its public half begins with N."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        raw = bytes((13 << 3,)) + self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = base64.b32encode(raw + crc16(raw).to_bytes(2, "little")).decode().rstrip("=")

    def ask(self, **changes: Any) -> str:
        """The question; `changes` replace members of the claim `nats`, or others named with a leading underscore."""
        asked = {
            "server_id": {"name": "t", "host": "127.0.0.1", "id": self.id, "version": "2.15.1"},
            "user_nkey": USER,
            "client_info": {"host": "192.0.2.7", "id": 9, "kind": "Client", "type": "mqtt", "mqtt_id": "pump-1"},
            "connect_opts": {"user": "pump-1", "pass": "a-password", "protocol": 0},
            "client_tls": {"version": "1.3", "verified_chains": [["leaf", "issuing", "root"], ["leaf", "other"]]},
            "type": "authorization_request",
            "version": 2,
        } | {name: value for name, value in changes.items() if not name.startswith("_")}
        claims = {"aud": "nats-authorization-request", "iss": self.id, "sub": "A", "nats": asked}
        claims |= {name[1:]: value for name, value in changes.items() if name.startswith("_")}
        head = f"{segment({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{segment(claims)}"
        signature = base64.urlsafe_b64encode(self._key.sign(head.encode())).decode().rstrip("=")
        return f"{head}.{signature}"


def crc16(raw: bytes) -> int:
    """CRC-16/XMODEM, bit by bit."""
    crc = 0
    for octet in raw:
        crc ^= octet << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def segment(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def request_(server: Server) -> CalloutRequest:
    return parse_request(server.ask())


def test_question_is_read(server: Server) -> None:
    assert parse_request(server.ask()) == CalloutRequest(
        server_id=server.id,
        user_nkey=USER,
        kind="mqtt",
        client_id="pump-1",
        username="pump-1",
        address="192.0.2.7",
        chain=("leaf", "issuing", "root"),
        version="2.15.1",
    )


def test_password_is_not_kept(server: Server) -> None:
    told = {"user": "pump-1", "pass": "a-password", "jwt": "a-password", "auth_token": "a-password"}  # 2.9.10: all
    assert "a-password" not in repr(parse_request(server.ask(connect_opts=told)))


@pytest.mark.parametrize("tls", [None, {}, {"verified_chains": None}, {"verified_chains": []}, {"certs": ["leaf"]}])
def test_only_a_verified_chain_counts(server: Server, tls: Any) -> None:
    assert parse_request(server.ask(client_tls=tls)).chain == ()


def test_what_is_not_said_is_empty(server: Server) -> None:
    found = parse_request(server.ask(client_info={}, connect_opts=None))
    assert (found.kind, found.client_id, found.username) == ("", "", "")


def test_question_of_another_server_is_refused(server: Server) -> None:
    other = Server()
    for token in (
        server.ask(server_id={"id": other.id}),  # speaks for another
        server.ask(_iss=other.id),  # signed by itself, says another
        server.ask(_aud="something-else"),
        AccountKey.generate().sign({"iss": "A"}),
    ):
        with pytest.raises(BadNkeyError):
            parse_request(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"user_nkey": "A" + USER[1:]},
        {"user_nkey": None},
        {"server_id": "x"},
        {"client_info": 1},
        {"client_tls": {"verified_chains": [1]}},
        {"_nats": []},
        {"_nats": None},
    ],
)
def test_malformed_question_is_refused(server: Server, changes: dict[str, Any]) -> None:
    with pytest.raises(BadNkeyError):
        parse_request(server.ask(**changes))


def grant(request: CalloutRequest, key: AccountKey, granted: NatsPermissions = GRANTED) -> dict[str, Any]:
    token = callout.grant(
        request,
        key=key,
        account="FLEET",
        auth_id="pump-1",
        granted=granted,
        expires_at=datetime(2027, 3, 1, 13, 0, 0, 900_000, tzinfo=UTC),
        now=NOW,
    )
    return verified_claims(token, kind="A")


def test_grant_names_user_and_server(request_: CalloutRequest) -> None:
    key = AccountKey.generate()
    answer = grant(request_, key)
    assert (answer["iss"], answer["sub"], answer["aud"]) == (key.public, USER, request_.server_id)
    assert (answer["nats"]["type"], answer["nats"]["version"]) == ("authorization_response", 2)
    assert "error" not in answer["nats"]


def test_granted_user_is_held_to_account_topics_and_time(request_: CalloutRequest) -> None:
    key = AccountKey.generate()
    user = verified_claims(grant(request_, key)["nats"]["jwt"], kind="A")
    assert (user["iss"], user["sub"], user["aud"]) == (key.public, USER, "FLEET")
    assert (user["exp"], user["iat"]) == (1_803_906_000, 1_803_902_400)  # date -u -d '2027-03-01 13:00' +%s; 12:00
    assert user["nats"]["pub"] == {"allow": ["north.pump-1.up.>"], "deny": []}
    assert user["nats"]["sub"] == {"allow": ["north.all.>"], "deny": ["x.>"]}
    assert user["nats"]["allowed_connection_types"] == ["MQTT"]


def test_direction_without_an_allow_denies_everything(request_: CalloutRequest) -> None:
    """An empty list allows everything on NATS."""
    empty = NatsPermissions(publish_allow=(), publish_deny=(), subscribe_allow=(), subscribe_deny=())
    for granted in (empty, NOTHING):
        user = verified_claims(grant(request_, AccountKey.generate(), granted)["nats"]["jwt"], kind="A")
        assert (user["nats"]["pub"]["deny"], user["nats"]["sub"]["deny"]) == ([">"], [">"])


@pytest.mark.parametrize("kind", ["nats", "websocket", ""])
def test_nothing_but_mqtt_is_granted(server: Server, kind: str) -> None:
    """The server does not hold a callout's grant to its connection types."""
    request = parse_request(server.ask(client_info={"type": kind}))
    with pytest.raises(ValueError, match="only MQTT"):
        grant(request, AccountKey.generate())


def test_refusal_grants_nothing(request_: CalloutRequest) -> None:
    answer = verified_claims(
        callout.refuse(request_, key=AccountKey.generate(), why="It is revoked.", now=NOW), kind="A"
    )
    assert (answer["sub"], answer["aud"]) == (USER, request_.server_id)
    assert answer["nats"] == {"type": "authorization_response", "version": 2, "error": "It is revoked."}


def test_name_says_whose_connection_it_is_and_which_grant() -> None:
    one = grant_name("pump-1", GRANTED)
    assert split_grant_name(one)[0] == "pump-1"
    assert split_grant_name(one) != split_grant_name(grant_name("pump-1", NOTHING))
    assert split_grant_name("some-other-user") == ("some-other-user", "")


def test_swapped_lists_are_another_grant() -> None:
    swapped = NatsPermissions(
        publish_allow=GRANTED.subscribe_allow,
        publish_deny=GRANTED.subscribe_deny,
        subscribe_allow=GRANTED.publish_allow,
        subscribe_deny=GRANTED.publish_deny,
    )
    assert callout.grant_digest(swapped) != callout.grant_digest(GRANTED)
