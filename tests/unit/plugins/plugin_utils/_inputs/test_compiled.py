"""What Python compiled of our files on the control node is kept, and a changed file is compiled anew."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import compiled

OURS = compiled.__name__.removesuffix(".plugin_utils._inputs.compiled")
COLLECTIONS = Path(compiled.__file__).parents[6]
# As ansible-playbook does it: its loader is there before the action is asked for.
IMPORT = f"""
import importlib, sys
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
_AnsibleCollectionFinder(paths=[sys.argv[1]])._install()
importlib.import_module("{OURS}.action.preflight")
for name, module in sys.modules.items():
    if name.startswith(("{OURS}.plugin_utils.", "{OURS}.module_utils.")):
        print(name, type(module.__loader__).__name__, hasattr(module, "__path__"))
"""


def test_all_that_preflight_imports_of_ours_is_kept():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, str(COLLECTIONS)], capture_output=True, text=True, check=True, timeout=60
    )
    files = [line.split()[:2] for line in done.stdout.splitlines() if line.endswith("False")]
    assert len(files) > 80
    assert {name for name, loader in files if loader != "SourceFileLoader"} == {compiled.__name__}


def test_a_changed_file_is_compiled_anew(tmp_path: Path):
    file, name = tmp_path / "words.py", f"{OURS}.module_utils.words"
    for number, text in enumerate(("SAID = 1\n", "SAID = 23\n")):
        file.write_text(text)
        os.utime(file, (number, number))
        spec = compiled._Finder().find_spec(name, [str(tmp_path)])
        assert spec and isinstance(spec.loader, SourceFileLoader)
        scope: dict[str, int] = {}
        exec(spec.loader.get_code(name), scope)
        assert scope["SAID"] == (1, 23)[number]


def test_packages_and_what_is_not_ours_are_left_to_ansible(tmp_path: Path):
    (tmp_path / "_app").mkdir()
    (tmp_path / "words.py").touch()
    find = compiled._Finder().find_spec
    assert find(f"{OURS}.module_utils._app", [str(tmp_path)]) is None
    assert find("ansible_collections.other.one.plugins.module_utils.words", [str(tmp_path)]) is None
    assert find(f"{OURS}.modules.words", [str(tmp_path)]) is None
