"""The one connection of this process with the hardware token: opened when needed, and anew when it was lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import RLock
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, ObjectClass, PKCS11Error
from pkcs11.types import Session, SignMixin

from kernel.core.errors import Unavailable
from pki.conf import pkcs11_token
from pki.core.ports import KeyGone, TokenSettings

Answer = TypeVar("Answer")

_REFUSALS = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked, pkcs11.PinExpired)


class TokenAway(Unavailable):
    """The hardware token does not answer."""

    code = "token-away"


class NoToken(Unavailable):
    """No hardware token is set, or not in a way that can work: later may be after the settings were put right."""

    code = "token-not-configured"


class TokenLink:
    """One session with one token, logged in.

    One call at a time: the library is initialised without arguments, which promises just that (PKCS#11 2.40, 5.4).
    A PIN that was refused is not tried again in this process, since tokens lock themselves after a few.
    """

    def __init__(self, settings: TokenSettings) -> None:
        self.settings = settings
        self._lock = RLock()
        self._session: Session | None = None
        self._found: dict[bytes, SignMixin] = {}
        self._refused = ""
        self._forked = False
        os.register_at_fork(after_in_child=self._after_fork)

    def run(self, work: Callable[[Session], Answer]) -> Answer:
        """What `work` makes of the session; if the token was lost, it is reached anew once.

        Raises TokenAway, NoToken, KeyGone and what `work` does.
        """
        with self._lock:
            try:
                return work(self._connected())
            except (PKCS11Error, KeyGone):
                self._drop()
            try:
                return work(self._connected())
            except PKCS11Error as error:
                self._drop()
                raise self._away(error) from error

    def sign(self, id: bytes, octets: bytes, mechanism: pkcs11.Mechanism) -> bytes:
        """The signature by the key with this CKA_ID, as the mechanism makes it. Raises TokenAway, NoToken, KeyGone."""
        return self.run(lambda session: self._key(session, id).sign(octets, mechanism=mechanism))

    def can(self, *mechanisms: pkcs11.Mechanism) -> bool:
        """Whether the token knows all of these. Raises TokenAway, NoToken."""
        return self.run(lambda session: set(mechanisms) <= set(session.token.slot.get_mechanisms()))

    def _key(self, session: Session, id: bytes) -> SignMixin:
        if id not in self._found:
            found = [*session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: id})]
            if len(found) != 1 or not isinstance(found[0], SignMixin):
                raise KeyGone(f"The token {self.settings.label} has no key {id.hex()}: was it replaced, or cleared?")
            self._found[id] = found[0]
        return self._found[id]

    def _connected(self) -> Session:
        if self._refused:
            raise NoToken(self._refused)
        if self._session is None:
            if not self.settings.module or not self.settings.label:
                raise NoToken(
                    "No hardware token is set: set GATEHOUSE_PKCS11_MODULE, GATEHOUSE_PKCS11_TOKEN and "
                    "GATEHOUSE_PKCS11_PIN."
                )
            self._session = self._log_in()
        return self._session

    def _log_in(self) -> Session:
        library = pkcs11.lib(self.settings.module)
        if self._forked:  # a child has no part in its parent's sessions (PKCS#11 2.40, 6.6.1)
            _start_anew(library)
            self._forked = False
        token = library.get_token(token_label=self.settings.label)
        try:
            return token.open(rw=True, user_pin=self.settings.pin.reveal())
        except _REFUSALS as error:
            self._refused = (
                f"The token {self.settings.label} refuses the PIN ({type(error).__name__}): set the right "
                "GATEHOUSE_PKCS11_PIN and start again. It is not tried again, so that the token does not lock itself."
            )
            raise NoToken(self._refused) from None

    def _drop(self) -> None:
        """Forgets the connection, and makes the library look for its tokens anew."""
        self._session = None
        self._found.clear()
        if self.settings.module:
            try:
                _start_anew(pkcs11.lib(self.settings.module))
            except PKCS11Error:
                return  # said at the next attempt to connect

    def _after_fork(self) -> None:
        self._lock = RLock()  # the parent's may be held, by a thread that is not here
        self._session = None
        self._found = {}
        self._forked = True

    def _away(self, error: PKCS11Error) -> TokenAway:
        words = str(error) or type(error).__name__
        return TokenAway(
            f"The token {self.settings.label} does not answer ({words}): is it plugged in, and is "
            f"{self.settings.module} its library?"
        )


def _start_anew(library: Any) -> None:
    """Ends what the library has open, and begins again."""
    try:
        library.finalize()
    finally:
        library.initialize()


_links: list[TokenLink] = []
_links_lock = RLock()


def token_link() -> TokenLink:
    """The process's link to the token of the settings."""
    settings = pkcs11_token()
    with _links_lock:
        if not _links or _links[0].settings != settings:
            _links[:] = [TokenLink(settings)]
        return _links[0]
