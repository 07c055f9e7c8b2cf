# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Has Python keep what it compiled of our own files, beside them in `__pycache__`, as it does for any package.

Ansible's loader compiles all that a collection's action imports anew in each run: of ours that is a hundred files.
Importing this file is enough, and only what is imported after it gains. Python sees by itself when a file has
changed, and goes without where it may not write there.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import typing as t
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

# Such as ansible_collections.graceful.deploy.plugins, of which the packages of these names are ours alone to import.
_PLUGINS = __name__.rpartition(".plugin_utils.")[0]
_OURS = tuple(f"{_PLUGINS}.{half}." for half in ("plugin_utils", "module_utils"))


class _Finder(MetaPathFinder):
    """Asked before Ansible's own; packages are left to that one, and so is what isn't a file here."""

    def find_spec(self, fullname: str, path: t.Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        if not fullname.startswith(_OURS):
            return None
        for directory in path or ():
            file = os.path.join(directory, f"{fullname.rpartition('.')[2]}.py")
            if os.path.isfile(file):
                return importlib.util.spec_from_file_location(fullname, file)
        return None


if _PLUGINS:
    sys.meta_path.insert(0, _Finder())
