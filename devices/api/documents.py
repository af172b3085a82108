"""The fleet as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from acl.core.evaluation import EffectiveRule, effective
from devices.conf import broker_directory
from devices.core.values import Device
from devices.queries import credentials_of, subject_of
from devices.services import Enrolment
from kernel.core.clock import to_rfc3339, utc_now
from pki import queries as pki

RENEW_AFTER = 2 / 3


class OperationDocument(serializers.Serializer[Any]):
    """The operation to watch at /api/v1/operations/<id>/."""

    operation = serializers.UUIDField()


class DeviceDocument(serializers.Serializer[Any]):
    """A device."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    name = serializers.CharField()
    auth_id = serializers.CharField()
    client_id = serializers.CharField()
    state = serializers.CharField()
    device_type = serializers.CharField()
    groups = serializers.ListField(child=serializers.CharField())
    hardware_serial = serializers.CharField()
    attributes = serializers.JSONField()
    created_at = serializers.DateTimeField()
    enrolled_at = serializers.DateTimeField(allow_null=True)


class PermissionDocument(serializers.Serializer[Any]):
    """One rule as it is for one device."""

    effect = serializers.CharField()
    actions = serializers.ListField(child=serializers.CharField())
    topic = serializers.CharField()


def device_document(device: Device) -> dict[str, Any]:
    """The device as JSON."""
    return {
        "id": str(device.id),
        "domain": device.domain_slug,
        "name": device.name,
        "auth_id": device.auth_id,
        "client_id": device.client_id,
        "state": device.state.value,
        "device_type": device.device_type,
        "groups": list(device.groups),
        "hardware_serial": device.hardware_serial,
        "attributes": dict(device.attributes),
        "created_at": to_rfc3339(device.created_at),
        "enrolled_at": to_rfc3339(device.enrolled_at) if device.enrolled_at else None,
    }


def application_document(application: Device) -> dict[str, Any]:
    """The application as JSON."""
    return {
        "id": str(application.id),
        "domain": application.domain_slug,
        "name": application.name,
        "auth_id": application.auth_id,
        "client_id": application.client_id,
        "state": application.state.value,
        "groups": list(application.groups),
        "created_at": to_rfc3339(application.created_at),
        "certified_at": to_rfc3339(application.enrolled_at) if application.enrolled_at else None,
    }


def credential_documents(device: Device) -> list[dict[str, Any]]:
    """The credentials of the device or application, the newest first."""
    found = credentials_of(device=device.id)
    certificates = pki.certificates_by_id(ids=[each.certificate for each in found])
    return [
        {
            "id": str(each.id),
            "state": each.state.value,
            "serial_number": certificates[each.certificate].serial_hex,
            "issuer": certificates[each.certificate].issuer_slug,
            "not_before": to_rfc3339(each.not_before),
            "not_after": to_rfc3339(each.not_after),
        }
        for each in found
    ]


def permission_documents(device: Device) -> list[dict[str, Any]]:
    """The rules in force for the device, substituted; void ones are left out."""
    subject = subject_of(device=device.id, now=utc_now())
    rules = effective(subject.policy, subject.principal)
    return [permission_document(rule) for rule in rules if rule.filter is not None]


def permission_document(rule: EffectiveRule) -> dict[str, Any]:
    """The rule, substituted; it is not void."""
    effect, actions = rule.bound.rule.effect, rule.bound.rule.actions
    return {"effect": effect.value, "actions": sorted(action.value for action in actions), "topic": rule.filter}


def enrolment_document(enrolment: Enrolment) -> dict[str, Any]:
    """What a device or application gets: its certificate, whom to trust, where to connect, what it may do there."""
    device, certificate = enrolment.device, enrolment.certificate
    life = certificate.not_after - certificate.not_before
    return {
        device.kind.value: str(device.id),
        "auth_id": device.auth_id,
        "client_id": device.client_id,
        "certificate": certificate.pem,
        "chain": certificate.chain_pem,
        "trust_bundle": enrolment.trust_bundle,
        "not_after": to_rfc3339(certificate.not_after),
        "renew_after": to_rfc3339((certificate.not_before + life * RENEW_AFTER).replace(microsecond=0)),
        "brokers": [
            {
                "name": endpoint.name,
                "host": endpoint.host,
                "port": endpoint.port,
                "transport": endpoint.transport,
                "protocol_versions": list(endpoint.protocol_versions),
            }
            for endpoint in broker_directory().endpoints(device.domain)
        ],
        "permissions": permission_documents(device),
    }
