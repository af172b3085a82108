"""HiveMQ Enterprise's REST API, as far as it ends sessions."""

from __future__ import annotations

from functools import partial

from brokers.adapters.json_api import JsonApi
from brokers.adapters.session_ends import SessionEnds
from brokers.core.api_path import has_path, path
from brokers.core.hivemq.connection import RestConnection

_RIGHTS = "Its role needs HIVEMQ_MQTT_CLIENTS_CLIENTID_GET and HIVEMQ_MQTT_CLIENTS_CLIENTID_DELETE."


def session_ends(rest: RestConnection | None) -> SessionEnds | None:
    """What ends the sessions of a batch; None without the API."""
    return None if rest is None else SessionEnds(partial(_end_session, rest))


def close(rest: RestConnection | None, client_id: str) -> int | None:
    """How many were connected; None if nobody can end the session. Raises SessionNotClosed."""
    ends = session_ends(rest)
    return None if ends is None or not has_path(client_id) else ends.end(client_id)


def _end_session(rest: RestConnection, client_id: str) -> int:
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
