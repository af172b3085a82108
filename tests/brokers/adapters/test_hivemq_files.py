"""HiveMQ's two files as its extensions would read them; HiveMQ itself can not be installed here.

What the Community Edition's extension refuses is told by a mirror of its validator (`faults_of`).
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pytest_django import Settings

from acl.core.values import Publish
from brokers.adapters.hivemq_files import HivemqCeFileAdapter, HivemqEseFileAdapter
from brokers.adapters.shared_folder import DatedFolder, UnsafeFolder
from brokers.core.hivemq import ce_file as hivemq_ce_file
from brokers.core.ports import AppliedState, BrokerAdapter, EffectLine, SessionNotClosed, Standing
from brokers.core.values import AdapterKind
from brokers.services.lease import BrokerBusy
from devices.core.password_verifier import PasswordVerifier
from tests.brokers.bringing import all_of, bring_to, only
from tests.brokers.links import broker_link
from tests.brokers.stand_in import JsonAnswers, stand_in
from tests.brokers.subjects import ALL, DOWN, UP, subject

HASH = "c2FsdA==:100:aGFzaA=="
Make = Callable[[], BrokerAdapter]
FILES = {"files": {"directory": "hall"}}


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    settings.GATEHOUSE_HOME = tmp_path
    made = tmp_path / "brokers" / "hall"
    made.mkdir(parents=True)
    return made


def ce(*, takes_passwords: bool | None = None) -> HivemqCeFileAdapter:
    assert not HivemqCeFileAdapter.connection_errors(FILES)
    link = broker_link(AdapterKind.HIVEMQ_CE_FILE, FILES, takes_passwords=takes_passwords)
    return HivemqCeFileAdapter(link=link)


def ese(**rest: object) -> HivemqEseFileAdapter:
    connection = FILES | ({"rest": rest} if rest else {})
    assert not HivemqEseFileAdapter.connection_errors(connection)
    return HivemqEseFileAdapter(link=broker_link(AdapterKind.HIVEMQ_ESE_FILE, connection))


def file_in(folder: Path) -> Path:
    """The file that HiveMQ reads. Beside it is a note of ours on when it was written, and nothing else."""
    file, note = sorted(folder.iterdir())
    assert note.name == f"{file.name}.told"
    assert stat.S_IMODE(note.stat().st_mode) == 0o640
    return file


def accounts(file: Path) -> dict[str | None, str | None]:
    """The password of each account, as another reader of XML finds it."""
    users = ET.parse(file).iter("user")
    return {user.findtext("name"): user.findtext("password") for user in users}


def give_password(file: Path, name: str, password: str) -> None:
    text = re.sub(r"\s*<password>[^<]*</password>", "", file.read_text())
    file.write_text(text.replace(f"<name>{name}</name>", f"<name>{name}</name><password>{password}</password>"))


@pytest.mark.parametrize("make", [ce, ese])
def test_file_holds_what_policy_gives_and_is_for_the_group_alone(folder: Path, make: Make) -> None:
    adapter: BrokerAdapter = make()
    desired = all_of(subject("alpha", UP, DOWN), subject("beta", UP, ALL))
    bring_to(adapter, desired)
    file = file_in(folder)
    assert set(accounts(file)) == {"alpha", "beta"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    rendering, alpha = adapter.render(desired), desired.subjects[0].principal
    assert adapter.enforces(rendering, alpha, Publish(topic="north/alpha/up/t"))
    assert not adapter.enforces(rendering, alpha, Publish(topic="north/beta/up/t"))
    assert bring_to(adapter, only(subject("alpha", UP)))
    lost = adapter.effect(all_of(subject("alpha", UP)), adapter.read()).lose
    assert EffectLine(auth_id="beta", action="publish", filter="north/beta/up/#") in lost


def test_community_edition_takes_every_file_that_is_written(folder: Path) -> None:
    for desired in (all_of(), all_of(subject("alpha", UP)), all_of(subject("alpha", standing=Standing.BARRED))):
        bring_to(ce(), desired)
        text = (folder / "credentials.xml").read_text()
        assert not list(hivemq_ce_file.faults_of(hivemq_ce_file.parse(text)))


def test_devices_passwords_are_kept_as_the_extension_hashes_them(folder: Path) -> None:
    salt = b"0123456789abcdefghijklmnopqrstuv"
    # The vector of the reference, made by the extension's own tool.
    hashed = (
        "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=:100:0ZU4DYfNxFSHAVKHzjysssRaAemN8sQpQOW0Z1A1cJ7qSzMThLQJ0DCt8CCaz3WX"
        "ueKPuQCohulDWFNvEAw07w=="
    )
    verifier = PasswordVerifier.of("device-secret", salt=salt, iterations=100)
    alpha, file = replace(subject("alpha", UP), password=verifier), folder / "credentials.xml"
    steps = bring_to(ce(takes_passwords=True), all_of(alpha, subject("beta", UP)))
    assert ("set-password", "alpha") in steps
    assert accounts(file) == {"alpha": hashed, "beta": hivemq_ce_file.NO_PASSWORD}
    rendering = ce(takes_passwords=True).render(all_of(alpha))
    assert hashed not in rendering.artifact + repr(rendering) + repr(ce(takes_passwords=True).read())
    give_password(file, "beta", HASH)  # and alpha's is gone
    fixed = bring_to(ce(takes_passwords=True), all_of(alpha, subject("beta", UP)))
    assert fixed == [("take-password", "beta"), ("set-password", "alpha")]
    assert not list(hivemq_ce_file.faults_of(hivemq_ce_file.parse(file.read_text())))
    bring_to(ce(takes_passwords=True), only(subject("alpha", standing=Standing.BARRED)))
    assert set(accounts(file)) == {"beta"}
    bring_to(ce(takes_passwords=True), only(alpha))
    bring_to(ce(takes_passwords=False), all_of(subject("alpha", UP)))
    assert accounts(file) == {"alpha": hivemq_ce_file.NO_PASSWORD}


def test_password_that_is_no_hash_is_left_out_lest_the_whole_file_is_refused(folder: Path) -> None:
    bring_to(ce(), all_of(subject("alpha", UP)))
    give_password(folder / "credentials.xml", "alpha", "plain")
    bring_to(ce(), all_of(subject("alpha", UP, DOWN)))
    assert accounts(folder / "credentials.xml")["alpha"] == hivemq_ce_file.NO_PASSWORD


def test_each_file_is_newer_than_what_was_read_before(folder: Path) -> None:
    file = folder / "credentials.xml"
    bring_to(ce(), all_of(subject("alpha", UP)))
    read_at = file.stat().st_mtime_ns
    bring_to(ce(), all_of(subject("alpha", DOWN)))
    assert file.stat().st_mtime_ns > read_at  # the extension looks at nothing else
    unchanged = file.stat().st_mtime_ns
    ce().apply((), between=lambda: None)
    assert file.stat().st_mtime_ns == unchanged


@pytest.mark.parametrize("make", [ce, ese])
def test_file_is_dated_anew_once_a_while_after_it_was_written(folder: Path, make: Make) -> None:
    adapter, desired = make(), all_of(subject("alpha", UP))
    file = folder / ("credentials.xml" if make is ce else "ese-file-realm.xml")

    def age(seconds: float) -> int:
        """As if the file had been written so long ago; when it was then."""
        told = folder / f"{file.name}.told"
        is_ours = told.exists() and told.read_text() == f"{file.stat().st_ino} {file.stat().st_mtime_ns}"
        os.utime(file, times=(time.time() - seconds,) * 2)
        if is_ours:
            told.write_text(f"{file.stat().st_ino} {file.stat().st_mtime_ns}")
        return file.stat().st_mtime_ns

    for _ in range(2):
        bring_to(adapter, desired)
        young = age(20)
        adapter.read(only=frozenset())
        assert file.stat().st_mtime_ns == young
        old = age(40)  # HiveMQ had begun to read when it was written, and ended behind it
        text = file.read_text()
        adapter.read(only=frozenset())
        assert file.stat().st_mtime_ns > old
        assert file.read_text() == text
        old = age(4000)
        assert adapter.plan(desired, adapter.read()) == ()
        assert file.stat().st_mtime_ns == old  # once is enough
        desired = all_of(subject("alpha", DOWN))


def test_file_of_somebody_else_is_not_dated_anew(folder: Path) -> None:
    (folder / "credentials.xml").write_text("<file-rbac/>")
    os.utime(folder / "credentials.xml", times=(1, 1))
    ce().read(only=frozenset())
    assert (folder / "credentials.xml").stat().st_mtime == 1


@pytest.mark.parametrize("make", [ce, ese])
def test_passwords_stay_but_those_of_who_is_barred(folder: Path, make: Make) -> None:
    adapter = make()
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP)))
    file = file_in(folder)
    give_password(file, "alpha", HASH)
    assert HASH not in adapter.read().artifact
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP, ALL)))
    assert accounts(file)["alpha"] == HASH
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert HASH not in file.read_text()


@pytest.mark.parametrize("make", [ce, ese])
def test_what_somebody_else_wrote_is_written_anew(folder: Path, make: Make) -> None:
    adapter, desired = make(), all_of(subject("alpha", UP))
    bring_to(adapter, desired)
    file = file_in(folder)
    before = file.read_text()
    for text in (
        before.replace("north/", "#/"),
        before.replace("</permission>", "<deny/></permission>"),
        before.replace("<roles>", "<rules>"),
        "",
        "<a/>",
        "\x00",
    ):
        file.write_text(text)
        assert bring_to(adapter, desired)
        assert file.read_text() == before
    file.unlink()  # the folder is lost
    assert adapter.plan(desired, adapter.read()) == adapter.plan(desired, AppliedState(artifact=""))
    bring_to(adapter, desired)
    assert file.read_text() == before
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP)))
    file.write_text(file.read_text().replace("</permission>", "<deny/></permission>"))
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert "beta" in accounts(file)  # nobody else is thrown out by it


def test_folder_has_to_be_plain_and_to_be_there(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFolder):
        ce().read()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFolder):
        ese().read()


@pytest.fixture
def ended() -> Iterator[list[str]]:
    """The sessions that HiveMQ's REST API was asked to end; the last is its port. Broken while it has `broken`."""
    told: list[str] = []

    class Answers(JsonAnswers):
        def do_GET(self) -> None:
            self.answer(404, {})

        def do_DELETE(self) -> None:
            if "broken" not in told:
                told.insert(0, self.path)
            self.answer(503 if "broken" in told else 204)

    with stand_in(Answers) as port:
        told.append(str(port))
        yield told


