"""Operations, journal entries and applications as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from console.core.roles import EVERY_SCOPE
from console.models import Application
from kernel.api.documents import StrictDocument
from kernel.core.clock import to_rfc3339
from kernel.core.journal import Entry, StepState
from kernel.queries import Operation


class OperationStepDocument(serializers.Serializer[Any]):
    """One consequence of an operation."""

    target = serializers.CharField(help_text="`ocsp`, `crl:<issuer>` or `broker:<name>`, among others.")
    state = serializers.ChoiceField(choices=["pending", "queued", "running", "done", "failed"])
    finished_at = serializers.DateTimeField(allow_null=True)
    elapsed_ms = serializers.IntegerField(allow_null=True, help_text="Since the operation began.")
    detail = serializers.CharField(allow_blank=True)


class OperationStateDocument(serializers.Serializer[Any]):
    """A change and how far its consequences have come."""

    id = serializers.UUIDField()
    action = serializers.CharField()
    state = serializers.ChoiceField(choices=["pending", "queued", "running", "done", "failed"])
    started_at = serializers.DateTimeField()
    steps = OperationStepDocument(many=True)


class ActorDocument(serializers.Serializer[Any]):
    """Who acted."""

    kind = serializers.CharField()
    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field of the document, not DRF's label
    address = serializers.CharField(allow_blank=True)


class SubjectDocument(serializers.Serializer[Any]):
    """What an entry is about."""

    kind = serializers.CharField()
    id = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # a field of the document, not DRF's label


class EntryDocument(serializers.Serializer[Any]):
    """One entry of the journal."""

    id = serializers.UUIDField()
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = ActorDocument()
    action = serializers.CharField()
    subject = SubjectDocument()
    before = serializers.DictField()
    after = serializers.DictField()
    note = serializers.CharField(allow_blank=True)
    digest = serializers.CharField(help_text="SHA-256 in hexadecimal; the next entry's digest covers it.")


class JournalDocument(serializers.Serializer[Any]):
    """A page of the journal, newest first."""

    results = EntryDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class NewApplicationDocument(StrictDocument):
    """An application to be made."""

    name = serializers.CharField(max_length=255)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=sorted(EVERY_SCOPE)), min_length=1)
    domains = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, help_text="Slugs; the caller's own if absent."
    )


class ApplicationDocument(serializers.Serializer[Any]):
    """An application."""

    client_id = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="When it last asked for a token.")


class CreatedApplicationDocument(serializers.Serializer[Any]):
    """A fresh application; the secret is shown this once."""

    id = serializers.CharField()
    client_id = serializers.CharField()
    client_secret = serializers.CharField()


class ApplicationListDocument(serializers.Serializer[Any]):
    """A page of applications."""

    results = ApplicationDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


def operation_document(operation: Operation) -> dict[str, Any]:
    """The operation as JSON."""
    return {
        "id": str(operation.id),
        "action": operation.action,
        "state": operation.state.value,
        "started_at": to_rfc3339(operation.started_at),
        "steps": [
            {
                "target": step.target,
                "state": StepState(step.state).value,
                "finished_at": to_rfc3339(step.finished_at) if step.finished_at else None,
                "elapsed_ms": step.elapsed_ms,
                "detail": step.detail,
            }
            for step in operation.steps
        ],
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """The entry as JSON."""
    actor, subject = entry.actor, entry.subject
    return {
        "id": str(entry.id),
        "seq": entry.seq,
        "at": to_rfc3339(entry.at),
        "actor": {"kind": actor.kind.value, "id": actor.id, "label": actor.label, "address": actor.address},
        "action": entry.action,
        "subject": {"kind": subject.kind, "id": subject.id, "label": subject.label},
        "before": dict(entry.before),
        "after": dict(entry.after),
        "note": entry.note,
        "digest": entry.digest.hex(),
    }


def application_document(application: Application) -> dict[str, Any]:
    """The application as JSON, without its secret."""
    return {
        "client_id": application.client_id,
        "name": application.name,
        "scopes": sorted(application.scope_set),
        "created_at": to_rfc3339(application.created),
        "last_used_at": to_rfc3339(application.last_used_at) if application.last_used_at else None,
    }
