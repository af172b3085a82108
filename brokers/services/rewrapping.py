"""Bringing brokers' connections under the present master key."""

from __future__ import annotations

from brokers import models, queries
from kernel.services.rewrap_envelopes import Rewrapped, rewrap_envelopes


def rewrap_connections() -> Rewrapped:
    """What became of them: each is under the present master key. Not to be called in a transaction."""
    return rewrap_envelopes(
        place="connections of brokers",
        rows=models.Broker.objects.all(),
        column="connection",
        purpose=queries.CONNECTION_PURPOSE,
        context=lambda row: str(row.id),
    )