def test_session_of_who_loses_something_ends_and_if_not_then_the_next_time(folder: Path, ended: list[str]) -> None:
    adapter = ese(host="127.0.0.1", port=int(ended[-1]))
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP)))
    desired = all_of(subject("alpha", UP), subject("beta", UP, ALL))
    ended.insert(0, "broken")
    with pytest.raises(SessionNotClosed):
        bring_to(adapter, desired)
    assert "down" not in (folder / "ese-file-realm.xml").read_text()
    ended.remove("broken")
    assert bring_to(adapter, desired) == [("set-user", "alpha")]
    assert ended[:-1] == ["/api/v1/mqtt/clients/alpha?preventWillMessage=true"]
    assert "gh.ending" not in (folder / "ese-file-realm.xml").read_text()
    assert adapter.disconnect(subject("alpha").principal) == 0
    assert ese().disconnect(subject("alpha").principal) is None


def test_all_lose_before_the_first_session_ends_and_who_shares_a_role_is_among_them(
    folder: Path, ended: list[str]
) -> None:
    adapter, file = ese(host="127.0.0.1", port=int(ended[-1])), folder / "ese-file-realm.xml"
    bring_to(adapter, all_of(subject("alpha", ALL), subject("beta", ALL), subject("gone", UP), subject("z", UP, DOWN)))
    before = file.read_text()
    file.write_text(before.replace("north/all/#", "#"))  # what all have by one role is more by hand
    ended.insert(0, "broken")
    with pytest.raises(SessionNotClosed):
        adapter.apply(adapter.plan(all_of(), adapter.read()), between=lambda: None)
    assert not {"north/all/#", "#", "north/z/up/#"} & set(re.findall("<topic>(.*)</topic>", file.read_text()))
    assert set(accounts(file)) == {"alpha", "beta", "gone", "z"}  # until their sessions have ended
    ended.remove("broken")
    bring_to(adapter, all_of())
    assert sorted(where.rpartition("/")[2].partition("?")[0] for where in ended[:-1]) == ["alpha", "beta", "gone", "z"]
    assert accounts(file) == {}

    file.write_text(before.replace("north/all/#", "#"))
    del ended[:-1]
    bring_to(adapter, only(subject("alpha", ALL)))
    assert sorted(where.rpartition("/")[2].partition("?")[0] for where in ended[:-1]) == ["alpha", "beta"]
    assert file.read_text() == before


