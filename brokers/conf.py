"""The settings of brokers, read through `django.conf`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils.module_loading import import_string

from brokers.core.peers import Network
from brokers.core.ports import AdapterKind, BrokerAdapter
from brokers.core.values import BrokerId, BrokerLink


def adapter_class(kind: AdapterKind) -> type[BrokerAdapter]:
    """The class behind an adapter's name: `GATEHOUSE_ADAPTERS` names the registry, `console/wiring.py` has it."""
    registry: Mapping[str, str] = import_string(settings.GATEHOUSE_ADAPTERS)
    found: type[BrokerAdapter] = import_string(registry[kind.value])
    return found


def adapter_for(link: BrokerLink) -> BrokerAdapter:
    """The adapter of a broker; nobody is contacted yet."""
    return adapter_class(link.broker.kind)(link=link)


def files_root() -> Path:
    """The folder that holds one folder for each broker whose files we write."""
    return Path(settings.GATEHOUSE_HOME) / "brokers"


def embedded_folder() -> Path:
    """The folder of the broker that `manage.py run` brings along."""
    return Path(settings.GATEHOUSE_HOME) / "embedded"


def decisions_url(broker: BrokerId) -> str:
    """What the URLs begin with at which the broker asks over HTTP; without a slash at the end."""
    return f"{settings.GATEHOUSE_BASE_URL}/decide/{broker}"


def access_log_root() -> Path:
    """The folder that holds, for each domain, the daily files of the access log."""
    return Path(settings.GATEHOUSE_HOME) / "access-log"


def access_log_days() -> int:
    """How long lines of the access log are kept in the database."""
    return int(settings.GATEHOUSE_ACCESS_LOG_DAYS)


def access_file_days() -> int:
    """How long the daily files of the access log are kept."""
    return int(settings.GATEHOUSE_ACCESS_FILE_DAYS)


def broker_networks() -> Sequence[Network]:
    """Where brokers may be although there is never one otherwise."""
    found: Sequence[Network] = settings.GATEHOUSE_BROKER_NETWORKS
    return found


def token_life() -> timedelta:
    """For how long an access token is good at most."""
    return timedelta(seconds=settings.GATEHOUSE_TOKEN_SECONDS)
