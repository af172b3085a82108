"""`manage.py policy who-can`."""

from __future__ import annotations

import json
from io import StringIO

from django.core.management import call_command

from tests.brokers.fleet import Fleet


def asked(*words: str) -> str:
    said = StringIO()
    call_command("policy", "who-can", *words, "--domain", "north", stdout=said)
    return said.getvalue()


def test_who_can_says_how_many_and_by_which_rules(fleet: Fleet) -> None:
    one = fleet.enroll("p-1")
    fleet.enroll("p-2")
    assert asked("publish", "north/+/up/#").splitlines() == [
        "2 devices",
        "  ${domain}/${client_id}/up/# by the role pump, given to the device type pump",
    ]
    told = json.loads(asked("publish", "north/p-1/up/t", "--json"))
    assert told["devices"] == {"approximate_count": 1, "sample": [str(one.id)]}
    assert (told["examined"], told["undecided"]) == (0, 0)
