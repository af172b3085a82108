"""The settings that the fleet reads."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from devices.core.ports import BrokerDirectory, PolicyApprovers


def broker_directory() -> BrokerDirectory:
    """Who knows the brokers of a domain: `GATEHOUSE_BROKER_DIRECTORY` names it, `console/wiring.py` has it."""
    found: BrokerDirectory = import_string(settings.GATEHOUSE_BROKER_DIRECTORY)
    return found


def policy_approvers() -> PolicyApprovers:
    """Who knows the operators: `GATEHOUSE_POLICY_APPROVERS` names it, `console/wiring.py` has it."""
    found: PolicyApprovers = import_string(settings.GATEHOUSE_POLICY_APPROVERS)
    return found


def client_cert_header() -> str:
    """The header in which a trusted proxy hands over the certificate that a client showed (RFC 9440)."""
    name: str = settings.GATEHOUSE_CLIENT_CERT_HEADER
    return name


def base_url() -> str:
    """How the world reaches us; without a slash at its end."""
    url: str = settings.GATEHOUSE_BASE_URL
    return url
