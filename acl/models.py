"""Tables of roles and rules. A domain is an opaque id here: who it belongs to is for the apps above."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from django.db import models
from django.db.models import Q

from acl.core import values
from acl.core.own_rules import own_role_name
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Retain, RoleId, RuleId, Shared
from kernel.core.ids import DomainId, new_id


def _choices(*values: str) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


class RoleQuerySet(models.QuerySet["Role"]):
    def of_domains(self, domains: Iterable[DomainId]) -> Self:
        """Those of the domains, by name."""
        return self.filter(domain_id__in=list(domains)).order_by("name", "id")

    def of_many(self) -> Self:
        """Those for whoever is given them: without the rules of one principal alone."""
        return self.exclude(name__startswith=own_role_name(""))

    def after(self, *, name: str, id: RoleId) -> Self:
        """Those beyond that place of the order by (name, id)."""
        return self.filter(Q(name__gt=name) | Q(name=name, id__gt=id))

    def with_rules(self) -> Self:
        """With their rules, in one more query."""
        return self.prefetch_related("rules")


class Role(models.Model):
    """A role. `version` rises with each change."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    domain_id = models.UUIDField()
    name = models.CharField(max_length=65)
    description = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects = RoleQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["domain_id", "name"], name="acl_role_name")]
        ordering = ["name", "id"]

    def as_value(self) -> values.Role:
        """The role with its rules."""
        return values.Role(
            id=RoleId(self.id),
            domain=DomainId(self.domain_id),
            name=self.name,
            rules=tuple(rule.as_value() for rule in self.rules.all()),
            description=self.description,
            version=self.version,
        )


class Rule(models.Model):
    """A rule of a role. `qos` holds a bit for each quality of service: 1 for QoS 0, 2 for QoS 1, 4 for QoS 2."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveSmallIntegerField()
    effect = models.CharField(max_length=5, choices=_choices(*Effect))
    publish = models.BooleanField()
    subscribe = models.BooleanField()
    topic = models.TextField()
    qos = models.PositiveSmallIntegerField()
    retain = models.CharField(max_length=5, choices=_choices(*Retain))
    shared = models.CharField(max_length=5, choices=_choices(*Shared))
    shared_group = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 "" is no group either

    class Meta:
        ordering = ["role_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["role", "position"], name="acl_rule_position"),
            models.CheckConstraint(condition=Q(effect__in=[*Effect]), name="acl_rule_effect"),
            models.CheckConstraint(condition=Q(publish=True) | Q(subscribe=True), name="acl_rule_actions"),
            models.CheckConstraint(condition=Q(qos__gte=1, qos__lte=7), name="acl_rule_qos"),
            models.CheckConstraint(
                condition=Q(retain=Retain.ANY) | Q(retain__in=[Retain.ONLY, Retain.NEVER], publish=True),
                name="acl_rule_retain",
            ),
            models.CheckConstraint(
                condition=Q(shared=Shared.ANY) | Q(shared__in=[Shared.ONLY, Shared.NEVER], subscribe=True),
                name="acl_rule_shared",
            ),
            models.CheckConstraint(
                condition=Q(shared_group=None) | Q(shared=Shared.ONLY) & ~Q(shared_group=""),
                name="acl_rule_shared_group",
            ),
            models.CheckConstraint(condition=~Q(topic=""), name="acl_rule_topic"),
        ]

    @classmethod
    def of(cls, spec: RuleSpec, *, id: RuleId, role: RoleId, position: int) -> Rule:
        """The row, not saved, of `spec`."""
        return cls(
            id=id,
            role_id=role,
            position=position,
            effect=spec.effect,
            publish=Action.PUBLISH in spec.actions,
            subscribe=Action.SUBSCRIBE in spec.actions,
            topic=spec.topic,
            qos=sum(1 << qos for qos in spec.qos),
            retain=spec.retain,
            shared=spec.shared,
            shared_group=spec.shared_group,
        )

    def as_value(self) -> values.Rule:
        """The rule."""
        wanted = {Action.PUBLISH: self.publish, Action.SUBSCRIBE: self.subscribe}
        return values.Rule(
            id=RuleId(self.id),
            effect=Effect(self.effect),
            actions=frozenset(action for action, said in wanted.items() if said),
            topic=self.topic,
            qos=frozenset(qos for qos in range(3) if self.qos & (1 << qos)),
            retain=Retain(self.retain),
            shared=Shared(self.shared),
            shared_group=self.shared_group,
        )
