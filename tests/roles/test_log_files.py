# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The copy of the journal in files, as far as it needs no journal."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "roles/log_rotation/files/log_files.py"
SPEC = importlib.util.spec_from_file_location("log_files", PATH)
log_files = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(log_files)


@pytest.mark.parametrize(
    ("cursor", "following", "gone"),
    [
        ("", "s=a;i=9;b=x", 0),
        ("s=a;i=9;b=x", "s=a;i=a;b=x", 0),
        ("s=a;i=9;b=x", "s=a;i=1a;b=y", 16),
        ("s=a;i=1a;b=x", "s=b;i=ff;b=x", 0),
        ("s=a;i=1a;b=x", "s=a;i=9;b=x", 0),
    ],
)
def test_what_the_journal_dropped_is_counted(cursor, following, gone):
    assert log_files.gone_between(cursor, following) == gone


def test_what_was_written_after_the_last_position_is_written_anew(tmp_path):
    """However it was ended: also when a file was rotated meanwhile."""
    files = log_files.Files(tmp_path, 2_000_000, 1000)
    files.write({"app.log": [b"one\n"]}, "s=a;i=1")
    files.commit()
    files.write({"app.log": [b"two\n"]}, "s=a;i=2")
    again = log_files.Files(tmp_path, 2_000_000, 1000)
    assert again.cursor == "s=a;i=1" and (tmp_path / "app.log").read_bytes() == b"one\n"
    again.write({"app.log": [b"x" * 200_000 + b"\n"]}, "s=a;i=2")
    again.rotate()
    (rotated,) = tmp_path.glob("app.log.*")
    assert rotated.read_bytes() == b"one\n" + b"x" * 200_000 + b"\n"
    assert log_files.Files(tmp_path, 2_000_000, 1000).cursor == "s=a;i=2" and os.stat(tmp_path / "app.log").st_size == 0


def test_the_oldest_go_first_and_the_too_old_always(tmp_path):
    rotated = [(float(age), 10, tmp_path / str(age)) for age in range(5)]
    assert log_files.to_remove(rotated, 4.0, 30, 100) == [tmp_path / "1", tmp_path / "0"]
    assert log_files.to_remove(rotated, 4.0, 1000, 2) == [tmp_path / "1", tmp_path / "0"]
