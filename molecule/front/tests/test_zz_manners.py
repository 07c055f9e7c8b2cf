"""Others' sites are left alone, what doesn't fit is refused before it lands, and an app that goes leaves nothing. Last,
because it takes an app off."""

from __future__ import annotations

# What prepare.yml puts there.
OWN = {
    "caddy": ("/etc/caddy/sites/mine.caddy", 'http://:8088 {\n\trespond "my own"\n}\n'),
    "nginx": ("/etc/nginx/conf.d/mine.conf", 'server {\n    listen 8088;\n    return 200 "my own";\n}\n'),
}


def everything(door) -> str:
    """The proxy's files, by their digests, and what it runs since when."""
    return door.ask.run(f"find /etc/{door.proxy} -type f | sort | xargs sha256sum") + door.reloaded()


def own_site(door) -> str:
    return door.curl("http://127.0.0.1:8088/")


def test_a_site_of_the_users_own_is_left_alone(door):
    path, text = OWN[door.proxy]
    assert door.ask.host.file(path).content_string == text
    assert own_site(door) == "my own"


def test_a_broken_snippet_changes_nothing(door, front, recorded):
    """One is asked of a run, the others of the module as that run called it."""
    first, *others = ["this is no directive of either {", "}", "} }"]
    before = everything(door)
    status, said = front.run("open", keep=True, fastapi_proxy_snippet=first)
    assert status == 2, said
    assert "no file was changed" in said
    layer = recorded("layer")
    for text in others:
        files = [
            {**file, "content": (file.get("content") or "").replace(first, text)} for file in layer.parameters["files"]
        ]
        assert files != layer.parameters["files"]
        result = layer.call(files=files)
        assert result["failed"] and "no file was changed" in result["msg"], result
    assert everything(door) == before
    assert door.get("/from-snippet").body == b"mine"


def test_a_broken_site_of_the_users_own_is_told(door, front):
    """Ours is checked together with theirs, so a fault of theirs shows before anything is changed."""
    path, text = OWN[door.proxy]
    door.ask.run(f"echo 'nonsense {{' >>{path}")
    try:
        before = everything(door)
        status, said = front.run("open", fastapi_proxy_snippet="")
        assert status == 2 and "no file was changed" in said, said
        assert everything(door) == before
        assert door.get("/from-snippet").body == b"mine"
        assert own_site(door) == "my own"
    finally:
        door.ask.run(f"cat >{path} <<'E'\n{text}E")
    assert door.ask.host.file(path).content_string == text


def test_an_app_that_is_taken_off_leaves_nothing(door, front):
    door.ask.run("touch /srv/vault/shared/switches/keepsake")
    said = front.good("vault", fastapi_state="absent", fastapi_remove_data=True)
    assert "changed=0" not in said
    left = door.ask.run(
        "ls -d /srv/vault /run/vault /etc/systemd/journald@vault.conf 2>/dev/null || true;"
        "systemctl list-units --all --plain --no-legend 'vault*' | cat;"
        f"find /etc/systemd /etc/{door.proxy} /var/log/{door.proxy} /etc/logrotate.d -name '*vault*'"
    )
    assert left == ""
    failed = door.ask.run("systemctl list-units --failed --plain --no-legend | cat")
    assert "vault" not in failed
    assert door.get("/seen", "vault").status != 200
    assert own_site(door) == "my own"
    for site in ("open", "shop"):
        assert door.get("/seen", site).status == 200
    assert "changed=0" in front.good("vault", fastapi_state="absent", fastapi_remove_data=True)
    front.good("vault")
    assert door.get("/seen", "vault").status == 200
