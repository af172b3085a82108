"""What /api/v1/devices/ and /api/v1/broker-applications/ have in common: their lists, and the acts on one of either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from devices import queries, services
from devices.core.values import Device, DeviceId, DeviceState, PrincipalKind
from devices.queries import DeviceFilter
from kernel.api.documents import NoteDocument, StrictDocument, body_of, caller_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.errors import Invalid
from kernel.core.ids import EntryId
from kernel.core.pages import limit_of, page
from pki.core.values import ReasonCode

StateChange = Callable[..., EntryId]


class RevokeDocument(StrictDocument):
    """Why the device or application is thrown out: a reason of RFC 5280 5.3.1."""

    reason = serializers.ChoiceField(
        choices=[each.value for each in ReasonCode if each.number not in {6, 8}], default=ReasonCode.UNSPECIFIED.value
    )
    note = serializers.CharField(max_length=2_000, allow_blank=True, default="")


class CredentialDocument(serializers.Serializer[Any]):
    """A certificate that proves a device or application."""

    id = serializers.UUIDField()
    state = serializers.CharField()
    serial_number = serializers.CharField()
    issuer = serializers.CharField()
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()


def page_of(request: Request, kind: PrincipalKind, document: Callable[[Device], dict[str, Any]]) -> Response:
    """The page by name that is asked for, each as its `document`. Raises Invalid, WrongCursor."""
    caller, asked = caller_of(request), request.query_params
    wanted = asked.get("domain")
    which: dict[str, Any] = {
        "domains": [caller.domain(wanted)] if wanted else list(caller.domain_ids),
        "kind": kind,
        "narrowed": _filter(asked),
    }
    found = queries.list_devices(
        after=cursor.decode_named(asked.get("cursor"), DeviceId), limit=limit_of(asked), **which
    )
    following = found.next_key
    return Response(
        page(
            list(map(document, found.devices)),
            next_cursor=cursor.encode(following) if following else None,
            approximate_count=queries.count_devices(**which),
        )
    )


def change_state(request: Request, device: Device, change: StateChange) -> Response:
    """The operation by which the change, such as suspend_device, is carried out."""
    note = body_of(NoteDocument, request)["note"]
    return _accepted(change(device=device.id, actor=caller_of(request).actor, now=utc_now(), note=note))


def revoke(request: Request, device: Device) -> Response:
    """The operation that throws the device or application out for good."""
    body = body_of(RevokeDocument, request)
    operation = services.revoke_device(
        device=device.id,
        reason=ReasonCode(body["reason"]),
        note=body["note"],
        actor=caller_of(request).actor,
        now=utc_now(),
    )
    return _accepted(operation)


def _accepted(operation: EntryId) -> Response:
    return Response({"operation": str(operation)}, status=202)


def _filter(asked: Any) -> DeviceFilter:
    """What a list is narrowed to by the query of an address. Raises Invalid."""
    attributes = {name.removeprefix("attr."): value for name, value in asked.items() if name.startswith("attr.")}
    state = asked.get("state", "")
    if state and state not in set(DeviceState):
        raise Invalid(f"There is no state {state!r}: the states are {', '.join(DeviceState)}.")
    return DeviceFilter(
        state=state,
        device_type=asked.get("device_type", ""),
        group=asked.get("group", ""),
        name=asked.get("name") or asked.get("q", ""),
        attributes=attributes,
    )
