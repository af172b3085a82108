"""Keys in files of this machine, in the same envelope as in the database: who has a copy of one has not the other."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

from kernel.core.secrets import new_token
from pki.adapters.encrypted import open_key, rewrap_key, seal_key
from pki.conf import keys_folder
from pki.core.keys import SigningKey, generate_key
from pki.core.ports import KeptKey, KeyGone
from pki.core.values import Custody, KeyAlgorithm, KeyId


class FileKeys:
    """One file a key, mode 0600, in a folder of mode 0700. Each machine that signs with a key needs its file."""

    def generate(self, id: KeyId, algorithm: KeyAlgorithm) -> tuple[KeptKey, SigningKey]:
        """A fresh key in a file."""
        key = generate_key(algorithm)
        return self.adopt(id, key, algorithm), key

    def adopt(self, id: KeyId, key: SigningKey, algorithm: KeyAlgorithm) -> KeptKey:
        """The key in a file. Raises KeyStays."""
        kept = KeptKey(id=id, algorithm=algorithm, custody=Custody.FILE, locator=f"{id}.key")
        _write(_path_of(kept), seal_key(id, key))
        return kept

    def open(self, kept: KeptKey) -> SigningKey:
        """The key in the file. Raises WrongKey, KeyGone."""
        return open_key(kept.id, _read(_path_of(kept)))

    def envelope(self, kept: KeptKey) -> bytes | None:
        """What the file has. Raises KeyGone."""
        return _read(_path_of(kept))

    def rewrap(self, kept: KeptKey) -> KeptKey | None:
        """The same, its file replaced by one under the present master key; None if it is already.

        Raises WrongKey, KeyGone.
        """
        path = _path_of(kept)
        fresh = rewrap_key(kept.id, _read(path))
        if fresh is None:
            return None
        _write(path, fresh)
        return kept

    def destroy(self, kept: KeptKey) -> None:
        """The file is removed."""
        _path_of(kept).unlink(missing_ok=True)

    def held(self) -> dict[KeyId, str]:
        """The files of this machine, by the ids that their names are."""
        found = {}
        for path in keys_folder().glob("*.key"):
            try:
                found[KeyId(UUID(path.stem))] = path.name
            except ValueError:  # somebody else's file
                continue
        return found


def _path_of(kept: KeptKey) -> Path:
    return keys_folder() / Path(kept.locator).name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise KeyGone(f"The key file {path} is not on this machine: bring it back, or sign where it is.") from error
    except OSError as error:
        raise KeyGone(f"The key file {path} can not be read: {error.strerror}.") from error


def _write(path: Path, octets: bytes) -> None:
    """All of it or nothing, and on the disk before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{new_token(6)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
