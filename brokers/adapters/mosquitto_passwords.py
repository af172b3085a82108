"""The password file of a Mosquitto on the same machine: all of it is ours, and Mosquitto reads it at a signal.

Beside the dynamic security plugin it decides over those who have no password in the plugin, which takes none that is
hashed; the plugin has checked the client id by then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from brokers.adapters.mosquitto_files import FileNotReadable, PasswordFolder
from brokers.adapters.shared_folder import UnsafeFolder
from brokers.conf import files_root
from brokers.core.mosquitto.conf import PASSWORD_FILE
from brokers.core.password_steps import SET, TAKE, password_steps
from brokers.core.password_texts import fingerprint, mosquitto, texts_in
from brokers.core.ports import BrokerUnreachable, DesiredState, Step

_UNREAD = "Have Mosquitto read the password file."
_KINDS = frozenset({SET, TAKE, "read-passwords"})


class MosquittoPasswords:
    """The file. Without a `directory` (a broker that takes no passwords, and never did) nothing is ever done.

    `control` is the account that may give commands, of which the file says nothing.
    """

    def __init__(self, directory: str | None, *, control: str = "") -> None:
        self._directory, self._control = directory, control

    def read(self, *, only: Collection[str] | None) -> Mapping[str, str]:
        """The fingerprints of what stands in the file, and under an empty name what is wrong with it as a whole.

        A folder that is gone or can not be read is wrong so, and no reason to leave all else as it is.
        """
        if self._directory is None:
            return {}
        try:
            folder = _folder(self._directory)
            found = {name: fingerprint(text) for name, text in _lines(folder).items() if only is None or name in only}
            return found if _is_told(folder) else {**found, "": _UNREAD}
        except (UnsafeFolder, BrokerUnreachable) as error:
            return {"": error.detail}

    def wanted(self, desired: DesiredState) -> Mapping[str, str]:
        """What it should say of each; nothing of a name with a colon, whose line would be about somebody else."""
        texts = {} if self._directory is None else texts_in(desired, mosquitto)
        return {name: text for name, text in texts.items() if ":" not in name and name != self._control}

    def plan(self, desired: DesiredState, present: Mapping[str, str]) -> list[Step]:
        """Whose passwords differ; of a file that can not be read, what is wrong with it."""
        if self._directory is None:
            return []
        wrong = present.get("", "")
        steps = password_steps(self.wanted(desired), present) if wrong in ("", _UNREAD) else []
        return [*steps, Step(kind="read-passwords", target=PASSWORD_FILE, summary=wrong)] if wrong else steps

    def take(self, steps: Sequence[Step]) -> list[Step]:
        """The steps that are about something else; the passwords that go are gone, before all else changes.

        If that can not be written, or Mosquitto not be told, what they could do is not to wait: `give` raises it.
        """
        with suppress(FileNotReadable, UnsafeFolder, BrokerUnreachable):
            self._change([step for step in steps if step.kind == TAKE])
        return [step for step in steps if step.kind not in _KINDS]

    def give(self, steps: Sequence[Step]) -> None:
        """Writes the passwords that come, once all else has changed: what binds a name's client id is there then.

        Raises BrokerUnreachable, FileNotReadable, UnsafeFolder.
        """
        ours = [step for step in steps if step.kind in _KINDS]
        if ours and self._directory is not None and _is_told(_folder(self._directory)):
            ours = [step for step in ours if step.kind != TAKE]  # that is done
        self._change(ours)

    def _change(self, steps: Sequence[Step]) -> None:
        if not steps or self._directory is None:
            return
        folder = _folder(self._directory)
        lines = _lines(folder)
        for step in steps:
            if step.kind == SET:
                lines[step.target] = step.payload
            elif step.kind == TAKE:
                lines.pop(step.target, None)
        folder.put(PASSWORD_FILE, "".join(f"{name}:{text}\n" for name, text in sorted(lines.items())))


def _folder(directory: str) -> PasswordFolder:
    return PasswordFolder(root=files_root(), name=directory)


def _is_told(folder: PasswordFolder) -> bool:
    """Whether Mosquitto was told to read what stands in the file."""
    return bool(folder.text(f"{PASSWORD_FILE}.told")) and folder.is_told(PASSWORD_FILE)


def _lines(folder: PasswordFolder) -> dict[str, str]:
    """What the file keeps, by name; lines that Mosquitto would not read either are left out."""
    rows = (line.partition(":") for line in folder.text(PASSWORD_FILE).splitlines())
    return {name: text for name, colon, text in rows if name and colon}
