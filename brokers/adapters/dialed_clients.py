"""Clients of MQTT and Redis that connect to the very addresses that were looked at, each time they connect.

A name may lead elsewhere when it is asked again, and whoever owns it says where.
"""

from __future__ import annotations

import socket

from paho.mqtt.client import Client
from redis.connection import Connection, SSLConnection

from brokers.adapters.dialing import dial


class DialedMqtt(Client):
    """paho's. Connecting raises NeverABroker as well."""

    def _create_socket_connection(self) -> socket.socket:
        return dial(self._host, self._port, timeout=self._connect_timeout)


class DialedRedis(Connection):
    """redis-py's connection. Connecting raises NeverABroker as well."""

    def _connect(self) -> socket.socket:
        made = dial(self.host, self.port, timeout=float(self.socket_connect_timeout or 0))
        made.settimeout(self.socket_timeout)
        return made


class DialedRedisTls(SSLConnection, DialedRedis):
    """The same with TLS: `SSLConnection` connects as what stands behind it does."""
