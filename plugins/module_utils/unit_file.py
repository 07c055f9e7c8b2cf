# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service unit that an app's slots share: written by a deploy under its lock, and put back where it fails."""

from __future__ import annotations

import os
import tempfile

from ansible_collections.graceful.deploy.plugins.module_utils.systemctl import Systemd


class UnitFile:
    """One unit's text on disk beside the one that is wanted.

    :param wanted: its text; '' leaves it alone.
    """

    def __init__(self, systemd: Systemd, path: str, wanted: str) -> None:
        self.systemd = systemd
        self.path = path
        self.wanted = wanted
        self.found = self._read()
        self.written = False

    def _read(self) -> str:
        try:
            with open(self.path, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    @property
    def differs(self) -> bool:
        return bool(self.wanted) and self.found != self.wanted

    def write(self) -> None:
        if self.differs:
            self.written = True
            self._replace(self.wanted)

    def put_back(self) -> None:
        """Undo write(). The unit of a first deploy stays: nothing starts it."""
        if self.written and self.found:
            self._replace(self.found)

    def _replace(self, text: str) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(self.path), prefix=".graceful-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.rename(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
        self.systemd.do("daemon-reload")

    def diff(self) -> dict[str, str]:
        """As Ansible's ``--diff`` shows it."""
        header = {"before_header": self.path, "after_header": self.path}
        return {**header, "before": self.found, "after": self.wanted}
