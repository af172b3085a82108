"""A device enrols, connects over mutual TLS, is held to its topics, and is thrown out: on each kind of broker."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.e2e.brokers import LiveBroker, admit, is_mute
from tests.e2e.house import Enrolled, Fleet, House
from tests.e2e.user import run
from tests.servers import wait_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize(
        "house", ["postgresql", None], ids=["postgresql", "embedded"], indirect=True, scope="session"
    ),
]


@pytest.fixture(scope="module")
def watcher(fleet: Fleet) -> Enrolled:
    """A second device that may hear every device's `up` topics."""
    watcher = fleet.enroll("watcher")
    rules = [{"effect": "allow", "actions": ["subscribe"], "topic": "${domain}/+/up/#"}]
    fleet.post("roles/", {"name": "watcher", "rules": rules}, status=201)
    fleet.post("bindings/", {"role": "watcher", "target": {"device": watcher.id}}, status=201)
    return watcher


def test_allowed_publish_arrives_at_a_second_device(
    fleet: Fleet, broker: LiveBroker, watcher: Enrolled, folder: Path
) -> None:
    device = fleet.enroll(f"pump-a-{broker.name}")
    pump, ear = admit(broker, device), admit(broker, watcher)
    assert ear.subscribe("default/+/up/#") in (0, 1, 2)
    pump.publish(f"default/{pump.name}/up/t", b"21.5")
    assert ear.received(b"21.5"), f"closed: pump {pump.closed_at}, ear {ear.closed_at}"
    pump.close()
    programs = kit_of(fleet, device, broker, folder)
    for program, file in (("sh", "publish.sh"), (sys.executable, "publish.py")):
        words = ("env", "-C", folder, program, "-c", programs[file].replace("hello", file))

        def arrives(words: tuple[str | Path, ...] = words, file: str = file) -> bool:
            run(*words, check=False)  # a client id that has just left may have to retry
            return ear.received(file.encode(), seconds=1)

        wait_until(arrives, what=f"{file} of the kit is heard")
    ear.close()


def kit_of(fleet: Fleet, device: Enrolled, broker: LiveBroker, folder: Path) -> dict[str, str]:
    """The programs for that broker in the device's connection kit; what they read is in the folder."""
    kit = fleet.application.call("GET", f"devices/{device.id}/connection-kit/").body
    [trust, certificate, key] = [folder / file["name"] for file in kit["files"]]
    trust.write_text(kit["trust_bundle"])
    certificate.symlink_to(device.identity.certificate)
    key.symlink_to(device.identity.key)
    [found] = [each for each in kit["brokers"] if each["name"] == broker.name]
    return {each["file"]: each["text"] for each in found["snippets"]}


def test_forbidden_publish_and_subscription_do_not(fleet: Fleet, broker: LiveBroker, watcher: Enrolled) -> None:
    pump = admit(broker, fleet.enroll(f"pump-b-{broker.name}"))
    other = fleet.enroll(f"pump-c-{broker.name}")
    ear = admit(broker, watcher)
    ear.subscribe("default/+/up/#")
    pump.publish(f"default/{other.identity.name}/up/t", b"forged")
    pump.publish(f"default/{pump.name}/up/t", b"genuine")
    assert ear.received(b"genuine")
    assert not ear.received(b"forged", seconds=0.5)
    assert pump.subscribe(f"default/{other.identity.name}/down/#") >= 128
    assert pump.subscribe("#") >= 128
    assert pump.subscribe(f"default/{pump.name}/down/#") < 128
    pump.close()
    ear.close()


def test_another_certificate_steals_neither_session_nor_topics(
    fleet: Fleet, broker: LiveBroker, watcher: Enrolled
) -> None:
    victim_device, thief_device = fleet.enroll(f"victim-{broker.name}"), fleet.enroll(f"thief-{broker.name}")
    victim = admit(broker, victim_device, clean=False)
    victim.subscribe(f"default/{victim.name}/down/#")
    admit(broker, thief_device).close()  # the broker knows the thief by now
    ear = admit(broker, watcher)
    ear.subscribe("default/+/up/#")
    thief = broker.open(thief_device, client_id=victim.name, clean=False)
    if thief.connect():  # Mosquitto lets it in under its own name
        assert not thief.session_present
        thief.publish(f"default/{victim.name}/up/t", b"stolen")
    assert not victim.wait_closed(seconds=1)
    assert not ear.received(b"stolen", seconds=0.5)
    victim.publish(f"default/{victim.name}/up/t", b"still-here")
    assert ear.received(b"still-here")
    for each in (victim, thief, ear):
        each.close()


