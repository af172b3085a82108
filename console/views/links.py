"""Where a thing of the journal, or the holder of a certificate, has its page."""

from __future__ import annotations

from uuid import UUID

from django.urls import reverse

from kernel.core.journal import Subject


def subject_address(subject: Subject) -> str:
    """The page of what an entry is about; empty if it has none."""
    if subject.kind == "brokers.broker" and subject.label:
        return reverse("broker", args=[subject.label])
    names = {"devices.device": "device", "pki.certificate": "certificate", "acl.role": "role"}
    name = names.get(subject.kind)
    return reverse(name, args=[subject.id]) if name and _is_uuid(subject.id) else ""


def holder_address(holder: str) -> str:
    """The page of a certificate's holder, such as `device:<uuid>`; empty if it has none."""
    kind, _, id = holder.partition(":")
    return reverse("device", args=[id]) if kind == "device" and _is_uuid(id) else ""


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
