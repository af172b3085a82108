"""No secret that an installation makes stands in its logs, its database, its queue or a command line."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from kernel.core.secrets import MasterKey
from pki.core.keys import key_from_der
from tests.e2e.house import Fleet, House
from tests.e2e.user import KeyPair, curl
from tests.spellings import found_in, secrets_of

pytestmark = pytest.mark.e2e


def test_secrets_are_kept_nowhere_in_the_clear(house: House, fleet: Fleet) -> None:
    token = fleet.application.mint_token()
    pair = KeyPair(fleet.folder, "secretive")
    fleet.keep(pair, fleet.send_csr(pair, token=token, name="secretive"))
    curl("POST", f"{house.url}/api/v1/enroll/", bearer=token, sent={"csr": "nonsense", "name": "x"})
    curl("GET", house.facts["operator"]["setup_url"])
    connection = {"host": "127.0.0.1", "port": 9, "username": "u", "password": "password-of-a-broker"}
    sent = {"name": "secret-hall", "kind": "mosquitto-dynsec", "connection": connection, "listeners": []}
    fleet.post("brokers/", sent, status=201)
    fleet.application.call("POST", "brokers/secret-hall/plan/", {})
    decisions = fleet.post("brokers/secret-hall/decision-secrets/", {"identity": "certificate"}, status=201)
    asked = curl("POST", f"{decisions['url']}/{decisions['secret']}/rabbitmq/user", sent={"username": "secretive"})
    assert (asked.status, asked.text) == (200, "deny")  # no form
    fleet.application.call("DELETE", "brokers/secret-hall/")

    embedded = json.loads((house.home / "embedded" / "connection.json").read_text())
    secrets = {
        "application": house.facts["application"]["client_secret"],
        "access token": fleet.application.token,
        "enrolment token": token.partition(".")[2],
        "setup link": house.facts["operator"]["setup_url"].rstrip("/").rpartition("/")[2],
        "broker password": "password-of-a-broker",
        "decision secret": decisions["secret"],
        "system password": embedded["system_password"],
        "callout password": embedded["callout_password"],
        "issuer seed": embedded["issuer_seed"],
        "master key": (house.home / "master.key").read_text().strip(),
        "secret key": (house.home / "secret.key").read_text().strip(),
    }
    places = [path for folder in ("logs", "queue") for path in (house.home / folder).rglob("*") if path.is_file()]
    places += [path for path in house.home.glob("gatehouse.sqlite3*") if path.is_file()]
    places += [Path(f"/proc/{process}/cmdline") for process in house.processes()]
    assert len(places) > 10
    for place in places:
        held = _octets(place)
        found = [name for name, secret in secrets.items() if secret.encode() in held]
        assert found == [], f"{place} has the {', '.join(found)}"
    keys = _private_keys(house.home)
    assert len(keys) >= 4  # of root, issuing CA and their OCSP signers
    places += [path for path in house.home.rglob("*") if path.is_file()]
    for place in places:
        assert found_in(_octets(place), keys) == [], f"{place} has a private key"


def _private_keys(home: Path) -> dict[str, bytes]:
    """What nobody may see of the installation's keys, by whoever has both its database and its master key."""
    master = MasterKey.from_base64((home / "master.key").read_text())
    with closing(sqlite3.connect(home / "gatehouse.sqlite3")) as database:
        rows = database.execute("SELECT id, wrapped FROM pki_key").fetchall()
    keys = {
        id: key_from_der(master.unwrap(envelope, purpose="pki.key", context=str(UUID(id)))) for id, envelope in rows
    }
    return {f"{what} of {id}": secret for id, key in keys.items() for what, secret in secrets_of(key).items()}


def _octets(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError:  # a message that was just taken, a process that has just ended
        return b""
