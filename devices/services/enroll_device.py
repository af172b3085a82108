"""Enrolment: a token and a request become a device with a certificate, or nothing at all.

The wish is written down before anything is signed; the same key under the same profile is the same wish, so that a
retry, also after a crash, gets the same answer and spends no second use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError

from devices.core.names import check_name
from devices.core.values import EnrolmentRequestId
from devices.models import EnrolmentRequest, EnrolmentToken
from devices.services.enrolment_tokens import check_usable, open_token
from devices.services.grant_request import answer
from devices.services.issue_credential import Enrolment
from devices.services.write_request import KeyInUse, Wish, write_request
from kernel.core.errors import DomainError, FieldError, Invalid
from pki.core.csr import CsrFacts, inspect_csr

__all__ = ["Enrolment", "Pending", "enroll_device"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The wish waits for an operator."""

    request: EnrolmentRequestId


def enroll_device(
    *,
    token: str,
    csr: str,
    name: str | None,
    hardware_serial: str = "",
    attributes: Mapping[str, Any] | None = None,
    address: str,
    now: datetime,
) -> Enrolment | Pending:
    """What became of the wish. Not to be called in a transaction; nothing is left behind where it raises.

    Raises TokenRefused, TokenExpired, TokenSpent, WrongNetwork; MalformedCsr, BadCsrSignature, WeakKey, KeyInUse;
    BadName, BadAttributes, NameTaken, RequestDenied, DeviceRefused.
    """
    opened = open_token(token=token, address=address)
    facts = inspect_csr(csr.encode())
    wish = Wish(
        csr=csr,
        public_key_sha256=facts.public_key_sha256,
        name=_name(name, facts),
        hardware_serial=hardware_serial,
        attributes=attributes or {},
        address=address,
    )
    known = _find(opened, wish)
    request, is_new = (known, False) if known else _write(opened, wish, now=now)
    if request.token_id != opened.id:
        check_usable(opened, now=now)
    if request.name != wish.name:
        raise KeyInUse("This public key belongs to another device already: make a new key, one for each device.")
    return answer(request, is_new=is_new, now=now) or Pending(request=EnrolmentRequestId(request.id))


def _name(name: str | None, facts: CsrFacts) -> str:
    found = name if name is not None else facts.common_name
    if found is None:
        detail = "is missing, and the request has no common name to take instead"
        raise Invalid(f"The name {detail}.", errors=(FieldError(pointer="/name", code="required", detail=detail),))
    return check_name(found)


def _find(token: EnrolmentToken, wish: Wish) -> EnrolmentRequest | None:
    """The wish, if it is written down. Its own token may have ended since: an approval takes its time."""
    rows = EnrolmentRequest.objects.select_related("profile", "device", "token")
    return rows.filter(profile_id=token.profile_id, public_key_sha256=wish.public_key_sha256).first()


def _write(token: EnrolmentToken, wish: Wish, *, now: datetime) -> tuple[EnrolmentRequest, bool]:
    """The wish as it is written down, and whether it is ours alone."""
    check_usable(token, now=now)
    try:
        return write_request(token, wish, now=now), True
    except (IntegrityError, DomainError):
        request = _find(token, wish)  # the same wish, at the same time
        if request is None:
            raise
        return request, False
