"""What test_races.py runs in a process of its own: many at once against a real database."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from django.db import connection

from devices import queries, services
from devices.models import Device, EnrolmentRequest
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from kernel.queries import verify_journal
from pki import queries as pki
from pki.core.values import CertificateState, ReasonCode
from tests.cast import ADA, NORTH
from tests.devices.factory import Factory
from tests.devices.openssl import Workshop

MANY = 20


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each call gave, or the code of its error; all begin together."""
    gate, found = threading.Barrier(len(calls)), [None] * len(calls)

    def run(place: int) -> None:
        gate.wait()
        try:
            found[place] = calls[place]()
        except DomainError as error:
            found[place] = error.code  # type: ignore[call-overload]
        except Exception as error:  # noqa: BLE001 - the test looks at it
            found[place] = repr(error)  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def told(outcomes: Sequence[Any]) -> dict[str, int]:
    """How often each outcome came; successes counted as `ok`."""
    return dict(Counter(each if isinstance(each, str) else "ok" for each in outcomes))


class Races:
    """A factory in north, and the races."""

    def __init__(self) -> None:
        self.workshop = Workshop(Path(tempfile.mkdtemp()))
        self.factory = Factory(NORTH, "north", self.workshop, utc_now())

    def wish(self, name: str, **wish: Any) -> Callable[[], Any]:
        """An enrolment that is yet to be sent."""
        given = {"hardware_serial": "", "attributes": {}, "address": "", "now": utc_now(), **wish}
        given.setdefault("csr", self.workshop.csr())
        return lambda: services.enroll_device(name=name, **given)

    def quota(self) -> dict[str, Any]:
        """Twenty devices with a token for five."""
        token = self.factory.mint(uses=5).token
        outcomes = at_once([self.wish(f"quota-{number}", token=token) for number in range(MANY)])
        [row] = [row for row in queries.list_enrolment_tokens(domains=[NORTH]) if row.max_uses == 5]
        return {"told": told(outcomes), "uses": row.uses, "left": self._devices("quota-")}

    def same_wish(self) -> dict[str, Any]:
        """One device that sends its wish twenty times."""
        token, csr = self.factory.mint(uses=1).token, self.workshop.csr()
        outcomes = at_once([self.wish("same-1", token=token, csr=csr) for _ in range(MANY)])
        serials = {each.certificate.serial for each in outcomes if not isinstance(each, str)}
        [device] = Device.objects.filter(name="same-1")
        good = [
            each for each in pki.certificates_of(holder=f"device:{device.id}") if each.state is CertificateState.ISSUED
        ]
        return {"told": told(outcomes), "serials": len(serials), "good": len(good)}

    def one_name(self) -> dict[str, Any]:
        """Ten devices that want one name."""
        token = self.factory.mint().token
        outcomes = at_once([self.wish("name-1", token=token) for _ in range(10)])
        return {"told": told(outcomes), "left": self._devices("name-")}

    def one_key(self) -> dict[str, Any]:
        """One key that wants ten names."""
        token, csr = self.factory.mint().token, self.workshop.csr()
        outcomes = at_once([self.wish(f"key-{number}", token=token, csr=csr) for number in range(10)])
        return {"told": told(outcomes), "left": self._devices("key-")}

    def renewal_against_revocation(self) -> dict[str, Any]:
        """A device that renews eight times while it is revoked."""
        made = self.factory.enroll("renew-1")
        chain = x509.load_pem_x509_certificates(made.certificate.pem.encode())
        requests = [self.workshop.csr() for _ in range(8)]

        def renew(csr: str) -> Callable[[], Any]:
            return lambda: services.renew_credential(chain=chain, csr=csr, address="", now=utc_now())

        def revoke() -> Any:
            reason = ReasonCode.KEY_COMPROMISE
            return services.revoke_device(device=made.device.id, reason=reason, actor=ADA, now=utc_now())

        outcomes = at_once([*map(renew, requests[:4]), revoke, *map(renew, requests[4:])])
        held = pki.certificates_of(holder=f"device:{made.device.id}")
        return {"told": told(outcomes), "states": sorted({each.state.value for each in held})}

    def _devices(self, prefix: str) -> int:
        waiting = EnrolmentRequest.objects.filter(name__startswith=prefix).exclude(state="issued").count()
        rows = Device.objects.filter(name__startswith=prefix)
        assert waiting == 0, f"{waiting} requests were left half-done"
        assert rows.count() == rows.filter(state="active", credentials__isnull=False).count(), "half-done devices"
        return rows.count()


def run_all() -> dict[str, Any]:
    """The outcome of each race."""
    races = Races()
    names = ("quota", "same_wish", "one_name", "one_key", "renewal_against_revocation")
    found = {name: getattr(races, name)() for name in names}
    return {**found, "journal": sum(type(each).__name__ == "Break" for each in verify_journal())}
