"""/api/v1/policy/import-plan/ and /api/v1/policy-imports/: policy from a file, looked at first, then as a draft."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers.services.importing import (
    FORMATS,
    WantedPolicy,
    foreign_policy,
    import_wanted,
    plan_wanted,
    wanted_policy,
)
from devices.core.policy_plan import difference_json
from devices.services.import_policy import PolicyImport
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.caller import Caller
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId

GATEHOUSE = "gatehouse"
_TAG = re.compile(r'"([0-9a-f]{64})"')
_IF_MATCH = OpenApiParameter(
    name="If-Match", location="header", description="The ETag of the policy document that the file was made from."
)


class PolicyFileDocument(StrictDocument):
    """A file: `format` gatehouse is a whole policy document, the others are added to the policy in force."""

    domain = serializers.CharField(required=False)
    format = serializers.ChoiceField(choices=[GATEHOUSE, *sorted(FORMATS)], default=GATEHOUSE)
    text = serializers.CharField(
        trim_whitespace=False, help_text="The file as text: YAML or JSON, or another program's."
    )
    prefix = serializers.CharField(max_length=32, allow_blank=True, default="", help_text="Before names of roles.")


class PolicyImportDocument(PolicyFileDocument):
    """A file that is to be a draft, and what the change is called."""

    title = serializers.CharField(max_length=200)


class NotImportedDocument(serializers.Serializer[Any]):
    """A part of a foreign file that has no exact equivalent: `loss` is narrower, left-out or same."""

    place = serializers.CharField()
    loss = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field of the document, not DRF's source
    why = serializers.CharField()


class ImportedChangeDocument(serializers.Serializer[Any]):
    """The draft; more at /api/v1/policy-changes/<id>/."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    state = serializers.CharField()


class ImportPlanDocument(serializers.Serializer[Any]):
    """What an import changes, and what of the file is not in it. `change` is null if none was made."""

    difference = serializers.JSONField()
    not_imported = NotImportedDocument(many=True)
    change = ImportedChangeDocument(allow_null=True)


class ImportPlanView(APIView):
    """What would a file change?"""

    scopes = {"POST": "policy:read"}

    @extend_schema(
        operation_id="planPolicyImport",
        parameters=[_IF_MATCH],
        request=PolicyFileDocument,
        responses=ImportPlanDocument,
    )
    def post(self, request: Request) -> Response:
        """The difference that importing the file would make; nothing is changed."""
        body = body_of(PolicyFileDocument, request)
        domain, wanted = _wanted(body, caller_of(request))
        planned = plan_wanted(domain=domain, wanted=wanted, expected_digest=_expected_digest(request))
        return Response(_document(planned, wanted))


class PolicyImportView(APIView):
    """Makes a draft of a file."""

    scopes = {"POST": "policy:write"}

    @extend_schema(
        operation_id="importPolicy",
        parameters=[_IF_MATCH],
        request=PolicyImportDocument,
        responses={200: ImportPlanDocument, 201: ImportPlanDocument},
    )
    def post(self, request: Request) -> Response:
        """The draft, to be approved and applied; 200 and no draft if nothing differs."""
        body, caller = body_of(PolicyImportDocument, request), caller_of(request)
        domain, wanted = _wanted(body, caller)
        made = import_wanted(
            domain=domain,
            wanted=wanted,
            title=body["title"],
            expected_digest=_expected_digest(request),
            actor=caller.actor,
            now=utc_now(),
        )
        return Response(_document(made, wanted), status=201 if made.change else 200)


def _wanted(body: dict[str, Any], caller: Caller) -> tuple[DomainId, WantedPolicy]:
    """The domain that is meant, which may stand in the file, and what the file wants there."""
    if body["format"] != GATEHOUSE:
        domain = caller.domain(body.get("domain"))
        return domain, foreign_policy(domain=domain, format=body["format"], text=body["text"], prefix=body["prefix"])
    wanted = wanted_policy(text=body["text"])
    return caller.domain(body.get("domain", wanted.document.domain)), wanted


def _expected_digest(request: Request) -> str | None:
    """The digest that If-Match asks for; one that no policy has for a tag that is not ours."""
    found = request.headers.get("If-Match", "*").strip()
    if found == "*":
        return None
    tag = _TAG.fullmatch(found)
    return tag[1] if tag else ""


def _document(planned: PolicyImport, wanted: WantedPolicy) -> dict[str, Any]:
    change = planned.change
    return {
        "difference": difference_json(planned.difference),
        "not_imported": [note.as_json() for note in wanted.notes],
        "change": {"id": str(change.id), "number": change.number, "state": change.state.value} if change else None,
    }
