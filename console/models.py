"""Operators: the humans who sign in to the console."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models


class Operator(AbstractBaseUser):
    """A human with a console login."""

    id = models.UUIDField(primary_key=True)
    username = models.CharField(max_length=150, unique=True)
    USERNAME_FIELD = "username"
