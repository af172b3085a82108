"""The real settings, and beside the real tasks the one of killing.py."""

from console.settings import *  # noqa: F403

GATEHOUSE_ROUTER = "tests.kernel.killing.router"
CELERY_IMPORTS = ["tests.kernel.killing"]
