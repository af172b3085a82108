"""A domain with all that devices need to enrol."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Role
from acl.services import create_role
from devices import services
from devices.core.values import Device, DeviceId
from devices.models import Domain
from devices.services import Enrolment, MintedToken, Pending
from kernel.core.ids import DomainId
from pki import services as pki
from pki.core.values import Issuer
from tests.cast import ADA
from tests.devices.openssl import Workshop
from tests.made_once import made_once

SCHEMA: dict[str, Any] = {
    "site": {"type": "string"},
    "litres": {"type": "integer"},
    "weight": {"type": "number"},
    "wet": {"type": "boolean"},
}
UP = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="${domain}/${client_id}/up/#")
DOWN = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/${client_id}/down/#")


class Factory:
    """A domain with a CA, the device type `pump`, and the profiles `default` and `gate`, which needs approval."""

    def __init__(self, domain: DomainId, slug: str, workshop: Workshop, now: datetime) -> None:
        self.domain, self.slug, self.workshop, self.now = domain, slug, workshop, now
        self.ca: Issuer = made_once(self._begin, "devices", slug)

    def _begin(self) -> Issuer:
        who: dict[str, Any] = {"actor": ADA, "now": self.now}
        Domain.objects.create(id=self.domain, slug=self.slug, name=self.slug.title())
        root = pki.create_root(domain=self.domain, slug=f"{self.slug}-root", common_name=f"{self.slug} root", **who)
        ca = pki.create_issuing_ca(parent=root.id, slug=f"{self.slug}-ca", common_name=f"{self.slug} CA", **who)
        services.set_issuer(domain=self.domain, issuer=ca.id, **who)
        services.create_device_type(domain=self.domain, name="pump", schema=SCHEMA, **who)
        for name, needs_approval in (("default", False), ("gate", True)):
            services.create_enrolment_profile(
                domain=self.domain, name=name, device_type="pump", needs_approval=needs_approval, **who
            )
        return ca

    def mint(
        self, profile: str = "default", *, uses: int = 100, seconds: int = 3600, networks: Any = ()
    ) -> MintedToken:
        """A token."""
        return services.mint_enrolment_token(
            domain=self.domain,
            profile=profile,
            max_uses=uses,
            expires_in_seconds=seconds,
            allowed_networks=networks,
            actor=ADA,
            now=self.now,
        )

    def ask(self, name: str | None = "pump-17", **changes: Any) -> Enrolment | Pending:
        """The answer to a wish with a fresh key and token, unless told otherwise."""
        given: dict[str, Any] = {"address": "192.0.2.7", "now": self.now, **changes}
        given.setdefault("csr", self.workshop.csr())
        given["token"] = given["token"] if "token" in given else self.mint().token
        return services.enroll_device(name=name, **given)

    def enroll(self, name: str | None = "pump-17", **changes: Any) -> Enrolment:
        """The same, where no approval is needed."""
        made = self.ask(name, **changes)
        assert isinstance(made, Enrolment)
        return made

    def wait(self, name: str = "pump-17", **changes: Any) -> Pending:
        """The same, where it is needed."""
        made = self.ask(name, **{"token": self.mint("gate").token, **changes})
        assert isinstance(made, Pending)
        return made

    def register(self, name: str = "pump-17", **changes: Any) -> Device:
        """A device registered ahead."""
        given = {"device_type": "pump", "domain": self.domain, "actor": ADA, "now": self.now, **changes}
        return services.register_device(name=name, **given)

    def device(self, name: str = "pump-17") -> DeviceId:
        """The id of a fresh, active device."""
        return self.enroll(name).device.id

    def role(self, name: str = "pumps", *rules: RuleSpec) -> Role:
        """A role."""
        return create_role(domain=self.domain, name=name, rules=rules or (UP, DOWN), actor=ADA, now=self.now)
