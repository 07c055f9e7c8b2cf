"""Renders the roles' templates as a task of Ansible's does, one line of JSON after the other: Ansible is loaded once.

In a process of its own, because Ansible's loader of collections takes the place of Python's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).resolve().parents[2]


def render(template: str, values: str) -> str:
    """The text of the template at a path, with the variables of a YAML file, as by ``-e @values``."""
    loader = DataLoader()
    variables = loader.load_from_file(values, cache="none", trusted_as_template=True)
    lookup = trust_as_template(f"{{{{ lookup('graceful.deploy.template', {template!r}) }}}}")
    return str(Templar(loader, variables).template(lookup))


init_plugin_loader([str(ROOT / ".collections")])
for line in sys.stdin:
    try:
        answer = {"text": render(**json.loads(line))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
