# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``tune``: reads what is to be asked, prints the table, draws the picture."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import asdict

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._app.history import deployer
from ..plugin_utils._draw.picture import DrawError, draw, page
from ..plugin_utils._inputs import paths
from ..plugin_utils._inputs.variables import place, plain
from ..plugin_utils._tune import show

RANGES: dict[str, tuple[type, float, float, float]] = {
    "clients": (int, 64, 1, 1000),
    "think": (float, 0, 0, 60),
    "seconds": (float, 8, 1, 120),
    "most": (int, 8, 1, 64),
    "idle": (int, 50, 0, 100),
    "slower": (float, 2, 1.5, 100),
}
"""Type, default, least and most of each number."""
Result = dict[str, t.Any]


class _Refused(Exception):
    """What is wrong with what was given, for the user."""


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        host = str((task_vars or {}).get("inventory_hostname", "host"))
        try:
            given = self._checked(arguments)
        except (_Refused, paths.PathsError) as refused:
            return {**result, "failed": True, "msg": f"{refused} Nothing was changed."}
        arguments |= {**given, "by": arguments.get("by") or deployer()}
        say = Display().display
        if not self._task.check_mode:
            most = given["most"] * (1.25 * given["seconds"] + 5)
            long = f"{most / 60:.0f} min" if most > 90 else f"{most:.0f} s"
            say(
                f"{host}: measuring 1 to {given['most']} workers, some {long}. The requests are real: "
                "what they write is in the app's database, and in its log."
            )
        answer = self._execute_module("graceful.deploy.tune", arguments, task_vars=task_vars)
        result.update(answer)
        if result.get("failed") or not result.get("counts"):
            return result
        asked = ", ".join(
            f"{kind['share']} x {_said(kind)}" if len(given["paths"]) > 1 else _said(kind) for kind in given["paths"]
        )
        result |= {"asked": asked, "when": result["tuned"]["at"], **{name: given[name] for name in RANGES}}
        name = str(arguments.get("name"))
        said = [*show.table(result), "", *show.notes(result), "", f"fastapi_workers: {result['chosen']}"]
        said[-1] = result["line"]
        say("\n".join(["", f"{host}: {name}, release {result['release']}", *said, ""]))
        try:
            result["files"] = self._write(result, str(arguments.get("into") or "tune"), name, host)
            say(f"{host}: {', '.join(result['files'])}")
        except OSError as error:
            result.setdefault("warnings", []).append(f"What was measured could not be written: {error}")
        if given["apply"] and result["doubt"]:
            result |= {"failed": True, "msg": f"Measured, and not applied. {result['doubt']}"}
        return result

    def _checked(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        """The kinds of requests and the numbers, as the module takes them.

        :raises _Refused: or paths.PathsError: what is wrong, and what to write.
        """
        asked = paths.read(plain(arguments.get("paths") or ""))
        for each in asked:
            if each.method == "HEAD":
                raise _Refused(f"paths has HEAD {each.path}, which h2load can't ask by HTTP/1.1. Write GET.")
        given: dict[str, t.Any] = {"paths": [asdict(each) for each in asked]}
        for name, (kind, default, least, most) in RANGES.items():
            value = arguments.get(name, default)
            try:
                number = kind(str(value))
            except ValueError:
                number = None
            if number is None or not least <= number <= most:
                what = "a whole number" if kind is int else "a number"
                raise _Refused(
                    f"{name} is {value!r}, and has to be {what} from {least:g} to {most:g}: -e {name}={default:g}."
                )
            given[name] = number
        if given["clients"] < len({(each.method, each.body) for each in asked}):
            raise _Refused(f"clients is {given['clients']}, and there are more kinds of requests than that in paths.")
        workers = arguments.get("workers", "auto")
        apply = str(arguments.get("apply", False)).lower() in ("true", "yes", "1", "on")
        if apply and str(workers) != "auto":
            where = place(workers)
            raise _Refused(
                f"apply is true, and fastapi_workers is {workers}{f' ({where})' if where else ''}: the next deploy "
                "would bring that number again. Write fastapi_workers: auto; or leave apply out, and write the number."
            )
        return given | {"apply": apply}

    def _write(self, result: Result, into: str, name: str, host: str) -> list[str]:
        into = os.path.abspath(os.path.expanduser(into))
        base = re.sub(r"[^A-Za-z0-9._-]", "_", f"{name}-{host}")
        os.makedirs(into, exist_ok=True)
        figures = os.path.join(into, f"{base}.json")
        kept = {key: value for key, value in result.items() if key not in ("invocation", "warnings", "_ansible_parsed")}
        with open(figures, "w", encoding="utf-8") as file:
            file.write(json.dumps(plain(kept), indent=2) + "\n")
        files = [figures]
        try:
            files += draw(show.picture(result, name, host), into, base, Display().display)
        except DrawError as error:
            Display().display(str(error))
        title = f"How many workers for {name} on {host}"
        files.append(page(title, result["line"], into, base, show.tables(result), show.notes(result)))
        return [os.path.relpath(path) for path in files]


def _said(kind: t.Mapping[str, t.Any]) -> str:
    return f"{kind['method']} {kind['path']}"
