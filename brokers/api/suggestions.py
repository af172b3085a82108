"""/api/v1/policy/suggestions/: rules that nobody uses or that are wider than their use, and what is denied often."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from acl import queries as roles
from acl.core.documents import rule_document
from acl.core.suggestions import Suggestion, SuggestionKind
from acl.core.values import RoleId
from brokers import services
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.services.suggesting import MOST_DAYS, UNUSED_DAYS, BadDays, Denied, RuleUse, Suggestions
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.ids import parse_id
from kernel.core.pages import page


class SuggestionDocument(serializers.Serializer[Any]):
    """What a role could do without: `filters` are put in the rule's place, none if it is dropped."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=[*SuggestionKind])
    domain = serializers.CharField()
    role = serializers.CharField()
    rule = serializers.DictField()
    filters = serializers.ListField(child=serializers.CharField())
    count = serializers.IntegerField(help_text="How often the rule was used in these days.")


class RuleUseDocument(serializers.Serializer[Any]):
    """How an allow rule was used. `unknown` says why nobody can tell that it was not; empty if all use is known."""

    role = serializers.CharField()
    rule = serializers.UUIDField()
    topic = serializers.CharField()
    count = serializers.IntegerField()
    last_day = serializers.DateField(allow_null=True)
    unknown = serializers.CharField()


class DeniedDocument(serializers.Serializer[Any]):
    """What a device was denied three times or more; `rule` is the deny rule, null if no rule allows it."""

    domain = serializers.CharField()
    device = serializers.UUIDField()
    action = serializers.ChoiceField(choices=[*AccessAction])
    topic = serializers.CharField(help_text="A template; + and # stand for what is not told.")
    reason = serializers.ChoiceField(choices=[*AccessReason])
    rule = serializers.UUIDField(allow_null=True)
    count = serializers.IntegerField()
    last_at = serializers.DateTimeField()


class SuggestionListDocument(serializers.Serializer[Any]):
    """All suggestions."""

    results = SuggestionDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class RuleUseListDocument(serializers.Serializer[Any]):
    """How all allow rules were used."""

    results = RuleUseDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class DeniedListDocument(serializers.Serializer[Any]):
    """What was denied often, the most frequent first; at most 100."""

    results = DeniedDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class SuggestionDraftDocument(StrictDocument):
    """Which suggestions are to be a draft."""

    domain = serializers.CharField(required=False)
    suggestions = serializers.ListField(child=serializers.CharField(max_length=64), allow_empty=False, max_length=500)
    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=UNUSED_DAYS)


class DraftReference(serializers.Serializer[Any]):
    """The draft that was made: see policy-changes."""

    change = serializers.UUIDField()
    title = serializers.CharField()


_ASKED = [
    OpenApiParameter(name="domain", description="Slug of a domain: its roles only."),
    OpenApiParameter(name="role", description="Id of a role: about this role only."),
    OpenApiParameter(name="days", type=int, description=f"1 to {MOST_DAYS}; {UNUSED_DAYS} if absent."),
]


class SuggestionListView(APIView):
    """What policy could do without."""

    scopes = {"GET": "policy:read"}

    @extend_schema(operation_id="listSuggestions", parameters=_ASKED, responses=SuggestionListDocument)
    def get(self, request: Request) -> Response:
        """Rules to take out or to narrow."""
        caller, found = caller_of(request), _found(request)
        return _whole([_suggestion(each, caller.slug_of(each.role.domain)) for each in found.suggested])


class RuleUseListView(APIView):
    """How rules were used."""

    scopes = {"GET": "policy:read"}

    @extend_schema(operation_id="listRuleUse", parameters=_ASKED, responses=RuleUseListDocument)
    def get(self, request: Request) -> Response:
        """Each allow rule."""
        return _whole(list(map(_use, _found(request).uses)))


class DeniedListView(APIView):
    """What is denied again and again."""

    scopes = {"GET": "policy:read"}

    @extend_schema(operation_id="listDenied", parameters=_ASKED, responses=DeniedListDocument)
    def get(self, request: Request) -> Response:
        """Who was denied what, how often; of one role, what its deny rules denied."""
        caller, found = caller_of(request), _found(request)
        return _whole([_denied(each, caller.slug_of(each.domain)) for each in found.denied])


class SuggestionDraftView(APIView):
    """Suggestions as a draft."""

    scopes = {"POST": "policy:write"}

    @extend_schema(operation_id="draftSuggestions", request=SuggestionDraftDocument, responses={201: DraftReference})
    def post(self, request: Request) -> Response:
        """The new draft; nothing of it is in force before it is applied."""
        caller, body = caller_of(request), body_of(SuggestionDraftDocument, request)
        made = services.draft_suggestions(
            domain=caller.domain(body.get("domain")),
            suggestions=body["suggestions"],
            days=body["days"],
            actor=caller.actor,
            now=utc_now(),
        )
        return Response({"change": str(made.id), "title": made.title}, status=201)


def _found(request: Request) -> Suggestions:
    caller, asked = caller_of(request), request.query_params
    domains = [caller.domain(asked["domain"])] if asked.get("domain") else list(caller.domain_ids)
    role = RoleId(parse_id(asked["role"], what="role")) if asked.get("role") else None
    if role is not None:
        domains = [roles.get_role(id=role, domains=domains).domain]
    return services.suggest_changes(domains=domains, role=role, days=_days(asked.get("days")), now=utc_now())


def _whole(documents: list[dict[str, Any]]) -> Response:
    return Response(page(documents, next_cursor=None, approximate_count=len(documents)))


def _days(text: str | None) -> int:
    if not text:
        return UNUSED_DAYS
    if not (text.isascii() and text.isdigit()):
        raise BadDays(f"Give 1 to {MOST_DAYS} days.")
    return int(text[:9])


def _suggestion(suggestion: Suggestion, domain: str) -> dict[str, Any]:
    return {
        "id": suggestion.id,
        "kind": suggestion.kind.value,
        "domain": domain,
        "role": suggestion.role.name,
        "rule": rule_document(suggestion.rule),
        "filters": list(suggestion.filters),
        "count": suggestion.count,
    }


def _use(use: RuleUse) -> dict[str, Any]:
    return {
        "role": use.role.name,
        "rule": str(use.rule.id),
        "topic": use.rule.topic,
        "count": use.count,
        "last_day": use.last_day,
        "unknown": use.unknown,
    }


def _denied(denied: Denied, domain: str) -> dict[str, Any]:
    return {
        "domain": domain,
        "device": str(denied.device),
        "action": denied.action.value,
        "topic": denied.topic,
        "reason": denied.reason.value,
        "rule": str(denied.rule) if denied.rule else None,
        "count": denied.count,
        "last_at": to_rfc3339(denied.last_at),
    }
