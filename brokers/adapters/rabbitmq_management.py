"""RabbitMQ's management API."""

from __future__ import annotations

from brokers.adapters.json_api import JsonApi
from brokers.core.rabbitmq.connection import RabbitConnection

_RIGHTS = "Give its account the tag administrator, and permissions in the virtual host (docs/howto/rabbitmq.md)."


def management(connection: RabbitConnection) -> JsonApi:
    """The API; nobody is contacted yet."""
    return JsonApi(
        of="RabbitMQ",
        host=connection.host,
        port=connection.port,
        root="/api",
        rights=_RIGHTS,
        ca_pem=connection.ca_pem,
        username=connection.username,
        password=connection.password,
    )
