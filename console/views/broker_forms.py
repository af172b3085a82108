"""The form of what a broker is registered with; its secrets go in and never come out."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from brokers.core.connection_changes import ShownConnection
from brokers.core.values import Broker, Listener, Transport
from brokers.services import BrokerChange
from console.views.forms import ConsoleForm
from kernel.core.errors import DomainError

_LISTENER = re.compile(rf"({'|'.join(Transport)})://\[?([^\s\[\]]+?)\]?:([0-9]{{1,5}})")
_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none", "class": "form-control mono"}
_MEMBER = "connection/"
_LABELS = {
    "api": "HTTP API",
    "api_key": "API key",
    "api_secret": "API secret",
    "ca_pem": "CA certificates (PEM)",
    "log": "Access logs",
    "rest": "REST API",
    "vhost": "Virtual host",
}
_FIRST = ("host", "port", "ca_pem")
_NOT_HERE = frozenset({"dialect"})


class BrokerForm(ConsoleForm):
    """Name, listeners, and a field for each member of the connection that there is."""

    tag = forms.CharField(widget=forms.HiddenInput)
    name = forms.CharField(
        label="Name", max_length=63, widget=forms.TextInput(attrs=_PLAIN),
        help_text="Links with the old name lead nowhere then; lines of the access log keep it.",
    )  # fmt: skip
    listeners = forms.CharField(
        label="Listeners", required=False, max_length=10_000, widget=forms.Textarea(attrs={**_PLAIN, "rows": 4}),
        help_text="Where devices reach it, one on a line, such as mqtts://mq.example:8883 or wss://mq.example:443.",
    )  # fmt: skip

    def __init__(self, *args: Any, broker: Broker, shown: ShownConnection, **kwargs: Any) -> None:
        lines = "\n".join(f"{each.transport}://{each.host}:{each.port}" for each in broker.listeners)
        cas = {name.removesuffix("host") + "ca_pem": "" for name in shown.members if name.endswith("host")}
        members = {**cas, **shown.members}
        self._members = {name: members[name] for name in sorted(members, key=_order) if name not in _NOT_HERE}
        first = {_MEMBER + name: value for name, value in self._members.items()}
        first |= {"tag": broker.tag, "name": broker.name, "listeners": lines}
        super().__init__(*args, initial=first, **kwargs)
        self._secrets = shown.secrets
        for name in sorted([*self._members, *self._secrets], key=_order):
            secret = name in self._secrets
            self.fields[_MEMBER + name] = _secret(name) if secret else _field(name, self._members[name])

    def clean_listeners(self) -> list[Listener]:
        """The listeners of the lines."""
        found = []
        for number, line in enumerate(self.cleaned_data["listeners"].split("\n"), 1):
            if not line.strip():
                continue
            spelled = _LISTENER.fullmatch(line.strip())
            if spelled is None:
                raise forms.ValidationError(f"Line {number} is none: write mqtts://host:port or wss://host:port.")
            found.append(Listener(host=spelled[2], port=int(spelled[3]), transport=Transport(spelled[1])))
        return found

    def change(self) -> BrokerChange:
        """What is to be otherwise: members that were written over, and secrets that were given."""
        given: dict[str, Any] = {}
        for name, before in self._members.items():
            value = self.cleaned_data[_MEMBER + name]
            if isinstance(value, str):
                value = "\n".join(value.splitlines())
            if value in {None, ""}:
                value = None
            if value != (_trimmed(before) or None):
                _put(given, name, value)
        for name in self._secrets:
            if secret := self.cleaned_data[_MEMBER + name]:
                _put(given, name, secret)
        return BrokerChange(
            name=self.cleaned_data["name"], listeners=self.cleaned_data["listeners"], connection=given or None
        )

    def add_fault(self, error: DomainError) -> None:
        """Puts what a service refused beside the member that it names."""
        beside = [(fault.pointer.strip("/"), fault.detail) for fault in error.errors]
        if not beside or any(name not in self.fields for name, _ in beside):
            super().add_fault(error)
            return
        for name, detail in beside:
            self.add_error(name, detail)


def _order(name: str) -> tuple[str, int]:
    """Part by part, where it is before who we are there."""
    part, _, leaf = name.rpartition("/")
    return part, _FIRST.index(leaf) if leaf in _FIRST else len(_FIRST)


def _field(name: str, value: object) -> forms.Field:
    label, leaf = _label(name), name.rpartition("/")[2]
    if isinstance(value, int):
        return forms.IntegerField(label=label, widget=forms.NumberInput(attrs=_PLAIN))
    optional = leaf == "ca_pem"
    shape = forms.Textarea(attrs={**_PLAIN, "rows": 4}) if optional else forms.TextInput(attrs=_PLAIN)
    hint = "Without it there is no TLS, which is for this machine alone." if optional else ""
    return forms.CharField(label=label, required=not optional, max_length=200_000, widget=shape, help_text=hint)


def _secret(name: str) -> forms.Field:
    shape = forms.PasswordInput(attrs={**_PLAIN, "autocomplete": "new-password"})
    hint = "Left empty, it stays; it has to be given again where host, port or CA changes."
    return forms.CharField(
        label=_label(name), required=False, strip=False, max_length=1_024, widget=shape, help_text=hint
    )


def _label(name: str) -> str:
    *part, leaf = (_LABELS.get(each, each.replace("_", " ").capitalize()) for each in name.split("/"))
    return ": ".join([*part, leaf])


def _trimmed(value: object) -> object:
    """A text as a browser sends it back."""
    return "\n".join(value.strip().splitlines()) if isinstance(value, str) else value


def _put(given: dict[str, Any], name: str, value: object) -> None:
    part, _, leaf = name.rpartition("/")
    inner: Any = given.setdefault(part, {}) if part else given
    inner[leaf] = value
