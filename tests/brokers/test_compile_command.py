"""`manage.py policy compile`: a domain's policy for a broker that somebody else writes to."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from acl.core.values import Action
from brokers.core.targets import TARGETS
from devices import services as devices
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from tests.brokers.fleet import Fleet, allow
from tests.cast import ADA


def compiled(target: str, *words: str) -> tuple[str, str]:
    out, told = io.StringIO(), io.StringIO()
    call_command("policy", "compile", target, "--domain", "north", *words, stdout=out, stderr=told)
    return out.getvalue(), told.getvalue()


def compiled_json(target: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(compiled(target, "--json")[0])
    return found


def test_acl_file_has_who_is_active_and_nobody_else(fleet: Fleet) -> None:
    fleet.enroll("p-1")
    gone = fleet.enroll("p-2")
    devices.suspend_device(device=gone.id, actor=ADA, now=utc_now())
    text, told = compiled("mosquitto-acl")
    lines = text.splitlines()
    assert "user p-1" in lines
    assert "topic write north/p-1/up/#" in lines
    assert "topic read north/p-1/down/#" in lines
    assert "north/p-2/" not in text
    assert "signalling, whatever the policy is:" in told


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_compiles_what_devices_have(fleet: Fleet, target: str) -> None:
    fleet.enroll("p-1")
    found = compiled_json(target)
    assert "p-1" in found["artifact"]
    assert TARGETS[target].write(TARGETS[target].parse(found["artifact"])) == found["artifact"]
    assert [each for each in found["deviations"] if each["kind"] == "wider"] == []


def test_what_would_be_wider_is_not_written_unless_it_is_accepted_by_name(fleet: Fleet) -> None:
    fleet.enroll("p-1")
    fleet.change_role(allow(Action.SUBSCRIBE, "+/status"))
    out, told = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match=r"nats would allow more .* \+/status"):
        call_command("policy", "compile", "nats", "--domain", "north", stdout=out, stderr=told)
    assert out.getvalue() == ""
    kind, role, deviation = told.getvalue().splitlines()[0].split(":")[0].split(", ")
    assert (kind, role) == ("wider", "pump")
    with pytest.raises(CommandError):
        compiled("nats", "--accept", "0" * 16)
    assert '"*.status"' in compiled("nats", "--accept", deviation)[0]
    entry = list_entries(limit=1)[0]
    assert (entry.action, entry.after["accepted_deviations"]) == ("brokers.policy.compiled", [deviation])
    assert entry.actor.id.startswith("command:")


def test_what_is_exact_leaves_nothing_in_the_journal(fleet: Fleet) -> None:
    fleet.enroll("p-1")
    before = list_entries(limit=1)[0].seq
    compiled("nats")
    assert list_entries(limit=1)[0].seq == before


def test_unknown_target_names_the_known(fleet: Fleet) -> None:
    with pytest.raises(CommandError, match="mosquitto-acl"):
        compiled("kafka")
