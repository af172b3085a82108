"""Lists of weak keys in files."""

from __future__ import annotations

import mmap
from pathlib import Path

from pki.core.weak_keys import BadKeyList, KeyList, read_badkeys_list, read_debian_list


def read_key_list(path: Path) -> KeyList:
    """The list in a file: badkeys' if its name ends in `.dat`, else Debian's. Raises BadKeyList."""
    try:
        if path.suffix != ".dat":
            return read_debian_list(path.read_bytes(), name=path.name)
        with path.open("rb") as file:
            return read_badkeys_list(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), name=path.name)
    except (OSError, ValueError) as error:
        raise BadKeyList(f"The list of weak keys {path} can not be read: {error}.") from error
    except BadKeyList as error:
        raise BadKeyList(f"{path}: {error.detail}") from error
