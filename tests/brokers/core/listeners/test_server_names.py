"""The names of a broker's own certificate: those of its listeners."""

from __future__ import annotations

import pytest

from brokers.core.listeners.server_names import NoListeners, NotItsName, check_asked, names_of
from brokers.core.values import Listener
from pki.core.filling import AskedNames

LISTENERS = [
    Listener(host="MQ.example", port=8883),
    Listener(host="192.0.2.7", port=8883),
    Listener(host="mq.example", port=8084),
    Listener(host="2001:db8::7", port=8883),
]


def test_each_host_is_a_name_once() -> None:
    names = names_of(LISTENERS)

    assert (names.dns, names.ip, names.first) == (("mq.example",), ("192.0.2.7", "2001:db8::7"), "mq.example")


def test_broker_without_listeners_has_no_names() -> None:
    with pytest.raises(NoListeners):
        names_of([])


@pytest.mark.parametrize(
    "asked",
    [
        AskedNames(),
        AskedNames(dns=("Mq.Example",)),
        AskedNames(dns=("mq.example",), ip=("192.0.2.7", "2001:0db8:0:0:0:0:0:7")),
    ],
)
def test_request_for_its_own_names_is_taken(asked: AskedNames) -> None:
    check_asked(asked, names_of(LISTENERS))


@pytest.mark.parametrize(
    "asked",
    [
        AskedNames(dns=("bank.example",)),
        AskedNames(dns=("mq.example", "*.example")),
        AskedNames(dns=("mq.example.",)),
        AskedNames(ip=("192.0.2.8",)),
        AskedNames(email=("mq.example",), dns=("a@mq.example",)),
        AskedNames(uri=("https://mq.example/",)),
    ],
)
def test_request_for_anothers_name_is_refused_with_what_to_do(asked: AskedNames) -> None:
    with pytest.raises(NotItsName, match=r"ask for mq\.example, 192\.0\.2\.7, 2001:db8::7"):
        check_asked(asked, names_of(LISTENERS))
