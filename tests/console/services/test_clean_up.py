"""What has ended is cleared away, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from oauth2_provider.models import AccessToken

from console.models import SetupLink
from console.services.clean_up import clear_ended
from console.services.operators import create_operator, make_setup_link
from kernel.core.actor import SYSTEM
from tests.console.conftest import token_of

pytestmark = pytest.mark.django_db


def test_only_what_has_ended_goes() -> None:
    now = timezone.now()
    token_of()
    ada = create_operator(username="ada", actor=SYSTEM, now=now)
    make_setup_link(operator=ada, actor=SYSTEM, now=now)
    assert clear_ended(now=now) == 0
    assert clear_ended(now=now + timedelta(days=40)) == 2
    assert not AccessToken.objects.exists()
    assert not SetupLink.objects.exists()
    assert clear_ended(now=now + timedelta(days=40)) == 0
