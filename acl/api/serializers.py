"""Roles and rules as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers

from acl.core.documents import rule_document
from acl.core.rules import RuleSpec
from acl.core.values import EVERY_QOS, Action, Effect, Retain, Role, Shared
from kernel.api.documents import StrictDocument


class RuleDocument(StrictDocument):
    """One rule."""

    id = serializers.UUIDField(read_only=True)
    effect = serializers.ChoiceField(choices=[*Effect])
    actions = serializers.ListField(child=serializers.ChoiceField(choices=[*Action]), allow_empty=False, max_length=2)
    topic = serializers.CharField(trim_whitespace=False, max_length=65_535)
    qos = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=2), allow_empty=False, max_length=3, required=False
    )
    retain = serializers.ChoiceField(choices=[*Retain], default=Retain.ANY)
    shared = serializers.ChoiceField(choices=[*Shared], default=Shared.ANY)
    shared_group = serializers.CharField(
        trim_whitespace=False, max_length=255, allow_null=True, default=None, required=False
    )


class NewRoleDocument(StrictDocument):
    """A role to be made. `domain` is needed only where the caller may act in several."""

    domain = serializers.CharField(required=False)
    name = serializers.CharField(max_length=64)
    description = serializers.CharField(max_length=2_000, allow_blank=True, default="")
    rules = RuleDocument(many=True)


class RoleDocument(StrictDocument):
    """A role."""

    id = serializers.UUIDField(read_only=True)
    domain = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=64)
    description = serializers.CharField(max_length=2_000, allow_blank=True, default="")
    version = serializers.IntegerField(read_only=True)
    rules = RuleDocument(many=True)


class RoleListDocument(serializers.Serializer[Any]):
    """A page of roles."""

    results = RoleDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


def rule_specs(documents: Sequence[Mapping[str, Any]]) -> list[RuleSpec]:
    """The rules that validated documents say."""
    return [
        RuleSpec(
            effect=Effect(document["effect"]),
            actions=frozenset(map(Action, document["actions"])),
            topic=document["topic"],
            qos=frozenset(document.get("qos", EVERY_QOS)),
            retain=Retain(document["retain"]),
            shared=Shared(document["shared"]),
            shared_group=document["shared_group"],
        )
        for document in documents
    ]


def role_document(role: Role, *, domain_slug: str) -> dict[str, Any]:
    """The role as JSON; `domain` is its slug."""
    return {
        "id": str(role.id),
        "domain": domain_slug,
        "name": role.name,
        "description": role.description,
        "version": role.version,
        "rules": [rule_document(rule) for rule in role.rules],
    }