def test_file_that_somebody_else_may_write_by_now_is_left_as_it_is(folder: Path, ended: list[str]) -> None:
    adapter, file = ese(host="127.0.0.1", port=int(ended[-1])), folder / "ese-file-realm.xml"
    names = [f"p-{number:02}" for number in range(25)]
    bring_to(adapter, all_of(*(subject(name, UP, DOWN) for name in names)))
    desired, asked = all_of(*(subject(name, UP) for name in names)), 0

    def between() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            file.write_text("theirs")
            raise BrokerBusy("Somebody else writes.")

    with pytest.raises(BrokerBusy):
        adapter.apply(adapter.plan(desired, adapter.read()), between=between)
    assert len(ended[:-1]) == 20
    assert file.read_text() == "theirs"


def test_connection_is_a_folder_and_nothing_unknown() -> None:
    rest = {"rest": {"host": "127.0.0.1", "port": 1}}
    assert [error.pointer for error in HivemqCeFileAdapter.connection_errors(FILES | rest)] == ["/connection/rest"]
    assert HivemqEseFileAdapter.connection_errors({"files": {"directory": "../x"}})
    assert HivemqEseFileAdapter.connection_errors({})
    assert HivemqCeFileAdapter.connection_errors(7)


def test_nobody_has_a_file_elsewhere_dated_anew(folder: Path) -> None:
    """HiveMQ writes into the folder, too, and may have put a link in place of the file."""
    elsewhere = folder.parent.parent / "gatehouse.sqlite3"
    elsewhere.touch()
    os.utime(elsewhere, (1, 1))
    (folder / "credentials.xml").symlink_to(elsewhere)
    dated = DatedFolder(root=folder.parent, name="hall")
    dated.note_written("credentials.xml")
    dated.date_anew("credentials.xml", after=0)
    assert elsewhere.stat().st_mtime == 1
