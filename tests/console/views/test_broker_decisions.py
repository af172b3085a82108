"""Decision secrets on a broker's page: made by a form, shown once with the lines that use it, revoked."""

from __future__ import annotations

import html
import re
from uuid import uuid4

from django.test import Client

from brokers.core.decide.decisions import Identity
from brokers.queries import decision_secrets_of
from tests.console.views.scene import Scene

NEW = "/brokers/{}/decision-secrets/new/"


def test_a_secret_is_shown_once_with_the_lines_that_use_it(north: Scene, at_ada: Client) -> None:
    form = {"dialect": "rabbitmq", "certificate": "on"}
    page = html.unescape(at_ada.post(NEW.format(north.broker.name), form).content.decode())
    [secret] = decision_secrets_of(broker=north.broker.id)
    assert secret.identity is Identity.CERTIFICATE
    shown = re.search(rf"auth_http.user_path = \S+/decide/{north.broker.id}/(\S+)/rabbitmq/user", page)
    assert shown
    assert page.count(shown[1]) == 5
    later = at_ada.get(f"/brokers/{north.broker.name}/").content.decode()
    assert shown[1] not in later
    assert secret.id.hex[-8:] in later


def test_a_broker_that_sends_no_certificate_has_to_be_believed(north: Scene, at_ada: Client) -> None:
    page = at_ada.post(NEW.format(north.broker.name), {"dialect": "goauth"}).content.decode()
    assert "so this has to hold" in page
    assert not decision_secrets_of(broker=north.broker.id)
    at_ada.post(NEW.format(north.broker.name), {"dialect": "emqx"})
    assert [each.identity for each in decision_secrets_of(broker=north.broker.id)] == [Identity.SHOWN]


def test_a_secret_is_revoked_after_what_comes_of_it_was_said(north: Scene, at_ada: Client) -> None:
    at_ada.post(NEW.format(north.broker.name), {"dialect": "vernemq"})
    [secret] = decision_secrets_of(broker=north.broker.id)
    address = f"/brokers/{north.broker.name}/decision-secrets/{secret.id}/revoke/"
    assert f'href="{address}"' in at_ada.get(f"/brokers/{north.broker.name}/").content.decode()
    assert "It is the only one: nobody gets in there" in at_ada.get(address).content.decode()
    at_ada.post(NEW.format(north.broker.name), {"dialect": "vernemq"})
    assert "It goes on with its other secret" in at_ada.get(address).content.decode()
    [_, newer] = decision_secrets_of(broker=north.broker.id)
    assert at_ada.post(address.replace(str(secret.id), str(newer.id))).status_code == 302
    assert decision_secrets_of(broker=north.broker.id) == [secret]
    assert at_ada.post(address).status_code == 302
    assert not decision_secrets_of(broker=north.broker.id)
    assert at_ada.post(address).status_code == 302  # it is said, and harmless


def test_who_may_only_read_or_is_of_another_domain_makes_and_revokes_none(
    north: Scene, at_ada: Client, at_bo: Client, at_cy: Client
) -> None:
    new = NEW.format(north.broker.name)
    at_ada.post(new, {"dialect": "emqx"})
    [secret] = decision_secrets_of(broker=north.broker.id)
    for address in (new, f"/brokers/{north.broker.name}/decision-secrets/{secret.id}/revoke/"):
        assert at_bo.get(address).status_code == 403
        assert at_bo.post(address, {"dialect": "emqx"}).status_code == 403
        assert at_cy.post(address, {"dialect": "emqx"}).status_code == 404
    assert len(decision_secrets_of(broker=north.broker.id)) == 1
    assert "New decision secret" not in at_bo.get(f"/brokers/{north.broker.name}/").content.decode()
    assert at_ada.post(f"/brokers/{north.broker.name}/decision-secrets/{uuid4()}/revoke/").status_code == 302
