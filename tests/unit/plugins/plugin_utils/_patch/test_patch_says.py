"""What patch.yml says of hosts."""

from __future__ import annotations

from ansible_collections.graceful.deploy.plugins.plugin_utils._patch import says

ANSWER = {
    "packages": ["openssl 1 -> 2"],
    "kept_back": [],
    "reboot_reasons": ["kernel 2 is installed, and 1 runs"],
    "apps": ["shop"],
    "last_down": None,
    "listed_at": 1000.0,
    "notes": ["upgraded 1 package(s)"],
    "down": None,
}


def test_packages_are_lines_and_not_without_an_end():
    assert says.upgraded(ANSWER, check=False) == ["1 package(s) upgraded:", "  openssl 1 -> 2"]
    assert says.upgraded(ANSWER, check=True)[0] == "1 package(s) would be upgraded:"
    many = says.upgraded({**ANSWER, "packages": ["a 1 -> 2"] * 100}, check=False)
    assert len(many) == 2 + says.LISTED and many[-1] == "  and 60 more"
    assert says.upgraded({**ANSWER, "packages": []}, check=False) == ["nothing to upgrade."]


def test_what_a_reboot_makes_unreachable_and_for_how_long_it_was():
    assert says.reboots(ANSWER).endswith("unreachable meanwhile: shop, for how long isn't known yet.")
    assert "shop, for 34 s at most the last time" in says.reboots({**ANSWER, "last_down": 33.7})


def test_a_reboot_that_is_not_done_is_told_with_what_to_write():
    alone = says.wants_reboot(ANSWER, "auto", balanced=False)
    assert "no other host stands in for it" in alone and alone.endswith("-e reboot=needed")
    assert says.wants_reboot(ANSWER, "never", balanced=True).endswith("-e reboot=never.")
    kept = {**ANSWER, "stays_up": "no keepalived runs here"}
    assert says.wants_reboot(kept, "auto", balanced=True).endswith(
        "Not done, because no keepalived runs here. At a good hour: -e reboot=needed"
    )
    assert says.wants_reboot({**ANSWER, "reboot_reasons": []}, "auto", balanced=False) == ""


def test_why_a_host_went_on_to_serve_is_said():
    assert "no balancer of it is known" in says.served([], ["web2"], balancer=False)
    assert says.served(["lb1"], ["web2"], balancer=False).endswith("-e leave_within=0.")
    assert "no other balancer" in says.served(["lb1"], [], balancer=True)
    assert "no other host of the app" in says.served(["lb1"], [], balancer=False)


def test_lists_of_check_mode_have_an_age():
    assert "fetched 2 h ago" in says.listed(ANSWER, 1000 + 7300)
    assert "apt-get update has never run" in says.listed({**ANSWER, "listed_at": 0}, 1000)


def test_where_it_stops_the_others_are_named():
    said = says.stopped("web2 hasn't come back.", "web2", ["web1", "web2", "web3", "web4"], marked=True)
    assert said.splitlines() == [
        "web2 hasn't come back.",
        "When web2 is well, run patch.yml again: it finishes what this run began.",
        "Patched before it: web1. Left as they were: web3, web4.",
    ]
    assert "run patch.yml again" not in says.stopped("No.", "web1", ["web1"], marked=False)


def test_what_was_done_is_one_line():
    assert says.summary(ANSWER, None) == "upgraded 1 package(s)"
    back = {"notes": ["rebooted"], "down": 12.4}
    assert says.summary(ANSWER, back) == "upgraded 1 package(s); rebooted; ready after 12 s at most"
