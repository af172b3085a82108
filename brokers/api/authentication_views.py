"""/api/v1/brokers/<name>/authentication/ and …/try/"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import services
from brokers.api.views import seen
from brokers.core.auth_chains.chain import StepEffect, StepKind
from brokers.core.auth_chains.document import MOST_STEPS, chain_document, read_chain
from brokers.core.decide.decisions import Identity, Method
from brokers.core.decide.snippets import Dialect
from brokers.services.auth_chains import MOST_PEM, KeptChain, Sample, Trial
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.api.if_match import if_match_on, required_digest, tag_of
from kernel.core.clock import to_rfc3339, utc_now

_MOST_TEXT = 65_535


class AuthStepDocument(StrictDocument):
    """One step. A step that does not fit refuses, unless it is optional."""

    do = serializers.ChoiceField(
        choices=[*StepKind],
        help_text="set: the field becomes the text `value`, in which ${name} is what another field holds. copy: it "
        "becomes what the field `value` holds. regex: the pattern `value` has to match it as a whole, and named groups "
        "go into fields of their names. certificate: it becomes the part `value` of the certificate: cn, "
        "san_uri, san_dns, o, ou or serial.",
    )
    field = serializers.CharField(max_length=64, help_text="username, client_id, or one of your own.")
    value = serializers.CharField(max_length=512, allow_blank=True, trim_whitespace=False)
    optional = serializers.BooleanField(default=False)


class AuthChainDocument(StrictDocument):
    """Whom a CONNECT is about, step by step, and what proves it."""

    steps = serializers.ListField(child=AuthStepDocument(), max_length=MOST_STEPS)
    methods = serializers.ListField(
        child=serializers.ChoiceField(choices=[*Method]),
        default=[*Method],
        max_length=len(Method),
        help_text="What counts as proof; the first of which something comes along decides alone.",
    )


class KeptAuthChainDocument(AuthChainDocument):
    """The same, and how the broker asks."""

    dialect = serializers.ChoiceField(choices=[*Dialect])


class SampleDocument(StrictDocument):
    """A CONNECT to try, with `chain` in place of the one that holds."""

    username = serializers.CharField(max_length=_MOST_TEXT, allow_blank=True, trim_whitespace=False)
    client_id = serializers.CharField(max_length=_MOST_TEXT, allow_blank=True, trim_whitespace=False)
    certificate = serializers.CharField(max_length=MOST_PEM, default="", allow_blank=True, help_text="PEM.")
    password = serializers.CharField(
        max_length=_MOST_TEXT, default="", allow_blank=True, trim_whitespace=False, write_only=True
    )
    identity = serializers.ChoiceField(choices=[*Identity], default=Identity.SHOWN)
    chain = AuthChainDocument(required=False)


class StepEffectDocument(serializers.Serializer[Any]):
    """What became of one step: the values that it gave, or why it did not fit."""

    do = serializers.ChoiceField(choices=[*StepKind])
    field = serializers.CharField()
    gave = serializers.DictField(child=serializers.CharField())
    fault = serializers.CharField(allow_blank=True)


class TrialDocument(serializers.Serializer[Any]):
    """What the steps made of it, up to one that refused, and the answer that the broker would be given."""

    steps = StepEffectDocument(many=True)
    username = serializers.CharField(allow_blank=True)
    client_id = serializers.CharField(allow_blank=True, allow_null=True)
    allowed = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True)
    why = serializers.CharField(allow_blank=True)
    until = serializers.DateTimeField(allow_null=True)


class AuthenticationView(APIView):
    """The authentication chain of a broker that asks over HTTP."""

    scopes = {"GET": "brokers:read", "PUT": "brokers:write"}

    @extend_schema(operation_id="getAuthChain", responses=KeptAuthChainDocument)
    def get(self, request: Request, name: str) -> Response:
        """The chain that holds; its ETag is for If-Match."""
        return _said(services.auth_chain_of(broker=seen(request, name).id))

    @extend_schema(
        operation_id="changeAuthChain",
        parameters=[if_match_on("chain", required=True)],
        request=AuthChainDocument,
        responses=KeptAuthChainDocument,
    )
    def put(self, request: Request, name: str) -> Response:
        """The chain that holds from now on, within a second."""
        broker = seen(request, name)
        changed = services.change_auth_chain(
            broker=broker.id,
            chain=read_chain(body_of(AuthChainDocument, request)),
            expected=required_digest(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _said(changed)


class AuthenticationTrialView(APIView):
    """Trying a CONNECT on a chain."""

    scopes = {"POST": "brokers:write"}

    @extend_schema(operation_id="tryAuthChain", request=SampleDocument, responses=TrialDocument)
    def post(self, request: Request, name: str) -> Response:
        """What each step makes of it, and the answer; nothing is changed, and nobody is let in."""
        broker, body = seen(request, name), body_of(SampleDocument, request)
        chain = read_chain(body["chain"]) if "chain" in body else None
        sample = Sample(
            username=body["username"],
            client_id=body["client_id"],
            certificate=body["certificate"],
            password=body["password"],
            identity=Identity(body["identity"]),
        )
        found = services.try_auth_chain(broker=broker.id, chain=chain, sample=sample, now=utc_now())
        return Response(_trial(found), headers={"Cache-Control": "no-store"})


def _said(kept: KeptChain) -> Response:
    document = chain_document(kept.chain) | {"dialect": kept.dialect.value}
    return Response(document, headers=tag_of(kept.tag))


def _trial(trial: Trial) -> dict[str, Any]:
    judgement = trial.judgement
    allowed = judgement.all_allowed
    return {
        "steps": [_effect(each) for each in trial.walked.effects],
        "username": trial.walked.username,
        "client_id": trial.walked.client_id,
        "allowed": allowed,
        "reason": None if allowed else judgement.reason.value,
        "why": judgement.why,
        "until": to_rfc3339(judgement.until) if judgement.until else None,
    }


def _effect(effect: StepEffect) -> dict[str, Any]:
    return {
        "do": effect.step.do.value,
        "field": effect.step.field,
        "gave": dict(effect.gave),
        "fault": effect.fault,
    }
