"""/api/v1/policy/reach/: who makes whom hear what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from acl.core.documents import rule_document
from brokers import services
from brokers.core.answers import Reach, ReachLine
from devices import queries as devices
from devices.queries import DeviceSet
from kernel.api.documents import StrictDocument, caller_of
from kernel.core.caller import Caller
from kernel.core.clock import utc_now

_KINDS = ("device", "application", "group", "device_type")


class DeviceSetDocument(StrictDocument):
    """A device or application by id or name, a group, a device type; or all devices and applications of a domain.

    `domain` is a slug, and needed only where the caller may act in several.
    """

    domain = serializers.CharField(required=False)
    device = serializers.CharField(required=False, max_length=64)
    application = serializers.CharField(required=False, max_length=64)
    group = serializers.CharField(required=False, max_length=64)
    device_type = serializers.CharField(required=False, max_length=64)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuses a set that is named in two ways."""
        if sum(kind in attrs for kind in _KINDS) > 1:
            raise serializers.ValidationError("Name a device, application, group or device type, not several of them.")
        return attrs


class ReachDocument(StrictDocument):
    """Which devices of the one set make which of the other hear them? Without `subscribers`: in their own domain."""

    publishers = DeviceSetDocument()
    subscribers = DeviceSetDocument(required=False)


class EqualityDocument(serializers.Serializer[Any]):
    """Two levels that have to be the same text."""

    left = serializers.CharField()
    right = serializers.CharField()


class VoiceDocument(serializers.Serializer[Any]):
    """One side of a flow; `devices` is null where they were not counted."""

    role = serializers.CharField()
    rule = serializers.DictField()
    devices = serializers.IntegerField(allow_null=True)


class FlowDocument(serializers.Serializer[Any]):
    """Topics that flow: `filter` without what is `without`, where the equalities of `where` apply.

    Placeholders are the publisher's; those written `${subscriber.NAME}` are the subscriber's.
    """

    filter = serializers.CharField()
    without = serializers.ListField(child=serializers.CharField())
    where = EqualityDocument(many=True)
    to_itself = serializers.BooleanField()
    publisher = VoiceDocument()
    subscriber = VoiceDocument()


class ReachAnswerDocument(serializers.Serializer[Any]):
    """Every flow; `bounded` says that there are more."""

    flows = FlowDocument(many=True)
    bounded = serializers.BooleanField()


class ReachView(APIView):
    """Who makes whom hear what?"""

    scopes = {"POST": "policy:read"}

    @extend_schema(operation_id="reach", request=ReachDocument, responses=ReachAnswerDocument)
    def post(self, request: Request) -> Response:
        """The flows of topics between two sets of devices, with the roles and rules that make them."""
        caller = caller_of(request)
        body = ReachDocument(data=request.data)
        body.is_valid(raise_exception=True)
        publishers = _device_set(caller, body.validated_data["publishers"])
        wanted = body.validated_data.get("subscribers") or {"domain": publishers.domain.slug}
        found = services.reach(publishers=publishers, subscribers=_device_set(caller, wanted), now=utc_now())
        return Response(reach_document(found))


def reach_document(found: Reach) -> dict[str, Any]:
    """The answer as JSON."""
    return {"flows": list(map(_flow, found.lines)), "bounded": found.bounded}


def _flow(line: ReachLine) -> dict[str, Any]:
    flow = line.flow
    return {
        "filter": flow.filter,
        "without": list(flow.without),
        "where": [{"left": pair.left, "right": pair.right} for pair in flow.where],
        "to_itself": flow.to_itself,
        "publisher": {
            "role": flow.publisher.name,
            "rule": rule_document(flow.publishing),
            "devices": line.publishers,
        },
        "subscriber": {
            "role": flow.subscriber.name,
            "rule": rule_document(flow.subscribing),
            "devices": line.subscribers,
        },
    }


def _device_set(caller: Caller, body: Mapping[str, str]) -> DeviceSet:
    domain = devices.get_domain(id=caller.domain(body.get("domain")))
    via = next((kind for kind in _KINDS if kind in body), "domain")
    return devices.find_device_set(domain=domain, via=via, name=body.get(via, ""))
