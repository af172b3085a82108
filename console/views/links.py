"""Where a thing of the journal, or the holder of a certificate, has its page."""

from __future__ import annotations

import contextlib
from uuid import UUID

from django.urls import reverse

from devices.core.values import Device, principal_held
from devices.queries import get_principal
from kernel.core.errors import NotFound
from kernel.core.journal import Subject


def subject_address(subject: Subject) -> str:
    """The page of what an entry is about; empty if it has none."""
    if subject.kind == "brokers.broker" and subject.label:
        return reverse("broker", args=[subject.label])
    if subject.kind == "pki.issuer" and subject.label:
        return reverse("issuer", args=[subject.label])
    if subject.kind == "pki.profile":
        return reverse("profile", args=[subject.id])
    names = {
        "devices.device": "device",
        "devices.group": "group",
        "devices.application": "application",
        "pki.certificate": "certificate",
        "acl.role": "role",
        "devices.policy_change": "change",
        "devices.rollout": "rollout",
    }
    name = names.get(subject.kind)
    return reverse(name, args=[subject.id]) if name and _is_uuid(subject.id) else ""


def holder_address(holder: str) -> str:
    """The page of a certificate's holder, such as `device:<uuid>`; empty if it has none."""
    kind, _, id = holder.partition(":")
    return reverse(kind, args=[id]) if principal_held(holder) else ""


def principal_address(principal: Device) -> str:
    """The page of a device or application."""
    return reverse(principal.kind.value, args=[principal.id])


def holder_label(holder: str) -> str:
    """The holder for people: a device or application by its name, others as they are."""
    if principal := principal_held(holder):
        with contextlib.suppress(NotFound):
            found = get_principal(id=principal)
            return f"{found.kind} {found.name}"
    return holder.replace(":", " ")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
