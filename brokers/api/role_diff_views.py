"""/api/v1/policy/diff/: what an edit of one role would give and take, over the whole fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from acl import queries as roles
from acl.core.analysis_diff import FilterChange
from acl.core.rules import RuleSpec
from acl.core.values import Role, RoleId
from devices import queries as devices
from devices.core.policy_document import PolicyDocument
from devices.core.policy_json import policy_from_json, policy_json
from devices.queries.role_effect import RoleEffect, role_effect
from kernel.api.documents import StrictDocument, caller_of
from kernel.core.caller import Caller
from kernel.core.clock import utc_now


class RoleEditDocument(StrictDocument):
    """The rules that a role would have, as in a policy document. `role` is a name or an id.

    `domain` is needed only where the caller may act in several.
    """

    domain = serializers.CharField(required=False)
    role = serializers.CharField(max_length=64)
    rules = serializers.JSONField(help_text="A list of rules, as in a policy document.")


class FilterChangeDocument(serializers.Serializer[Any]):
    """A topic-filter template `without` some of it, for devices to whom `where` applies; `devices` are about so many.

    If `lacking` is not empty it is so for devices without a safe value for one of these placeholders only. Of shared
    subscriptions it is about those in `shared_group`, or about all but those in `other_than`.
    """

    action = serializers.CharField()
    filter = serializers.CharField()
    without = serializers.ListField(child=serializers.CharField())
    where = serializers.ListField(child=serializers.DictField())
    lacking = serializers.ListField(child=serializers.CharField())
    qos = serializers.ListField(child=serializers.IntegerField())
    retain = serializers.CharField()
    shared = serializers.CharField()
    shared_group = serializers.CharField(allow_null=True)
    other_than = serializers.ListField(child=serializers.CharField())
    devices = serializers.IntegerField()


class RoleDiffDocument(serializers.Serializer[Any]):
    """What would change: `devices` gain or lose something, `unjudged` more have the role and were not judged.

    `bounded`: it was too much work to be exact, and more may be said than is gained or lost, never less.
    """

    devices = serializers.IntegerField()
    unjudged = serializers.IntegerField()
    gain = FilterChangeDocument(many=True)
    lose = FilterChangeDocument(many=True)
    bounded = serializers.BooleanField()


class RoleDiffView(APIView):
    """What would an edit of a role do?"""

    scopes = {"POST": "policy:read"}

    @extend_schema(operation_id="diffRole", request=RoleEditDocument, responses=RoleDiffDocument)
    def post(self, request: Request) -> Response:
        """Who would gain and lose what, as filters with numbers of devices; nothing is changed."""
        caller = caller_of(request)
        body = RoleEditDocument(data=request.data)
        body.is_valid(raise_exception=True)
        role = _role(caller, body.validated_data.get("domain"), body.validated_data["role"])
        rules = _rules(role, caller.slug_of(role.domain), body.validated_data["rules"])
        return Response(role_diff_document(role_effect(role=role.id, rules=rules, now=utc_now())))


def role_diff_document(effect: RoleEffect) -> dict[str, Any]:
    """The effect as JSON; what several cohorts gain alike is said once."""
    gained, lost = Counter[FilterChange](), Counter[FilterChange]()
    for cohort in effect.cohorts:
        gained.update(dict.fromkeys(cohort.gained, cohort.count))
        lost.update(dict.fromkeys(cohort.lost, cohort.count))
    return {
        "devices": effect.touched,
        "unjudged": effect.unjudged,
        "gain": _lines(gained.items()),
        "lose": _lines(lost.items()),
        "bounded": effect.bounded,
    }


def _lines(counted: Iterable[tuple[FilterChange, int]]) -> list[dict[str, Any]]:
    return [
        {
            "action": change.action.value,
            "filter": change.filter,
            "without": list(change.without),
            "where": [{"left": pair.left, "right": pair.right} for pair in change.where],
            "lacking": list(change.lacking),
            "qos": sorted(change.qos),
            "retain": change.retain.value,
            "shared": change.shared.value,
            "shared_group": change.shared_group,
            "other_than": list(change.other_than),
            "devices": devices,
        }
        for change, devices in counted
    ]


def _role(caller: Caller, slug: str | None, wanted: str) -> Role:
    """The role of that id, or of that name in the domain. Raises RoleNotFound."""
    try:
        return roles.get_role(id=RoleId(UUID(wanted)), domains=list(caller.domain_ids))
    except ValueError:
        domain = devices.get_domain(id=caller.domain(slug)).id
    found = roles.find_role(domain=domain, name=wanted)
    if found is None:
        raise roles.RoleNotFound(f"There is no role {wanted} in the domain: list the roles to see those there are.")
    return found


def _rules(role: Role, slug: str, rules: object) -> tuple[RuleSpec, ...]:
    """The rules, read as those of a document with this role alone. Raises InvalidPolicy."""
    shape = policy_json(PolicyDocument.of(domain=slug, quarantine_role=None, roles=[], bindings=[], groups=[]))
    document = policy_from_json({**shape, "roles": [{"name": role.name, "rules": rules}]})
    return document.roles[0].rules
