"""Giving a principal that proved itself a token to show brokers as its password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from brokers.conf import token_life
from brokers.core.access_token import AccessToken, sign_access_token
from brokers.core.emqx.compiler import compile_policy
from brokers.core.ports import RenderSubject, Standing
from brokers.core.rendering import Deviations
from brokers.services.desired import desired_state_of
from brokers.services.token_keys import open_signing_key
from devices import queries as devices
from devices.conf import base_url
from devices.services.issue_credential import DeviceRefused
from devices.services.prove_principal import ProvedPrincipal
from kernel.core.ids import new_id

SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenToken:
    """A token, and for how many whole seconds it is good."""

    text: str
    expires_in: int

    def __repr__(self) -> str:
        return f"GivenToken({self.expires_in} s)"


def give_access_token(*, principal: ProvedPrincipal, with_acl: bool, now: datetime) -> GivenToken:
    """A fresh token: it ends with what proved the principal, and, `with_acl`, when a binding begins or ends.

    The `acl` never allows more than the policy does. Nothing is kept of the token. Raises DeviceRefused,
    TokenTooLarge, TokenKeysBusy, TokenKeyShut.
    """
    [subject] = desired_state_of(device=principal.device, broker=None, now=now).subjects
    if subject.state is not Standing.ADMITTED:
        raise DeviceRefused("This device may not connect now: ask the operator of its domain.")
    begins = now.replace(microsecond=0)
    ends = _end(principal, with_acl=with_acl, now=now)
    if ends < begins + SHORTEST:
        raise DeviceRefused("What proves the device, or its policy, is about to change: ask again in a second.")
    kid, key = open_signing_key(now=now)
    token = _token(principal, subject, with_acl=with_acl, issued_at=begins, expires_at=ends)
    text = sign_access_token(token, issuer=base_url(), kid=kid, key=key)
    return GivenToken(text=text, expires_in=int((ends - begins).total_seconds()))


def _end(principal: ProvedPrincipal, *, with_acl: bool, now: datetime) -> datetime:
    bounds = [now + token_life(), principal.until]
    boundary = devices.next_boundary(device=principal.device, now=now) if with_acl else None
    return min([*bounds, boundary] if boundary else bounds).replace(microsecond=0)


def _token(
    principal: ProvedPrincipal, subject: RenderSubject, *, with_acl: bool, issued_at: datetime, expires_at: datetime
) -> AccessToken:
    return AccessToken(
        domain=subject.principal.domain,
        auth_id=subject.principal.auth_id,
        client_id=subject.principal.client_id,
        credential=principal.credential,
        epoch=principal.token_epoch,
        issued_at=issued_at,
        expires_at=expires_at,
        id=str(new_id()),
        acl=compile_policy(subject, Deviations()).closed if with_acl else None,
    )
