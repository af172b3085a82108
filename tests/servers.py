"""Real servers for tests: each in a temporary folder, on a free port of loopback, stopped at the end; as root too."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

_PACKAGES = {
    "initdb": "postgresql",
    "postgres": "postgresql",
    "mariadbd": "mariadb-server-core",
    "nginx": "nginx-light",
    "mosquitto_pub": "mosquitto-clients",
}
"""What Debian calls the package of a program, where it does not call it like the program."""


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now, below those that outgoing connections take.

    It is chosen at random, so that two that choose at once choose apart, and nobody still talks to who had it before.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def is_open(port: int) -> bool:
    """Whether somebody listens on that port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], *, seconds: float = 90, what: str) -> None:
    """Returns once `condition` holds; an AssertionError that says `what` was waited for, if it does not in time.

    The time is for a machine that does much else: it tells a wait from a hang, and nothing of how quick something is.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def program(name: str) -> str:
    """The path of a server's program, also where Debian keeps it off PATH.

    If there is none, the test fails as root, for whom `make test` installs it, and is skipped for anyone else.
    """
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, places), os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        package = _PACKAGES.get(name, name)
        if os.geteuid() == 0:
            pytest.fail(f"{name} is not installed: `make test` installs the Debian package {package}.")
        pytest.skip(f"{name} is not installed: `make test` as root installs the Debian package {package}.")
    return found


def stop(process: subprocess.Popen[bytes], *, seconds: float = 60, by: signal.Signals = signal.SIGTERM) -> None:
    """Ends a server and its process group."""
    if process.poll() is None:
        os.killpg(process.pid, by)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(seconds)


@contextmanager
def running_redis() -> Iterator[str]:
    """The URL of an empty Redis that keeps nothing on disk."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gatehouse-redis-") as folder:
        words = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_until(lambda: is_open(port), what="Redis listens")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            stop(server)


def empty_redis(url: str) -> None:
    """Throws everything away that Redis holds."""
    with redis.Redis.from_url(url) as client:
        client.flushall()


@contextmanager
def running_postgresql() -> Iterator[str]:
    """The URL of the empty database `gatehouse` of a fresh PostgreSQL, made for speed and not for keeping."""
    initdb, postgres = program("initdb"), program("postgres")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gatehouse-postgresql-", ignore_cleanup_errors=True) as folder:
        account = _unprivileged()
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        cluster = f"{folder}/cluster"
        words = [initdb, "-D", cluster, "-U", "gatehouse", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "-N"]
        _as(account, words, cwd=folder).wait(120)
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        words = [
            postgres,
            "-D",
            cluster,
            *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
        ]
        server = _as(account, words, cwd=folder)
        try:
            url = f"postgresql://gatehouse@127.0.0.1:{port}"
            wait_until(lambda: _answers(f"{url}/postgres"), what="PostgreSQL answers")
            with psycopg.connect(f"{url}/postgres", autocommit=True) as session:
                session.execute("CREATE DATABASE gatehouse")
            yield f"{url}/gatehouse"
        finally:
            stop(server, by=signal.SIGINT)


@contextmanager
def running_mariadb(*, certificate: str, key: str) -> Iterator[int]:
    """The port of a fresh MariaDB, made for speed and not for keeping.

    It has the account `gatehouse` with the password `trusted`, who may do everything, and offers TLS with these files.
    """
    mariadbd, port = program("mariadbd"), free_port()
    with tempfile.TemporaryDirectory(prefix="gatehouse-mariadb-", ignore_cleanup_errors=True) as folder:
        words = [mariadbd, "--no-defaults", f"--datadir={folder}", f"--socket={folder}/s", f"--pid-file={folder}/pid"]
        words += ["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0"]
        words += ["--innodb-doublewrite=0", "--character-set-server=utf8mb4"]
        words += ["--user=root"] if os.geteuid() == 0 else []
        system = Path("/usr/share/mysql/mysql_system_tables.sql").read_text("utf-8")
        account = (
            "FLUSH PRIVILEGES; \nGRANT ALL ON *.* TO gatehouse@'127.0.0.1' IDENTIFIED BY 'trusted' WITH GRANT OPTION;"
        )
        told = f"CREATE DATABASE mysql;\nUSE mysql;\n{system}\n{account}\n"
        subprocess.run([*words, "--bootstrap"], input=told.encode(), check=True, stderr=subprocess.DEVNULL, timeout=120)
        words += ["--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve"]
        words += [f"--ssl-cert={certificate}", f"--ssl-key={key}"]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_until(lambda: is_open(port), what="MariaDB listens")
            yield port
        finally:
            stop(server)


def _unprivileged() -> pwd.struct_passwd | None:
    """Who PostgreSQL runs as, since it refuses root; None if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("PostgreSQL needs an account to run as")


def _as(account: pwd.struct_passwd | None, words: list[str], *, cwd: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        cwd=cwd,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