def test_suspend_ends_the_session_and_resume_restores(fleet: Fleet, broker: LiveBroker, watcher: Enrolled) -> None:
    device = fleet.enroll(f"pump-d-{broker.name}")
    pump = admit(broker, device)
    fleet.post(f"devices/{device.id}/suspend/", {"note": "test"}, status=202)
    assert pump.wait_closed()
    assert is_mute(broker, device)
    operation = fleet.post(f"devices/{device.id}/resume/", {"note": "test"}, status=202)["operation"]
    assert fleet.wait_operation(operation)["state"] == "done"
    again, ear = admit(broker, device), admit(broker, watcher)
    ear.subscribe("default/+/up/#")
    again.publish(f"default/{again.name}/up/t", b"back")
    assert ear.received(b"back")
    again.close()
    ear.close()


def test_revoke_throws_the_device_out(fleet: Fleet, broker: LiveBroker, house: House, folder: Path) -> None:
    device = fleet.enroll(f"pump-e-{broker.name}")
    pump = admit(broker, device)
    answer = fleet.post(f"devices/{device.id}/revoke/", {"reason": "keyCompromise", "note": "lost"}, status=202)
    wait_until(lambda: ocsp_status(house, device, folder) == "revoked", what="OCSP says so")
    assert pump.wait_closed()
    assert is_mute(broker, device)
    operation = fleet.wait_operation(answer["operation"])
    targets = {step["target"]: step for step in operation["steps"]}
    assert operation["state"] == "done", operation
    assert {"ocsp", f"crl:{house.facts['issuer']}", f"broker:{broker.name}"} <= set(targets)
    assert all(isinstance(step["elapsed_ms"], int) for step in targets.values())
    assert serial_of(device) in crl_text(house, folder)


def test_broker_that_was_down_obeys_when_it_returns(fleet: Fleet, broker: LiveBroker) -> None:
    device = fleet.enroll(f"pump-f-{broker.name}")
    pump = admit(broker, device)
    with broker.down():
        assert pump.wait_closed()
        answer = fleet.post(f"devices/{device.id}/revoke/", {"reason": "keyCompromise", "note": ""}, status=202)
        time.sleep(2.5)
    operation = fleet.wait_operation(answer["operation"])
    assert operation["state"] == "done", operation
    assert is_mute(broker, device)


def ocsp_status(house: House, device: Enrolled, folder: Path) -> str:
    """What `openssl ocsp` makes of our responder's answer, the signature verified."""
    issuer, root = folder / "issuer.pem", folder / "root.pem"
    slug = house.facts["issuer"]
    if not issuer.exists():
        run("curl", "-sSf", "-o", issuer, f"{house.url}/pki/{slug}/cert.pem")
        root.write_text(device.answer["trust_bundle"])
    said = run(
        "openssl", "ocsp", "-issuer", issuer, "-cert", device.identity.certificate, "-CAfile", root,
        "-url", f"{house.url}/pki/{slug}/ocsp", check=False,
    )  # fmt: skip
    assert "Response verify OK" in said, said
    return said.split(f"{device.identity.certificate}: ")[1].split()[0]


def serial_of(device: Enrolled) -> str:
    """The serial number as `openssl x509` prints it."""
    return run("openssl", "x509", "-in", device.identity.certificate, "-noout", "-serial").strip().split("=")[1]


def crl_text(house: House, folder: Path) -> str:
    """The current CRL as `openssl crl` reads it."""
    crl = folder / "now.crl"
    run("curl", "-sSf", "-o", crl, f"{house.url}/pki/{house.facts['issuer']}/crl")
    return run("openssl", "crl", "-inform", "DER", "-in", crl, "-noout", "-text")
