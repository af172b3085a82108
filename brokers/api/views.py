"""/api/v1/brokers/"""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import queries, services
from brokers.api.serializers import (
    ApplyDocument,
    BrokerDocument,
    BrokerListDocument,
    ChangedBrokerDocument,
    DriftDocument,
    NewBrokerDocument,
    OperationReference,
    PlanDocument,
    RenderingDocument,
    SessionDocument,
    SessionListDocument,
    broker_document,
    deviation_document,
    drift_document,
    listeners_of,
    plan_document,
    session_document,
)
from brokers.core.plans import planned_deviation
from brokers.core.values import AdapterKind, Broker, PlanId
from devices.core.values import DeviceId
from devices.queries import get_device
from kernel.api.documents import body_of, caller_of
from kernel.api.if_match import if_match_on, required_digest, tag_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.errors import Invalid
from kernel.core.pages import limit_of, page_of

_LIMIT = OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent.")
_DOMAIN = OpenApiParameter(name="domain", description="Slug of a domain: its brokers only.")
_CURSOR = OpenApiParameter(name="cursor", description="`next` of the page before.")


class BrokerListView(APIView):
    """The brokers that the caller may see."""

    scopes = {"GET": "brokers:read", "POST": "brokers:write"}

    @extend_schema(
        operation_id="listBrokers",
        parameters=[_LIMIT, _CURSOR, _DOMAIN],
        responses=BrokerListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of brokers by name."""
        caller = caller_of(request)
        wanted = request.query_params.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        found = queries.list_brokers(domains=domains)
        place = _place(request, 1)
        answer = page_of(
            [broker for broker in found if place is None or broker.name > place[0]],
            limit=limit_of(request.query_params),
            place=lambda broker: [broker.name],
            document=broker_document,
            approximate_count=len(found),
        )
        return Response(answer)

    @extend_schema(operation_id="registerBroker", request=NewBrokerDocument, responses={201: BrokerDocument})
    def post(self, request: Request) -> Response:
        """The new broker."""
        caller = caller_of(request)
        body = NewBrokerDocument(data=request.data)
        body.is_valid(raise_exception=True)
        broker = services.register_broker(
            domain=caller.domain(body.validated_data.get("domain")),
            name=body.validated_data["name"],
            kind=AdapterKind(body.validated_data["kind"]),
            connection=body.validated_data["connection"],
            listeners=listeners_of(body.validated_data["listeners"]),
            actor=caller.actor,
            now=utc_now(),
        )
        return Response(broker_document(broker), status=201)


class BrokerView(APIView):
    """One broker."""

    scopes = {"GET": "brokers:read", "PATCH": "brokers:write", "DELETE": "brokers:write"}

    @extend_schema(operation_id="getBroker", responses=BrokerDocument)
    def get(self, request: Request, name: str) -> Response:
        """The broker; its ETag is for If-Match."""
        return _said(seen(request, name))

    @extend_schema(
        operation_id="changeBroker",
        parameters=[if_match_on("broker", required=True)],
        request=ChangedBrokerDocument,
        responses=BrokerDocument,
    )
    def patch(self, request: Request, name: str) -> Response:
        """The broker as it is now. Spoken to otherwise, it is compared as a whole, and brought to the policy."""
        broker, body = seen(request, name), body_of(ChangedBrokerDocument, request)
        change = services.BrokerChange(
            name=body.get("name"),
            listeners=listeners_of(body["listeners"]) if "listeners" in body else None,
            connection=body.get("connection"),
        )
        changed = services.change_broker(
            broker=broker.id,
            change=change,
            expected=required_digest(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _said(changed)

    @extend_schema(operation_id="removeBroker", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Nothing; the broker is no longer registered, and itself left as it is."""
        broker = seen(request, name)
        services.remove_broker(broker=broker.id, actor=caller_of(request).actor, now=utc_now())
        return Response(status=204)


class PlanView(APIView):
    """Plans of a broker."""

    scopes = {"POST": "brokers:read"}

    @extend_schema(operation_id="planBroker", request=None, responses=PlanDocument)
    def post(self, request: Request, name: str) -> Response:
        """What applying the policy to the broker would do."""
        broker = seen(request, name)
        plan = services.plan_broker(broker=broker.id, actor=caller_of(request).actor, now=utc_now())
        return Response(plan_document(plan))


class ApplyView(APIView):
    """The application of a plan."""

    scopes = {"POST": "policy:apply"}

    @extend_schema(operation_id="applyPlan", request=ApplyDocument, responses={202: OperationReference})
    def post(self, request: Request, name: str) -> Response:
        """The operation that applies it."""
        broker = seen(request, name)
        body = ApplyDocument(data=request.data)
        body.is_valid(raise_exception=True)
        operation = services.apply_plan(
            broker=broker.id,
            plan=PlanId(body.validated_data["plan"]),
            accept_deviations=tuple(body.validated_data["accept_deviations"]),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return Response({"operation": str(operation)}, status=202)


class DriftView(APIView):
    """How a broker differs from the policy."""

    scopes = {"GET": "brokers:read"}

    @extend_schema(operation_id="compareBroker", responses=DriftDocument)
    def get(self, request: Request, name: str) -> Response:
        """The differences now; the broker is asked."""
        return Response(drift_document(services.compare_broker(broker=seen(request, name).id, now=utc_now())))


class RenderingView(APIView):
    """What a broker should hold."""

    scopes = {"GET": "brokers:read"}

    @extend_schema(operation_id="renderBroker", responses=RenderingDocument)
    def get(self, request: Request, name: str) -> Response:
        """The artifact as text, and how it deviates from the policy."""
        broker = seen(request, name)
        rendering = services.render_broker(broker=broker.id, now=utc_now())
        shown = [deviation_document(planned_deviation(deviation)) for deviation in rendering.deviations]
        limits = [{"kind": kind.value, "why": why} for kind, why in queries.capabilities_of(broker=broker.id).limits]
        return Response(
            {
                "artifact": rendering.artifact,
                "deviations": shown,
                "limits": limits,
                "warnings": list(rendering.warnings),
            }
        )


class SessionListView(APIView):
    """Who is connected to a broker."""

    scopes = {"GET": "brokers:read"}

    @extend_schema(operation_id="listBrokerSessions", parameters=[_LIMIT, _CURSOR], responses=SessionListDocument)
    def get(self, request: Request, name: str) -> Response:
        """A page of sessions by auth id and client id."""
        broker, limit, place = seen(request, name), limit_of(request.query_params), _place(request, 2)
        after = (place[0], place[1]) if place else None
        found = page_of(
            queries.sessions_on(broker=broker.id, after=after, limit=limit + 1),
            limit=limit,
            place=lambda session: [session.auth_id, session.client_id],
            document=session_document,
            approximate_count=queries.count_sessions(broker=broker.id),
        )
        return Response(found)


class DeviceSessionListView(APIView):
    """Where one device is connected."""

    scopes = {"GET": "devices:read"}

    @extend_schema(operation_id="listDeviceSessions", responses=SessionDocument(many=True))
    def get(self, request: Request, device: UUID) -> Response:
        """The sessions, the oldest first."""
        found = get_device(device=DeviceId(device), domains=caller_of(request).domain_ids)
        return Response({"results": list(map(session_document, queries.sessions_of(device=found.id)))})


def _said(broker: Broker) -> Response:
    return Response(broker_document(broker), headers=tag_of(broker.tag))


def seen(request: Request, name: str) -> Broker:
    """The broker of that name, if the caller may see it. Raises BrokerNotFound."""
    return queries.get_broker(name=name, domains=list(caller_of(request).domain_ids))


def _place(request: Request, members: int) -> list[str] | None:
    text = request.query_params.get("cursor")
    if not text:
        return None
    place = cursor.decode(text)
    if len(place) != members or not all(isinstance(member, str) for member in place):
        raise Invalid("The cursor is none of ours: begin again without one.", code="invalid-cursor")
    return place
