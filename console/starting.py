"""What a process looks at before it begins."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import DatabaseError, connections

from console.services.replace_master_key import UnknownMasterKey, require_known_master_key


def refuse_unknown_master_key() -> None:
    """Raises CommandError if stored secrets hang on a master key that is not set.

    A database that is away, or has no tables yet, is no reason: the process waits for it as for any other cause.
    """
    try:
        require_known_master_key()
    except UnknownMasterKey as error:
        raise CommandError(error.detail) from error
    except DatabaseError:
        return
    finally:
        connections.close_all()
