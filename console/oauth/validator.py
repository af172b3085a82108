"""Checks clients and tokens. The database never holds a token: only HMAC-SHA256 of it, under the master key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from oauth2_provider.models import AccessToken
from oauth2_provider.oauth2_validators import OAuth2Validator

from console.models import Application
from kernel.conf import master_key
from kernel.core.clock import utc_now
from kernel.core.secrets import new_token

_PURPOSE = "console.oauth.access_token"
_NOBODYS_SECRET = make_password(new_token())


def token_hash(token: str) -> str:
    """What is stored of a token: 64 hexadecimal digits."""
    return master_key().keyed_hash(token, purpose=_PURPOSE).hex()


def token_hashes(token: str) -> list[str]:
    """What may be stored of a token: its hash under each master key that is believed."""
    return [each.hex() for each in master_key().keyed_hashes(token, purpose=_PURPOSE)]


def find_token(token: str, *, now: datetime) -> AccessToken | None:
    """The token with its application if it is good: one look-up in an index, by a hash that nobody else can make."""
    found = (
        AccessToken.objects.select_related("application")
        .filter(token_checksum__in=token_hashes(token), expires__gt=now, application__revoked_at=None)
        .first()
    )
    return found if found and found.application else None


class Validator(OAuth2Validator):  # type: ignore[misc]
    """The toolkit's checks over our way of storing tokens. Only the client credentials grant exists."""

    def _load_application(self, client_id: str, request: Any) -> Application | None:
        known = "\x00" not in (client_id or "")  # which PostgreSQL can not even look for
        application: Application | None = super()._load_application(client_id, request) if known else None
        if application is None:  # as slow as a wrong secret, so that time does not tell which names exist
            check_password("", _NOBODYS_SECRET)
        return application

    def _authenticate_request_body(self, request: Any) -> bool:
        """Only HTTP Basic counts where a request has it (RFC 6749 2.3)."""
        if request.headers.get("HTTP_AUTHORIZATION") or not getattr(request, "client_secret", ""):
            return False
        return bool(super()._authenticate_request_body(request))

    def _create_access_token(self, expires: datetime, request: Any, token: dict[str, Any], **_: Any) -> AccessToken:
        row = AccessToken(user=None, application=request.client, scope=token["scope"], expires=expires, token="")
        row.token_checksum = token_hash(token["access_token"])
        row.save()
        Application.objects.filter(pk=request.client.pk).update(last_used_at=utc_now())
        return row

    def _load_access_token(self, token: str) -> AccessToken | None:
        hashes = token_hashes(token)
        return AccessToken.objects.select_related("application").filter(token_checksum__in=hashes).first()

    def revoke_token(self, token: str, token_type_hint: str | None, request: Any, *_: Any, **__: Any) -> None:
        """Ends a token of the client that asks; an unknown one is no error (RFC 7009 2.2)."""
        del token_type_hint
        AccessToken.objects.filter(token_checksum__in=token_hashes(token), application=request.client).delete()
