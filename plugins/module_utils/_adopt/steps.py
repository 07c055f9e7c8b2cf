# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's part of moving an app in: begin, compare, exchange, finish and undo, each to be run again at any time."""

from __future__ import annotations

import os
from typing import Any

from .._app.roots import ADOPTED, roots_by_units
from .._app.slots import App
from .._hand.nginx_conf import Unreadable
from .._host.files import names_in
from .._host.systemd import CommandFailed, Run
from .._layer.flow import Layer
from . import answers, record
from .exchange import braced, imports, of_caddy, of_nginx, put_back, vet_back, with_import, without_import
from .loses import Kept
from .old import ASIDE, Old, counted, drain
from .programs import Host, Refused
from .proxies import MAIN, proxy_files

START_LIMIT = 60
"""Seconds within which what was stopped has to answer again."""
UNITS = {"nginx": "nginx.service", "caddy": "caddy.service"}
SITES = "/etc/caddy/sites"
_OURS = {
    "nginx": ("/etc/nginx/sites-enabled/zz-graceful-{name}.conf",),
    "caddy": ("/etc/caddy/sites/{name}.caddy", "/etc/caddy/sites/{name}.users", "/etc/caddy/sites/{name}.health"),
}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two rows have the same at a path, whoever's it is."""
    return all(one.get(key) == other.get(key) for key in ("state", "content", "link"))


def _sites_of_others(name: str) -> bool:
    """Whether the directory for our sites of Caddy has any that is neither an app's of that name nor all apps'."""
    ours = (f"{name}.caddy", "_unknown.caddy")
    return any(each.endswith(".caddy") and not each.startswith(".") and each not in ours for each in names_in(SITES))


