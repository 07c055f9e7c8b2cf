# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The library ``packaging``, which ansible-core brings along, for the files beside this one."""

from __future__ import annotations

try:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.tags import Tag, compatible_tags, cpython_tags
    from packaging.utils import canonicalize_name, canonicalize_version, parse_sdist_filename, parse_wheel_filename
    from packaging.version import Version
except ImportError:
    # ansible-test imports every file without what ansible-core needs. Nobody else gets here.
    InvalidRequirement = Requirement = InvalidSpecifier = SpecifierSet = None  # type: ignore[assignment,misc]
    Tag = Version = compatible_tags = cpython_tags = None  # type: ignore[assignment,misc]
    canonicalize_name = canonicalize_version = None  # type: ignore[assignment]
    parse_sdist_filename = parse_wheel_filename = None  # type: ignore[assignment]

__all__ = [
    "InvalidRequirement",
    "InvalidSpecifier",
    "Requirement",
    "SpecifierSet",
    "Tag",
    "Version",
    "canonicalize_name",
    "canonicalize_version",
    "compatible_tags",
    "cpython_tags",
    "parse_sdist_filename",
    "parse_wheel_filename",
]
