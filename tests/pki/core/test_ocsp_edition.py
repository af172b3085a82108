"""Editions: what is written is what is found, and what is damaged is not used."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.core.ocsp_edition import DamagedEditionError, Edition, EditionWriter, Imprint, Standing, key_of, serial_in
from pki.core.values import serial_hex

IMPRINT = Imprint(revision=7, newest="0" * 32, this_update=100, next_update=200, signer=b"s", algorithm=b"a")
SIGNED = Imprint(revision=7, newest="0" * 32, this_update=100, next_update=200, signature_octets=8)

serials = st.integers(1, (1 << 160) - 1) | st.integers(1, 5_000) | st.integers(1 << 158, (1 << 159) - 1)
standings = st.builds(Standing, st.integers(0, 1 << 31), st.integers(0, 1 << 31), st.integers(0, 10))


def write(path: Path, imprint: Imprint, found: dict[int, tuple[Standing, bytes]]) -> Edition:
    with path.open("w+b") as file:
        writer = EditionWriter.begin(file, imprint)
        writer.append((key_of(serial), *found[serial]) for serial in sorted(found, key=key_of))
        assert writer.finish() == len(found)
    return Edition(path)


@given(found=st.dictionaries(serials, st.tuples(standings, st.binary(max_size=8)), min_size=1), other=serials)
def test_each_certificate_is_found_and_no_other(
    found: dict[int, tuple[Standing, bytes]], other: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    edition = write(tmp_path_factory.mktemp("e") / "x", SIGNED, found)
    assert {serial: edition.find(key_of(serial)) for serial in found} == found
    assert edition.find(key_of(other)) == found.get(other)
    assert edition.imprint == SIGNED


@given(st.sets(serials, min_size=2))
def test_keys_are_in_the_order_in_which_the_database_has_the_digits(some: set[int]) -> None:
    assert sorted(some, key=key_of) == sorted(some, key=serial_hex)
    assert [serial_in(key_of(serial)) for serial in some] == [*some]


def test_an_end_beyond_2106_is_kept_as_the_last_that_fits(tmp_path: Path) -> None:
    found = write(tmp_path / "x", IMPRINT, {5: (Standing(253_402_300_799), b"")}).find(key_of(5))
    assert found == (Standing((1 << 32) - 1), b"")


def test_a_draft_goes_on_after_a_crash_in_the_middle_of_a_record(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("w+b") as file:
        EditionWriter.begin(file, SIGNED).append((key_of(serial), Standing(9), b"sig") for serial in (1, 2))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedEditionError, match="not finished"):
        Edition(path)
    with path.open("r+b") as file:
        writer = EditionWriter.resume(file)
        assert (writer.imprint, serial_in(writer.last)) == (SIGNED, 1)
        writer.append((key_of(serial), Standing(9), b"sig") for serial in (2, 3))
        assert writer.finish() == 3
    assert [Edition(path).find(key_of(serial)) for serial in (1, 2, 3)] == [(Standing(9), b"sig")] * 3


def test_records_out_of_order_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w+b") as file, pytest.raises(DamagedEditionError, match="sorts"):
        EditionWriter.begin(file, IMPRINT).append((key_of(serial), Standing(9), b"") for serial in (2, 1))


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"\x00" * 20_000])
def test_what_is_no_edition_is_refused(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(damage)
    with pytest.raises(DamagedEditionError):
        Edition(tmp_path / "x")


def test_an_octet_that_changed_on_disk_is_seen(tmp_path: Path) -> None:
    write(tmp_path / "x", SIGNED, {serial: (Standing(9), b"sig") for serial in range(1, 50)})
    octets = bytearray((tmp_path / "x").read_bytes())
    octets[16_384 + 30] ^= 1
    (tmp_path / "y").write_bytes(octets)
    with pytest.raises(DamagedEditionError, match="not those that were written"):
        Edition(tmp_path / "y")