class Move:
    """One run of a step.

    :param params: the module's options: ``name``, ``root``, ``user``, ``adopt``, ``host``, ``scheme``, ``paths``,
        ``patience``.
    :param check: tell, and do nothing.
    """

    def __init__(self, run: Run, params: dict[str, Any], check: bool) -> None:
        self.run, self.params, self.check = run, params, check
        self.app = App(params["name"], params["root"])
        self.record = record.load(self.app.root)
        self.adopt = self.record.get("adopt") or params["adopt"]
        self.proxy = self.adopt.get("proxy", "")
        self.at = self.adopt.get("at", "")
        if not self.adopt and params["step"] not in ("undo", "tidy"):
            raise CommandFailed(
                "The inventory has no `adopt`, which says what is moved. Run adopt.yml without -e step first: it "
                "writes that."
            )
        self.old = Old(run, self.adopt) if self.adopt else None
        self.before = self.record.get("stage", "")
        self.waiting = f"/run/{self.app.name}/waiting"

    def go(self) -> dict[str, Any]:
        """:raises CommandFailed: and Refused, where the step may not be, or failed."""
        result: dict[str, Any] = getattr(self, f"_{self.params['step']}")()
        return {"changed": False, "stage": self.record.get("stage", ""), **result}

    def _set(self, stage: str, **more: Any) -> None:
        self.record |= {"stage": stage, **more}
        if not self.check:
            record.save(self.app.root, self.record)

    def _so_far(self) -> str:
        """How far the move is, by what earlier runs have noted."""
        ours, theirs = self.app.name, self.old.name if self.old else self.adopt["unit"]
        return {
            "beside": f"How {theirs} is run was noted by an earlier run. It has the traffic.",
            "moving": f"An earlier step=move of {ours} didn't come to its end: clients are {theirs}'s still, or ours.",
            "moved": f"{ours} has the traffic already, and {theirs} runs on. Nothing was changed.",
            "finishing": f"{ours} has the traffic already; an earlier step=finish of {theirs} didn't come to its end.",
            "finished": f"{ours} has the traffic already; {theirs} is stopped and disabled. Nothing was changed.",
        }[self.before]

    def _begin(self) -> dict[str, Any]:
        """Note how the host is, before anything of ours is there."""
        if not self.old:
            raise CommandFailed("Nothing on this host is known as the old one: read it first, without -e step=.")
        before = self.record if self.before == "undoing" else {}
        if self.record and not before:
            return {"msg": self._so_far(), "done": self.before != "beside"}
        if unread := self.adopt.get("unread"):
            raise Refused(
                f"{', '.join(unread)} couldn't be read on the host, and the app may take its environment from there. "
                "Write its variables into fastapi_env, take `unread` out of `adopt` in app.yml, and run again."
            )
        state = self.old.state()
        # What an app that moved in before has brought or taken for all goes back with the last of them.
        others = record.others(self.app.name, self.proxy)
        gone = {row["path"]: row for other in others for row in other.get("taken", []) if row["state"] == "present"}
        taken = [gone.get(path) or record.kept(path) for path in record.TAKEN.get(self.proxy, ())]
        missing = [*before.get("missing", []), *record.missing(self.proxy)]
        missing += [path for other in others for path in other.get("missing", [])]
        user = self.params["user"]
        record.vet(taken)
        if not state["active"]:
            raise CommandFailed(
                f"{self.old.name} doesn't run, so there is nothing to move from and nothing to compare with. Start it, "
                "or "
                "deploy by site.yml."
            )
        # What an undo that was cut off has left is taken off by the next one.
        self.record = {
            "name": self.app.name,
            "adopt": self.adopt,
            "was": state,
            "missing": list(dict.fromkeys(missing)),
            "taken": before.get("taken", taken),
            "user": user,
            "made_user": before.get("made_user", False)
            or not record.has_user(user)
            or any(other.get("made_user") and other.get("user") == user for other in others),
        }
        self._set("beside")
        noted = os.path.join(self.app.root, ADOPTED)
        msg = f"Noted for the way back how {self.old.name} is run, in {noted}. Nothing else was changed so far."
        return {"changed": True, "msg": msg}

    def _compare(self) -> dict[str, Any]:
        """Ask both, where both run."""
        if self.before in ("finishing", "finished"):
            return {"msg": "The old one has ended, so there is nothing to compare with."}
        live = f"unix:{self.app.link}"
        host, scheme = self.params["host"], self.params["scheme"]
        rows = answers.compare(self.at, live, self.params["paths"], host, scheme)
        text = answers.table(rows)
        odd = [row["path"] for row in rows if row["old"] != row["new"]]
        return {"rows": rows, "text": text, "differ": odd}

    def _exchange(self) -> dict[str, Any]:
        """What the proxy's role takes out, and what of it is kept for the way back."""
        if not self.record:
            raise CommandFailed("Nothing of it runs beside the old one yet. Run step=beside first.")
        if self.before == "moving":
            for wanted, before in self._files():
                if not any(same(record.kept(wanted["path"]), each) for each in (wanted, before)):
                    raise self._changed(wanted["path"])
            return {"replaces": self.record["replaces"], "msg": "The site was noted by an earlier run."}
        if self.before not in ("beside", "undoing"):
            # Nothing of it is written once more: the files are others' again, who may have changed them.
            return {"replaces": [], "msg": self._so_far(), "done": True}
        try:
            files = proxy_files(Host(self.run))[self.proxy]
            entries = (of_nginx if self.proxy == "nginx" else of_caddy)(files, self.at, self._kept())
        except Unreadable as error:
            raise CommandFailed(f"{self.proxy}'s configuration can't be read: {error}") from error
        if not any(row["state"] == "absent" or row.get("content") != files.get(row["path"]) for row in entries):
            raise CommandFailed(f"No site of {self.proxy} on this host passes requests to {self.at} any more.")
        kept = [record.kept(row["path"]) for row in entries]
        record.vet(kept)
        for entry, before in zip(entries, kept, strict=True):
            # What stays is whose it was.
            if entry["state"] == "present" and before["state"] == "present":
                entry |= {key: before[key] for key in ("owner", "group", "mode")}
            if entry["state"] == "present" and "link" in before:
                raise Refused(
                    f"{entry['path']} is a link to {before['link']}, and more than the app's site is in it. Put the "
                    "file itself "
                    "in its place, and run again."
                )
        self._set("moving", files=kept, replaces=entries)
        return {"replaces": entries, "msg": f"Kept {', '.join(row['path'] for row in kept)} for the way back."}

    def _kept(self) -> Kept:
        """What the inventory says of our site now, which a person may have written since the step before."""
        return Kept(self.params["protected"], self.params["static"], self.params["snippet"])

    def _moved(self) -> dict[str, Any]:
        if self.before in ("finishing", "finished", "moved"):
            return {"msg": "The traffic is ours already."}
        self._set("moved")
        return {"changed": True, "msg": "The traffic is ours."}

    def _back(self) -> dict[str, Any]:
        """The old site again, where ours didn't answer as it should."""
        if self.before != "moving":
            return {"msg": "Nothing was exchanged."}
        changes = self._old_site()
        self._set("beside")
        return {"changed": bool(changes), "changes": changes, "msg": "The old site serves again, as before."}

    def _files(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Of each file that the move exchanges, what it is to be and what it was."""
        return list(zip(self.record.get("replaces", []), self.record.get("files", []), strict=True))

    def _changed(self, path: str) -> CommandFailed:
        return CommandFailed(
            f"{path} isn't what it was after the move, and what somebody has written there since would be lost. Move "
            "that away, undo, and bring it back; what was there before the move is in "
            f"{self.app.root}/{ADOPTED}."
        )

    def _site_before(self) -> list[dict[str, Any]]:
        """The files of the old site as they are to be again. What others have done in a Caddyfile since stays in it,
        and so does its line for our sites while another app or somebody's own site there needs that.

        :raises CommandFailed: where somebody has changed since then what would be written over.
        """
        rows, others = [], self._others()
        for wanted, before in self._files():
            now = record.kept(wanted["path"])
            known = any(same(now, each) for each in (wanted, before))
            if not ("content" in before and "content" in wanted and "content" in now):
                if not known:
                    raise self._changed(wanted["path"])
                rows.append(before)
                continue
            text: str = before["content"]
            try:
                if not known:
                    text = put_back(text, now["content"], self.at)
                if wanted["path"] == MAIN["caddy"]:
                    if others or (imports(now["content"]) and _sites_of_others(self.app.name)):
                        text = text if imports(text) else with_import(braced(text))
                    elif SITES in self.record.get("missing", []) and not imports(before["content"]):
                        # A directory that wasn't there had nothing to import.
                        text = without_import(text)
                if text != before["content"]:
                    vet_back(text, before["content"], self.at)
            except Unreadable as error:
                raise self._changed(wanted["path"]) from error
            rows.append({**(before if known else now), "content": text})
        return rows

    def _old_site(self) -> list[str]:
        """Put the old site back and take ours away, by one reload.

        :raises CommandFailed: as _site_before(), and where the proxy refuses it; the files are as they were then.
        """
        ours = [{"path": path.format(name=self.app.name), "state": "absent"} for path in _OURS[self.proxy]]
        # The package's own page takes every name, as the others' sites may: it comes back with the last of them.
        taken = [] if self._others() else self._taken()
        rows = [*self._site_before(), *taken, *ours]
        options = {"owner": "root", "group": "root", "mode": "0644", "package": None, "needs_line": "", "content": None}
        files = [{**options, **row} for row in rows]
        unit = {"name": UNITS[self.proxy], "enabled": False, "state": "kept", "restart_for": []}
        unit["reload_for"] = [row["path"] for row in rows]
        nothing: dict[str, Any] = {"packages": [], "user": None, "directories": [], "secrets": {}, "vet": None}
        layer = Layer(self.run, {**nothing, "files": files, "units": [unit]})
        if not layer.changed_files:
            return []
        if not self.check:
            layer.apply()
        return layer.changes

    def _finish(self) -> dict[str, Any]:
        """End the old one, when the requests that it still has are answered."""
        if not self.old:
            raise CommandFailed("Nothing on this host is known as the old one: read it first, without -e step=.")
        if self.before == "finished":
            return {"msg": self._so_far()}
        if self.before not in ("moved", "finishing"):
            raise CommandFailed(f"{self.old.name} has the traffic still. Run step=move first.")
        if why := self.old.refusal():
            raise Refused(why)
        if self.check:
            return {
                "changed": True,
                "msg": f"{self.old.name} would be stopped, when nobody speaks to it, and disabled.",
            }
        self._set("finishing")
        left = drain(self.at, self.params["patience"], self.waiting)
        self.old.stop(self.record["was"])
        self._set("finished")
        open_ = f"{'was' if left == 1 else 'were'} open still after {self.params['patience']} s"
        told = f" {counted(left)} to it {open_}." if left else ""
        stays = f"its file is {self.old.file}{ASIDE} now" if self.old.kind == "supervisor" else "its files stay"
        return {"changed": True, "left": left, "msg": f"{self.old.name} is stopped and disabled; {stays}.{told}"}

    def _undo(self) -> dict[str, Any]:
        """The old one again: begun and answering before the proxy goes back to it."""
        if not self.record:
            return {
                "msg": "Nothing is being adopted on this host: there is nothing to undo.",
                "left": [],
                "goes": False,
            }
        if not self.old:
            raise CommandFailed("Nothing on this host is known as the old one: read it first, without -e step=.")
        name, was = self.old.name, self.record["was"]
        # Told before anything is done.
        self._site_before()
        if self.check:
            msg = f"{name} would serve again, and {self.app.name} would go."
            return {"changed": True, "msg": msg, "left": [], "goes": True}
        if self.old.state() != was:
            self.old.start(was)
        if wrong := answers.until_answered(self.at, self.params["host"], self.params["scheme"], START_LIMIT):
            raise CommandFailed(f"Nothing was undone, and {self.app.name} serves on: {name} was started, and {wrong}.")
        changes = self._old_site() if self.before != "beside" else []
        # What the proxy had begun by our site is answered by our app before that goes.
        live = self.app.live()
        left = drain(f"unix:{self.app.socket(live)}", self.params["patience"], self.waiting) if live else 0
        self._set("undoing")
        return {
            "changed": True,
            "goes": True,
            "changes": changes,
            "left": self.record["missing"],
            "made_user": self.record["made_user"]
            and not os.path.isdir(os.path.join(self.app.root, "shared"))
            and not record.runs_as(self.params["user"], self.app.name),
            "msg": f"{name} serves again."
            + (f" {counted(left)} to {self.app.name} {'was' if left == 1 else 'were'} open still." if left else ""),
        }

    def _tidy(self) -> dict[str, Any]:
        """What our roles brought for all apps of the proxy, where they brought it for this one."""
        if self.check:
            return {"msg": "What is left would be seen then."}
        gone = [] if (others := self._others()) else record.tidy(self.params["left"])
        if gone:
            self.run(["systemctl", "daemon-reload"])
        told = self._stays(others) if others else ""
        # Last: by this the next run knows that there is something left.
        record.forget(self.app.root)
        if others:
            return {"msg": told}
        return {
            "changed": bool(gone),
            "gone": gone,
            "msg": f"Removed {', '.join(gone)}." if gone else "Nothing was left.",
        }

    def _others(self) -> list[str]:
        """Other apps of ours on the host that have a site at the same proxy."""
        names = [name for name in roots_by_units(record.UNITS) if name != self.app.name]
        sites = _OURS.get(self.proxy, ())[:1]
        return [name for name in names if any(os.path.lexists(path.format(name=name)) for path in sites)]

    def _taken(self) -> list[dict[str, Any]]:
        """What the move has taken away as the package's own."""
        return [row for row in self.record.get("taken", []) if row["state"] == "present"]

    def _stays(self, others: list[str]) -> str:
        """What of the move stays for other apps, and what a person has to do with it when the last of them goes."""
        there = [path for path in self.params["left"] if os.path.lexists(path)]
        # One that moved in has it noted, and its undo puts it back.
        noted = {row["path"] for other in record.others(self.app.name, self.proxy) for row in other.get("taken", [])}
        gone = [row for row in self._taken() if row["path"] not in noted and not os.path.lexists(row["path"])]
        lines = [f"{' and '.join(others)} {'have' if len(others) > 1 else 'has'} a site at {self.proxy} as well."]
        if there:
            lines.append(f"So these stay, which the move had brought: {', '.join(there)}.")
        for row in gone:
            how = f": ln -s {row['link']} {row['path']}" if "link" in row else ""
            lines.append(
                f"{row['path']} stays away, which takes every name. When no site of ours is left, put it back{how}."
            )
        return " ".join(lines)
