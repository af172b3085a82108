"""A real Mosquitto and its CRL file: if it can not load that, revoked certificates get in, and only its log says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from brokers.adapters import mosquitto_reload
from brokers.adapters.mosquitto_acl_file import MosquittoAclFileAdapter
from brokers.adapters.mosquitto_dynsec import MosquittoDynsecAdapter
from brokers.adapters.mosquitto_files import MosquittoFolder
from brokers.adapters.mosquitto_reload import CrlNotLoaded, seen_in_file
from brokers.core.mosquitto.conf import CONFIGURATION_FILE, CRL_FILE, LOG_FILE
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import AdapterKind
from tests.brokers.conftest import OpensslCa
from tests.brokers.links import broker_link
from tests.brokers.mosquitto import LiveMosquitto


@pytest.mark.parametrize("kind", [AdapterKind.MOSQUITTO_DYNSEC, AdapterKind.MOSQUITTO_FILES])
def test_crls_count_as_read_only_where_mosquitto_loaded_them(
    tmp_path: Path, settings: Settings, openssl_ca: OpensslCa, monkeypatch: pytest.MonkeyPatch, kind: AdapterKind
) -> None:
    settings.GATEHOUSE_HOME = tmp_path
    live = LiveMosquitto(tmp_path / "brokers" / "hall-7")
    certificate, key = openssl_ca.make("broker", "subjectAltName=IP:127.0.0.1")
    first = openssl_ca.crl()
    live.prepare(
        client_ca=openssl_ca.certificate, crl=first, server_chain=certificate.read_text(), server_key=key.read_text()
    )
    conf, other = live.folder / CONFIGURATION_FILE, live.folder / "other.pem"
    conf.write_text(conf.read_text().replace(f"crlfile {live.folder / CRL_FILE}", f"crlfile {other}"))
    other.write_text(first)
    link = broker_link(kind, {**live.connection, "files": {"directory": "hall-7"}})
    adapter = (MosquittoDynsecAdapter if kind is AdapterKind.MOSQUITTO_DYNSEC else MosquittoAclFileAdapter)(link=link)
    live.start()
    try:
        assert adapter.publish_crl(openssl_ca.crl(), trust="").endswith("Mosquitto has read it.")
        other.unlink()  # as where it runs as a user who may not read it
        with pytest.raises(CrlNotLoaded, match="lets revoked certificates in"):
            adapter.publish_crl(openssl_ca.crl(), trust="")
        other.write_text("no CRL")
        with pytest.raises(CrlNotLoaded):
            adapter.publish_crl(openssl_ca.crl(), trust="")
        other.write_text(first)
        assert "up to date" in adapter.publish_crl((live.folder / CRL_FILE).read_text(), trust="")
        monkeypatch.setattr(mosquitto_reload, "_BEGINS", "what no Mosquitto logs")
        monkeypatch.setattr(mosquitto_reload, "_SECONDS", 0.1)
        assert "Whether it could stands in its log" in adapter.publish_crl(first, trust="")
    finally:
        live.stop()
    newest = openssl_ca.crl()
    with pytest.raises(BrokerUnreachable):
        adapter.publish_crl(newest, trust="")
    assert (live.folder / CRL_FILE).read_text() == newest


FAULT = 'Error: Unable to load certificate revocation file "crl.pem". Check crlfile.'


@pytest.mark.parametrize("time", ["", "1795312652: ", "2026-11-22T02:00:00: "])
def test_what_clients_have_logged_is_taken_for_neither_beginning_nor_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time: str
) -> None:
    monkeypatch.setattr(mosquitto_reload, "_SECONDS", 0.05)
    (tmp_path / "hall-7").mkdir()
    log, folder = tmp_path / "hall-7" / LOG_FILE, MosquittoFolder(root=tmp_path, name="hall-7")
    log.touch()

    def reading(*lines: str) -> str:
        def tell() -> str:
            with log.open("a") as written:
                written.writelines(f"{time}{line}\n" for line in lines)
            return "Told."

        return seen_in_file(folder, tell)

    assert "does not see" in reading("pump-1 0 up/Reloading config.", "pump-1 0 up/: Reloading config.")
    named = f"New client connected from 192.0.2.7:40000 as {FAULT} (p2, c1, k60, u'pump-1')."
    assert reading("Reloading config.", named, f"pump-1 0 up/{FAULT}") == "Told."
    with pytest.raises(CrlNotLoaded):
        reading("Reloading config.", FAULT)
