"""The screens of groups: by axe, in both themes, wide and on a phone; and a query that is tried while it is typed."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from console.models import Operator
from devices import queries, services
from kernel.core.actor import SYSTEM
from tests.console.views.scene import Scene
from tests.e2e.browser.test_screens import LOOKS, Look, open_context, visit

pytestmark = pytest.mark.e2e


@pytest.fixture
def addresses(north: Scene) -> dict[str, str]:
    who: dict[str, Any] = {"actor": SYSTEM, "now": north.now}
    query = 'attr.site in ["north", "quay"] and not name starts_with "spare-"'
    quay = services.create_group(domain=north.domain, name="quay", query=query, **who)
    scada = services.register_application(domain=north.domain, name="scada", **who)
    line = next(row for row in queries.list_groups(domains=[north.domain]) if row.name == "line-1")
    services.add_to_group(group=line.id, devices=[scada.id], **who)
    return {
        "groups": "/groups/",
        "group-new": "/groups/_new/",
        "group": f"/groups/{quay}/",
        "group-query": f"/groups/{quay}/query/",
        "group-chosen": f"/groups/{line.id}/",
    }


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_screens_of_groups_are_clean(
    look: Look,
    addresses: dict[str, str],
    ada: Operator,
    session_cookie: str,
    chromium: Browser,
    live_server: LiveServer,
) -> None:
    faults, said = visit(open_context(chromium, look, live_server, session_cookie), live_server, look, addresses)
    assert not faults + said, "\n".join(faults + said)


def test_query_is_tried_while_it_is_typed(
    addresses: dict[str, str], ada: Operator, session_cookie: str, chromium: Browser, live_server: LiveServer
) -> None:
    context = open_context(chromium, LOOKS[0], live_server, session_cookie)
    page = context.new_page()
    page.goto(live_server.url + addresses["group-query"])
    told = page.locator("#query-check")
    expect(told).to_contain_text("0 join")
    page.get_by_label("Query").fill('name == "pump-01" or')
    expect(told).to_contain_text("at its end: expected a field")
    page.get_by_label("Query").fill('name == "pump-01"')
    expect(told).to_contain_text("It finds 1 device.")
    context.close()
