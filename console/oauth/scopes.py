"""The scopes that an application may ask for."""

from __future__ import annotations

from typing import Any

from oauth2_provider.scopes import BaseScopes

from console.core.roles import EVERY_SCOPE, SCOPES
from console.models import Application


class ApplicationScopes(BaseScopes):  # type: ignore[misc]
    """Each application has its own; a request that names none gets them all."""

    def get_all_scopes(self) -> dict[str, str]:
        """Every scope with its description."""
        return dict(SCOPES)

    def get_available_scopes(self, application: Application | None = None, *_: Any, **__: Any) -> list[str]:
        """What the application may have."""
        return sorted(application.scope_set & EVERY_SCOPE) if application else []

    def get_default_scopes(self, application: Application | None = None, *_: Any, **__: Any) -> list[str]:
        """What it gets without asking."""
        return self.get_available_scopes(application)
