"""Who makes a domain gets into it, by the wake-up that follows the entry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console.access import application_actor, operator_actor, operator_caller
from console.core.roles import EVERY_SCOPE, ConsoleRole
from console.models import Application, Operator
from console.services.applications import NewApplication
from console.services.domains import adopt_domain
from devices.services import create_domain
from kernel.core.actor import SYSTEM
from tests.cast import NOW, SOUTH

pytestmark = pytest.mark.django_db


def test_operator_owns_the_domain_that_it_made(operator_in: Callable[..., Operator]) -> None:
    ada = operator_in("ada", ConsoleRole.AUDITOR)
    made = create_domain(slug="west", name="West", actor=operator_actor(ada), now=NOW)
    assert adopt_domain(domain=made.id, creator=operator_actor(ada), now=NOW) == "ada is its owner"
    assert adopt_domain(domain=made.id, creator=operator_actor(ada), now=NOW) == "nobody was let in anew"
    caller = operator_caller(ada)
    assert {domain.slug: domain.scopes == EVERY_SCOPE for domain in caller.domains} == {"north": False, "west": True}


def test_application_enters_the_domain_that_it_made(application_in: Callable[..., NewApplication]) -> None:
    row = Application.objects.get(client_id=application_in().client_id)
    adopt_domain(domain=SOUTH, creator=application_actor(row), now=NOW)
    adopt_domain(domain=SOUTH, creator=application_actor(row), now=NOW)
    row.refresh_from_db()
    assert row.domain_ids.count(str(SOUTH)) == 1


def test_what_the_system_makes_is_nobodys() -> None:
    assert adopt_domain(domain=SOUTH, creator=SYSTEM, now=NOW) == "nobody was let in anew"
