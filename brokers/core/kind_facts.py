"""What each kind of broker can do, in words: what the console shows, and docs/reference/brokers.md tells.

How it differs from a policy, rule by rule, is an adapter's `capabilities` and its rendering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brokers.core.values import AdapterKind


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFacts:
    """How a kind is spoken to, what the tests run, and what becomes of who is thrown out.

    `presence` says whether it tells who is connected, `crl` where it has its CRLs from, `version` whether it tells its
    version, and what becomes of one that is not fit.
    """

    how: str
    tested: str
    ends: str
    presence: str
    crl: str
    version: str


FACTS: Mapping[AdapterKind, KindFacts] = {
    AdapterKind.MOSQUITTO_DYNSEC: KindFacts(
        how="dynamic security plugin over MQTT",
        tested="real, 2.0.11",
        ends="closed at once; barred by a role that denies all",
        presence="told",
        crl="file and SIGHUP",
        version="told; before 2.0 there is no plugin",
    ),
    AdapterKind.MOSQUITTO_FILES: KindFacts(
        how="ACL file and SIGHUP",
        tested="real, 2.0.11",
        ends="may nothing at once; stays connected",
        presence="not told",
        crl="file and SIGHUP",
        version="not told",
    ),
    AdapterKind.GOAUTH_POSTGRESQL: KindFacts(
        how="the rows that mosquitto-go-auth reads",
        tested="contract; tables real",
        ends="may nothing when asked next; stays connected",
        presence="not told",
        crl="its own",
        version="not told",
    ),
    AdapterKind.GOAUTH_REDIS: KindFacts(
        how="the keys that mosquitto-go-auth reads",
        tested="contract; Redis real",
        ends="may nothing when asked next; stays connected",
        presence="not told",
        crl="its own",
        version="not told",
    ),
    AdapterKind.NATS: KindFacts(
        how="auth callout; nothing is stored",
        tested="real, 2.15",
        ends="closed; asked again at each CONNECT",
        presence="listed and told",
        crl="judged by Gatehouse",
        version="told; refused if it leaks",
    ),
    AdapterKind.NATS_FILES: KindFacts(
        how="users in a file that the server includes, and a reload",
        tested="real, 2.15",
        ends="closed at once; no user any more",
        presence="listed and told",
        crl="none; OCSP",
        version="told; refused if it leaks",
    ),
    AdapterKind.NANOMQ: KindFacts(
        how="ACL file, and a restart by its HTTP API",
        tested="contract, 0.23.8",
        ends="may nothing after the restart, which closes everybody",
        presence="told by webhook",
        crl="none",
        version="told; before 0.23.8 refused",
    ),
    AdapterKind.RABBITMQ: KindFacts(
        how="management API",
        tested="real, 3.10.8",
        ends="closed; the account may not log in",
        presence="told, with rabbitmq_event_exchange",
        crl="its own folder",
        version="told; before 3.10 refused",
    ),
    AdapterKind.HIVEMQ_ESE_SQL: KindFacts(
        how="SQL realm in PostgreSQL or MySQL, REST API",
        tested="contract; tables real",
        ends="closed through the REST API by its own client id alone; without it when it leaves",
        presence="not told; logins from log files",
        crl="its own configuration",
        version="not told",
    ),
    AdapterKind.VERNEMQ_POSTGRESQL: KindFacts(
        how="rows of vmq_diversity in PostgreSQL, HTTP API",
        tested="contract; table real",
        ends="closed through the HTTP API; without it when it leaves",
        presence="told by webhook",
        crl="its own file",
        version="not asked",
    ),
    AdapterKind.HIVEMQ_ESE_FILE: KindFacts(
        how="file realm of the extension, REST API",
        tested="contract",
        ends=(
            "closed through the REST API by its own client id alone, and again 70 s later, "
            "since it may come back until the file is read"
        ),
        presence="not told; logins from log files",
        crl="its own configuration",
        version="not told",
    ),
    AdapterKind.HIVEMQ_CE_FILE: KindFacts(
        how="file RBAC of the Community Edition",
        tested="contract",
        ends="refused at the next connect, once the file is read",
        presence="not told",
        crl="none",
        version="not told",
    ),
    AdapterKind.EMQX: KindFacts(
        how="management API",
        tested="contract, 5.8.9 and 6.2.1",
        ends="closed, and banned",
        presence="listed; told by webhook",
        crl="fetched from where certificates say",
        version="told; before 5.8 refused",
    ),
    AdapterKind.HTTP_DECISIONS: KindFacts(
        how="asks Gatehouse (HTTP decisions)",
        tested="RabbitMQ real, others contract",
        ends="refused at the next question",
        presence="as far as it asks",
        crl="its own",
        version="not told",
    ),
}
