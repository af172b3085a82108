"""Policy for HiveMQ Enterprise with the Enterprise Security Extension, as its file realm `ese-file-realm.xml`.

Passwords stand in that file in clear text, so `render` writes none: who logs in with a certificate needs none, and an
adapter may put some in with `with_passwords`. Only the part about MQTT is ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from brokers.core.hivemq import file, policy
from brokers.core.hivemq.dialect import Dialect
from brokers.core.hivemq.emulator import CLIENT_ID
from brokers.core.hivemq.file import Reading
from brokers.core.hivemq.file_writing import Layout, write
from brokers.core.hivemq.permissions import Realm
from brokers.core.ports import Capabilities, Rendering, RenderSubject
from brokers.core.rendering import Deviations

CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    placeholders=frozenset({"client_id"}),
    qos_conditions=True,
    retain_conditions=True,
    version="4.54",
    limits=tuple((limit.kind, limit.why) for limit in policy.ESE_LIMITS),
    closes_by_client_id=True,
    policy_lag=timedelta(seconds=70),  # nobody says when it reads the file again: as file RBAC does, and some
)
_LAYOUT = Layout(
    root="ese-file-realm",
    head=(
        '<ese-file-realm xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="ese-file-realm.xsd" version="1">'
    ),
    section="mqtt",
    reference="role",
    personal=True,
)


def render(subjects: Iterable[RenderSubject], *, client_id_proved: bool = False) -> Rendering:
    """The file for these subjects, and what it can not express.

    `client_id_proved` as for the SQL realm: the pipeline takes the client id for the name of the account.
    """
    variable = CLIENT_ID if client_id_proved else ""
    deviations = Deviations()
    realm = policy.realm_of(subjects, Dialect(variable=variable, by_client_id=True), deviations)
    return Rendering(artifact=to_artifact(realm), deviations=deviations.all())


def to_artifact(realm: Realm) -> str:
    """The file: same realm, same octets."""
    return write(realm, _LAYOUT)


def parse(artifact: str) -> Realm:
    """What the file says. Raises InvalidXml, or InvalidRealmFile for anything in it that is not understood."""
    return file.parse(artifact, _LAYOUT)


def read(text: str) -> Reading:
    """What a file says as far as it is understood, with lines. Raises InvalidXml, InvalidRealmFile."""
    return file.read(text, _LAYOUT)
