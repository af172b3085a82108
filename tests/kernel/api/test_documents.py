"""Documents that refuse what they do not know."""

from __future__ import annotations

import pytest
from rest_framework import serializers

from kernel.api.documents import StrictDocument


class Mill(StrictDocument):
    """One member."""

    name = serializers.CharField()


def test_of_thousands_of_unknown_members_a_hundred_are_told() -> None:
    with pytest.raises(serializers.ValidationError) as refused:
        Mill(data={f"a{number:05}": None for number in range(60_000)}).is_valid(raise_exception=True)
    assert isinstance(refused.value.detail, dict)
    assert list(refused.value.detail) == [f"a{number:05}" for number in range(100)]
