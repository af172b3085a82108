"""What every app's API is built of: documents that refuse what they do not know, and the caller of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rest_framework import serializers
from rest_framework.request import Request

from kernel.core.caller import Caller

_MOST_TOLD = 100


class StrictDocument(serializers.Serializer[Any]):
    """Refuses members that it does not know: a misspelt condition would silently change what is meant."""

    def get_fields(self) -> dict[str, Any]:
        """The fields; a choice that is none of the choices is told them."""
        fields = super().get_fields()
        for field in (inner for each in fields.values() for inner in (each, getattr(each, "child", None))):
            if isinstance(field, serializers.ChoiceField):
                choices = ", ".join(map(str, field.choices))
                field.error_messages["invalid_choice"] = f'"{{input}}" is none of {choices}.'
        return fields

    def to_internal_value(self, data: Any) -> Any:
        """The validated input. Raises ValidationError."""
        unknown = sorted(set(data) - set(self.fields))[:_MOST_TOLD] if isinstance(data, Mapping) else []
        if unknown:
            known = ", ".join(self.fields)
            raise serializers.ValidationError(
                {str(name)[:64]: f"There is no such member: the members are {known}." for name in unknown}
            )
        return super().to_internal_value(data)


class NoteDocument(StrictDocument):
    """Why something is done."""

    note = serializers.CharField(max_length=2_000, allow_blank=True, default="")


def caller_of(request: Request) -> Caller:
    """Who calls, narrowed to the domains where the view's scope holds."""
    return cast("Caller", request.auth)


def body_of(document: type[StrictDocument], request: Request) -> dict[str, Any]:
    """The validated body. Raises ValidationError."""
    found = document(data=request.data)
    found.is_valid(raise_exception=True)
    return cast("dict[str, Any]", found.validated_data)
