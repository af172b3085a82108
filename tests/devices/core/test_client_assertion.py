"""An assertion is good for us alone, for a short time, and by the certificate's own key alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devices.core.client_assertion import ClientAssertion, verify_assertion
from devices.core.proof import BadProof
from tests.cast import NOW
from tests.devices.jws import sign
from tests.devices.openssl import Workshop, openssl

AT = int(NOW.timestamp())
US, ENDPOINT = "https://gatehouse.example", "https://gatehouse.example/oauth/token/"


class Device:
    """A key with a self-signed certificate."""

    def __init__(self, folder: Path) -> None:
        self.key = Workshop(folder).key().path
        self.certificate = openssl("req", "-x509", "-key", self.key, "-subj", "/CN=pump")

    def check(self, without: str = "", **changes: Any) -> ClientAssertion:
        claims = {"iss": "north/p", "sub": "north/p", "aud": US, "exp": AT + 60, "jti": "j-1", **changes}
        claims.pop(without, None)
        return verify_assertion(sign(self.key, self.certificate, claims), audiences=(US, ENDPOINT), now=NOW)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    return Device(tmp_path_factory.mktemp("device"))


def test_a_good_one_tells_its_client_and_until_when_it_must_not_come_again(device: Device) -> None:
    found = device.check()
    assert (found.client, found.proof.jti) == ("north/p", "j-1")
    assert found.proof.replay_until == NOW + timedelta(seconds=60) + timedelta(minutes=5)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ENDPOINT},
        {"aud": [US]},
        {"exp": AT + 900},  # ten minutes, and five for clocks
        {"exp": AT - 299},
        {"iat": AT + 300},
        {"nbf": AT + 300, "iat": AT - 10_000},
        {"exp": AT + 60.5},
    ],
)
def test_clocks_may_differ_by_five_minutes(device: Device, changes: dict[str, Any]) -> None:
    assert device.check(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example"},
        {"aud": [US, "https://other.example"]},
        {"aud": []},
        {"aud": f"{US}/"},
        {"aud": {"a": 1}},
        {"iss": "north/q"},
        {"iss": 7, "sub": 7},
        {"exp": AT + 901},
        {"exp": AT - 300},
        {"exp": 10**30},
        {"exp": -(10**30)},
        {"exp": 10**400},
        {"iat": -(10**400)},
        {"exp": str(AT + 60)},
        {"exp": True},
        {"iat": AT + 301},
        {"nbf": AT + 301},
        {"nbf": "now"},
        {"jti": ""},
        {"jti": "a b"},
        {"jti": "x" * 129},
        {"without": "jti"},
        {"without": "exp"},
        {"without": "aud"},
        {"without": "sub"},
    ],
)
def test_all_else_is_refused(device: Device, changes: dict[str, Any]) -> None:
    with pytest.raises(BadProof):
        device.check(**changes)


def test_a_payload_that_is_no_object_and_another_key_are_refused(device: Device, tmp_path: Path) -> None:
    payloads: tuple[Any, ...] = ([], "x", None)
    for payload in payloads:
        with pytest.raises(BadProof):
            verify_assertion(sign(device.key, device.certificate, payload), audiences=(US,), now=NOW)
    other = Device(tmp_path)
    other.key = device.key
    with pytest.raises(BadProof):
        other.check()
