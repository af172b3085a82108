"""Reading and writing key files where a command is typed; a passphrase is never an argument."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from django.core.management.base import CommandError


def read_octets(path: str) -> bytes:
    """The file, or standard input for `-`."""
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"The file can not be read: {error}.") from error


def read_passphrase(path: str, *, key: bytes) -> str:
    """The first line of the file; without one it is asked for, if the key is encrypted PEM and somebody is there."""
    if path:
        return _first_line(read_octets(path))
    if b"ENCRYPTED" in key and sys.stdin.isatty():
        return getpass.getpass("Passphrase of the private key: ")
    return ""


def choose_passphrase(path: str) -> str:
    """A new one: the first line of the file, or asked for twice."""
    if path:
        chosen = _first_line(read_octets(path))
    elif sys.stdin.isatty():
        chosen = getpass.getpass("A passphrase for the private key: ")
        if getpass.getpass("Once more: ") != chosen:
            raise CommandError("The two were not the same.")
    else:
        raise CommandError("Give the passphrase of the key with --passphrase-file, or type it at a terminal.")
    if len(chosen) < 8:
        raise CommandError("The key of a root needs a passphrase of 8 characters or more.")
    return chosen


def write_new(path: str, octets: bytes, *, mode: int) -> None:
    """Writes a file that is not there yet."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise CommandError(f"The file can not be written: {error}.") from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(octets)


def _first_line(octets: bytes) -> str:
    return next(iter(octets.decode(errors="replace").splitlines()), "")
