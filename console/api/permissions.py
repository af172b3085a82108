"""A view says which scope each of its methods needs; what it does not say is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from kernel.core.caller import Caller
from kernel.core.errors import Denied

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it reads the settings that name this module


class InsufficientScope(Denied):
    """The token, or the operator's role, does not reach this far."""

    code = "insufficient-scope"


class HasScope(BasePermission):
    """Asks for `view.scopes[method]`, and narrows `request.auth` to the domains where that scope holds."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the caller may; False without a caller. Raises InsufficientScope, MethodNotAllowed."""
        if not isinstance(request.auth, Caller):
            return False
        scopes: Mapping[str, str] = getattr(view, "scopes", {})
        scope = scopes.get("GET" if request.method in {"HEAD", "OPTIONS"} else str(request.method))
        if scope is None:
            if request.method in {"HEAD", "OPTIONS"}:
                return True
            if not hasattr(view, str(request.method).lower()):
                raise MethodNotAllowed(str(request.method))
            raise InsufficientScope(f"No scope allows {request.method} here.")
        caller = request.auth.within(scope)
        if scope not in caller.scopes:
            raise InsufficientScope(f"This needs the scope {scope}, which this caller does not have.")
        request.auth = caller
        return True
