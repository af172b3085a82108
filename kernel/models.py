"""Tables of the journal and of the wake-ups that follow from it."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q

from kernel.core.actor import Actor, ActorKind
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import LABEL_CHARACTERS, Entry, Queue, StepState, Subject


class JournalHead(models.Model):
    """The end of the chain: one row, locked by each writer, so that entries stand in the order of their commits."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    digest = models.BinaryField()
    seal = models.BinaryField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="kernel_one_head")]


class JournalEntry(models.Model):
    """One entry; never updated, never deleted."""

    seq = models.BigIntegerField(primary_key=True)
    id = models.UUIDField(unique=True)
    at = models.DateTimeField(db_index=True)
    domain_id = models.UUIDField(null=True)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=128)
    actor_label = models.CharField(max_length=LABEL_CHARACTERS)
    actor_address = models.CharField(max_length=45, blank=True)
    action = models.CharField(max_length=64)
    subject_kind = models.CharField(max_length=32)
    subject_id = models.CharField(max_length=128)
    subject_label = models.CharField(max_length=LABEL_CHARACTERS, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    note = models.TextField(blank=True)
    previous = models.BinaryField()
    digest = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["subject_kind", "subject_id", "-seq"], name="kernel_entry_subject"),
            models.Index(fields=["domain_id", "-seq"], name="kernel_entry_domain"),
        ]

    def as_value(self) -> Entry:
        """The row as a value."""
        return Entry(
            seq=self.seq,
            id=EntryId(self.id),
            at=self.at,
            domain=DomainId(self.domain_id) if self.domain_id else None,
            actor=Actor(
                kind=ActorKind(self.actor_kind), id=self.actor_id, label=self.actor_label, address=self.actor_address
            ),
            action=self.action,
            subject=Subject(kind=self.subject_kind, id=self.subject_id, label=self.subject_label),
            before=self.before,
            after=self.after,
            note=self.note,
            previous=bytes(self.previous),
            digest=bytes(self.digest),
        )


class WakeupQuerySet(models.QuerySet["Wakeup"]):
    def open(self) -> Self:
        """Those that are not finished."""
        return self.filter(finished_at=None)

    def claimable(self, *, now: datetime) -> Self:
        """Pending ones that neither a wish nor another one holds back, and running ones whose lease has run out.

        Of an order key no two run at once, and each waits for those before it; but one that ended in a fault, and is
        to be tried again, is waited for by none.
        """
        of_key = Wakeup.objects.open().filter(order_key=OuterRef("order_key"))
        running = of_key.filter(state=StepState.RUNNING)
        earlier = of_key.filter(state=StepState.PENDING, faults=0, id__lt=OuterRef("id"))
        unheld = Q(held_until=None) | Q(held_until__lte=now)
        its_turn = Q(order_key="") | ~Exists(running) & ~Exists(earlier)
        lapsed = Q(state=StepState.RUNNING, lease_until__lte=now)
        return self.open().filter(Q(state=StepState.PENDING) & unheld & its_turn | lapsed)

    def due(self, *, now: datetime) -> Self:
        """Claimable ones whose time to be sent (again) has come, oldest first."""
        return self.claimable(now=now).filter(wake_at__lte=now).order_by("wake_at", "id")


class Wakeup(models.Model):
    """A consequence of an entry that has to happen: the row is the truth, the Celery message only a hint."""

    entry = models.ForeignKey(JournalEntry, on_delete=models.PROTECT, related_name="wakeups")
    task = models.CharField(max_length=64)
    target = models.CharField(max_length=128)
    queue = models.CharField(max_length=16, choices=[(q.value, q.value) for q in Queue])
    order_key = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=8, default=StepState.PENDING)
    wake_at = models.DateTimeField(help_text="When its message is sent (again).")
    held_until = models.DateTimeField(null=True, help_text="Not to be run before.")
    lease_until = models.DateTimeField(null=True)
    lease = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    faults = models.PositiveIntegerField(default=0, help_text="Attempts that ended in an error or with their worker.")
    sends = models.PositiveIntegerField(default=0, help_text="Messages sent again since it was last run.")
    detail = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = WakeupQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", "task", "target"], name="kernel_wakeup_once"),
            models.CheckConstraint(
                condition=Q(state__in=[StepState.DONE, StepState.FAILED]) ^ Q(finished_at=None),
                name="kernel_wakeup_finished_at",
            ),
            models.UniqueConstraint(
                fields=["order_key"],
                condition=Q(state=StepState.RUNNING) & ~Q(order_key=""),
                name="kernel_wakeup_one_of_a_key_runs",
            ),
        ]
        indexes = [
            models.Index(
                fields=["order_key", "state", "faults", "id"],
                name="kernel_wakeup_order",
                condition=Q(finished_at=None),
            ),
            models.Index(fields=["wake_at"], name="kernel_wakeup_due", condition=Q(finished_at=None)),
        ]
