# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the supervisor reads of an app, which its slots share: written by a deploy under its lock, and put back where it
fails."""

from __future__ import annotations

from collections.abc import Callable

from .._host import files


class UnitFiles:
    """Their text on disk beside the one that is wanted.

    :param reread: has the supervisor go by them.
    :param wanted: their text by path; '' leaves one alone.
    :param before: what they are put back to, by path, where something else is there by now.
    """

    def __init__(
        self, reread: Callable[[], None], wanted: dict[str, str], before: dict[str, str] | None = None
    ) -> None:
        self.reread = reread
        found = {path: files.read_text(path) for path in wanted} | (before or {})
        self.changes = {path: (found[path], text) for path, text in wanted.items() if text and found[path] != text}
        """What differs: the text that was found, and the wanted one."""
        self.written = before is not None

    @property
    def found(self) -> dict[str, str]:
        """What they are put back to, of those that differ."""
        return {path: found for path, (found, _wanted) in self.changes.items()}

    def write(self) -> None:
        if self.changes:
            self.written = True
            self._replace({path: wanted for path, (_found, wanted) in self.changes.items()})

    def put_back(self) -> None:
        """Undo write(). The units of a first deploy stay: nothing starts them."""
        if self.written:
            self._replace({path: found for path, (found, _wanted) in self.changes.items() if found})

    def _replace(self, texts: dict[str, str]) -> None:
        for path, text in texts.items():
            files.write(path, text.encode(), 0o644)
        if texts:
            self.reread()

    def diffs(self) -> list[dict[str, str]]:
        """As Ansible's ``--diff`` shows them."""
        return [
            {"before_header": path, "after_header": path, "before": found, "after": wanted}
            for path, (found, wanted) in self.changes.items()
        ]
