"""The forms of a broker's listeners: its profile, and the request for its certificate."""

from __future__ import annotations

from typing import Any

from django import forms

from brokers.core.listeners.cipher_suites import CipherSuite
from brokers.core.listeners.profile import LIMITS, ListenerProfile, Make, TlsVersion, makes_of, profile_document
from brokers.core.values import AdapterKind
from console.views.forms import ConsoleForm

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none", "class": "form-control mono"}
_NAMES = {
    Make.MOSQUITTO: "Mosquitto",
    Make.RABBITMQ: "RabbitMQ",
    Make.EMQX: "EMQX",
    Make.HIVEMQ: "HiveMQ",
    Make.VERNEMQ: "VerneMQ",
    Make.NANOMQ: "NanoMQ",
    Make.NATS: "NATS",
}
FLAGS = (
    "require_certificate", "username_from_certificate", "client_id_from_username", "allow_anonymous", "check_crl",
    "check_ocsp", "staple_ocsp", "proxy_protocol",
)  # fmt: skip
WHOLE_ROWS = ("folder", "cipher_suites", "proxies")


def _limit(name: str, label: str, help_text: str = "") -> forms.IntegerField:
    least, greatest = LIMITS[name]
    words = f"{help_text} {least:,} to {greatest:,}; empty for none of ours.".strip()
    return forms.IntegerField(
        label=label, min_value=least, max_value=greatest, required=False, help_text=words,
        error_messages=dict.fromkeys(("min_value", "max_value"), f"Give {least:,} to {greatest:,}, or leave it empty."),
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )  # fmt: skip


def _flag(label: str, help_text: str = "") -> forms.BooleanField:
    box = forms.CheckboxInput(attrs={"class": "box"})
    return forms.BooleanField(label=label, required=False, help_text=help_text, widget=box)


class ListenerForm(ConsoleForm):
    """Everything that a listener profile says."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    make = forms.ChoiceField(label="It is")
    minimum_tls = forms.ChoiceField(label="Oldest TLS", choices=[(each.value, each.value) for each in TlsVersion])
    folder = forms.CharField(
        label="Folder", max_length=200, widget=forms.TextInput(attrs=_PLAIN),
        help_text="Where the broker finds server.pem, server.key, client-ca.pem and crl.pem.",
    )  # fmt: skip
    require_certificate = _flag("Requires client certificates")
    username_from_certificate = _flag("Takes the name from the certificate")
    client_id_from_username = _flag("Takes the client id from the name")
    allow_anonymous = _flag("Lets in without a name")
    check_crl = _flag("Looks at CRLs")
    check_ocsp = _flag("Asks OCSP about clients")
    staple_ocsp = _flag("Staples an OCSP answer", "About its own certificate.")
    proxy_protocol = _flag("Takes the PROXY protocol")
    proxies = forms.CharField(
        label="Balancers", required=False, max_length=2_000, widget=forms.TextInput(attrs=_PLAIN),
        help_text="Networks that may speak it, such as 10.1.0.0/24, with spaces between.",
    )  # fmt: skip
    websocket_path = forms.CharField(label="Path of WebSocket", max_length=100, widget=forms.TextInput(attrs=_PLAIN))
    plain_port = _limit("plain_port", "Port without TLS")
    max_connections = _limit("max_connections", "Connections")
    connections_per_second = _limit("connections_per_second", "Connects in a second")
    messages_per_second = _limit("messages_per_second", "Messages in a second", "Of one client.")
    max_packet_size = _limit("max_packet_size", "Octets of a packet")
    max_client_id_length = _limit("max_client_id_length", "Octets of a client id")
    max_topic_length = _limit("max_topic_length", "Octets of a topic")
    max_topic_levels = _limit("max_topic_levels", "Levels of a topic")
    connect_timeout_seconds = _limit("connect_timeout_seconds", "Seconds until CONNECT")
    max_keep_alive_seconds = _limit("max_keep_alive_seconds", "Seconds of silence")
    cipher_suites = forms.MultipleChoiceField(
        label="Suites of TLS 1.2; none for the broker's own choice", required=False,
        choices=[(suite.value, suite.value) for suite in CipherSuite],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "box"}),
    )  # fmt: skip

    def __init__(self, *args: Any, kind: AdapterKind, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        makes: Any = self.fields["make"]
        makes.choices = [(make.value, _NAMES[make]) for make in makes_of(kind)]

    def document(self) -> dict[str, Any]:
        """The profile as a document."""
        given = {name: value for name, value in self.cleaned_data.items() if name != "version"}
        return given | {"proxies": given["proxies"].split()}


LABELS = {name: field.label for name, field in ListenerForm.base_fields.items()}
"""What the form calls each member."""


def initial_of(profile: ListenerProfile, *, version: int) -> dict[str, Any]:
    """What the form shows of a profile."""
    return profile_document(profile) | {"proxies": " ".join(profile.proxies), "version": version}


class ServerRequestForm(ConsoleForm):
    """A request that was made beside the broker."""

    csr = forms.CharField(
        label="Request (PKCS#10, PEM)", max_length=20_000,
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 4, "placeholder": "-----BEGIN CERTIFICATE REQUEST-----"}),
        help_text="Made beside the broker: the key stays there.",
    )  # fmt: skip
