"""HiveMQ Enterprise's REST API, as far as it ends sessions."""

from __future__ import annotations

from brokers.adapters.json_api import JsonApi
from brokers.core.api_path import path
from brokers.core.hivemq.connection import RestConnection

_RIGHTS = "Its role needs HIVEMQ_MQTT_CLIENTS_CLIENTID_GET and HIVEMQ_MQTT_CLIENTS_CLIENTID_DELETE."


def end_session(rest: RestConnection, client_id: str) -> int:
    """How many were connected: 1 or 0. The session of the client id ends, without its will."""
    where = path("mqtt", "clients", client_id)
    with JsonApi(
        of="HiveMQ's REST API",
        host=rest.host,
        port=rest.port,
        root="/api/v1",
        rights=_RIGHTS,
        ca_pem=rest.ca_pem,
        username=rest.username,
        password=rest.password,
    ) as broker:
        found = broker.ask("GET", where)
        broker.ask("DELETE", f"{where}?preventWillMessage=true")
    return int(bool(found and found["client"]["connected"]))
