"""What a broker does with a will that may not be published is told, lest a device is waited for that never says it."""

from __future__ import annotations

import pytest

from brokers.conf import adapter_class
from brokers.core.ports import DeviationKind
from brokers.core.values import AdapterKind

# Where Gatehouse answers each question the broker's make is not known.
_REFUSES_CONNECT = {AdapterKind.VERNEMQ_POSTGRESQL, AdapterKind.HIVEMQ_ESE_SQL, AdapterKind.HIVEMQ_ESE_FILE}
_REFUSES_CONNECT |= {AdapterKind.HIVEMQ_CE_FILE}
_UNKNOWN = {AdapterKind.NANOMQ, AdapterKind.HTTP_DECISIONS}


@pytest.mark.parametrize("kind", sorted(set(AdapterKind) - _UNKNOWN))
def test_what_becomes_of_a_forbidden_will_is_told(kind: AdapterKind) -> None:
    told = {limit for limit, why in adapter_class(kind).capabilities.limits if " will" in why and "refused" in why}
    assert told == {DeviationKind.NARROWER if kind in _REFUSES_CONNECT else DeviationKind.SIGNALLING}
