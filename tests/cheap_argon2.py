"""Argon2 at the least price, since thousands of tests hash a password or a secret that nobody will ever steal."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class CheapArgon2(Argon2PasswordHasher):
    """As in an installation, but for the work it costs (RFC 9106 3.1: 8 KiB is the least)."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1
