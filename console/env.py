"""Reading settings from the environment: pure parsers. A secret may also come from the file in `<NAME>_FILE`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from kernel.core.errors import DomainError
from kernel.core.secrets import MasterKey, new_token

Environ = Mapping[str, str]


def text(environ: Environ, name: str, default: str = "") -> str:
    """The value of `name`, or the content of the file in `<name>_FILE`, or `default`."""
    if path := environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which can not be read: {error.strerror}.") from error
    return environ.get(name, default)


def integer(environ: Environ, name: str, default: int, *, low: int, high: int) -> int:
    """The whole number in `name`, from `low` to `high` inclusive."""
    value = environ.get(name, "")
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise ImproperlyConfigured(f"{name} is {value!r}; it has to be a whole number from {low} to {high}.")
    return int(value)


def header_name(environ: Environ, name: str, default: str) -> str:
    """The name of a header in `name`: letters, digits and hyphens, since WSGI knows no others apart."""
    value = text(environ, name, default)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,99}", value):
        raise ImproperlyConfigured(f"{name} can not name a header: use letters, digits and hyphens.")
    return value


def words(environ: Environ, name: str, default: tuple[str, ...] = ()) -> list[str]:
    """The comma-separated words in `name`."""
    value = environ.get(name, "")
    return [word.strip() for word in value.split(",") if word.strip()] if value else list(default)


def choice(environ: Environ, name: str, default: str, *, among: tuple[str, ...]) -> str:
    """The value of `name`, one of `among`."""
    value = environ.get(name) or default
    if value not in among:
        raise ImproperlyConfigured(f"{name} is {value!r}; it has to be one of {', '.join(among)}.")
    return value


def networks(environ: Environ, name: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The comma-separated networks (CIDR) in `name`."""
    found = []
    for word in words(environ, name):
        try:
            found.append(ipaddress.ip_network(word))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} has {word!r}, which is no network such as 10.0.0.0/8: {error}."
            ) from error
    return found


def kept_secret(environ: Environ, name: str, path: Path) -> str:
    """The secret in `name`, else the one kept in the file at `path`, which is made at mode 0600 on first use."""
    if given := text(environ, name):
        return given
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return _make_secret(path, MasterKey.generate().to_base64() if "MASTER" in name else new_token(48))


def _make_secret(path: Path, value: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{new_token(6)}")
    fresh.touch(mode=0o600)
    fresh.write_text(value + "\n", encoding="ascii")
    try:
        path.hardlink_to(fresh)  # unlike a rename, never replaces what another process has just made
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    finally:
        fresh.unlink()
    return value


def master_key(environ: Environ, path: Path) -> MasterKey:
    """The key that wraps stored secrets."""
    try:
        return MasterKey.from_base64(kept_secret(environ, "GATEHOUSE_MASTER_KEY", path))
    except DomainError as error:
        raise ImproperlyConfigured(f"GATEHOUSE_MASTER_KEY: {error.detail}") from error


def other_master_keys(environ: Environ) -> tuple[MasterKey, ...]:
    """The master keys beside the one in use, by commas or lines: those before it, or the next."""
    spelt = re.split(r"[\s,]+", text(environ, "GATEHOUSE_MASTER_KEY_PREVIOUS"))
    try:
        return tuple(MasterKey.from_base64(word) for word in spelt if word)
    except DomainError as error:
        raise ImproperlyConfigured(f"GATEHOUSE_MASTER_KEY_PREVIOUS: {error.detail}") from error
