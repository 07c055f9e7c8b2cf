from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host.text import hide
from ansible_collections.graceful.deploy.plugins.module_utils._release import index as release_index
from ansible_collections.graceful.deploy.plugins.module_utils._release.index import Index
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.refusals import refusal, without_wheel
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target

# Recorded from pip 26.3, the hosts renamed.
CONFIG = """\
:env:.cert='/etc/ssl/own.crt'
:env:.default-timeout='180'
download.extra-index-url='https://two/simple'
global.extra-index-url='https://one/simple\\nhttps://more/simple'
global.find-links='/home/me/wheels'
global.index-url="https://user:it's@main/simple"
install.no-binary=':all:'
"""


def test_pips_configuration_is_read_with_its_precedence() -> None:
    assert release_index.parse_config(CONFIG) == {
        "cert": "/etc/ssl/own.crt",
        "default-timeout": "180",
        "extra-index-url": "https://two/simple",
        "find-links": "/home/me/wheels",
        "index-url": "https://user:it's@main/simple",
    }
    assert release_index.parse_config("nonsense\nglobal.x=unquoted\n") == {}


def test_the_most_particular_index_wins_and_the_others_add() -> None:
    config = {"index-url": "https://pip/simple", "extra-index-url": "https://a https://b", "no-index": "true"}
    assert release_index.index_of(config, {}, "").index_url == "https://pip/simple"
    options = {
        "index_url": ["https://old", "https://file"],
        "extra_index_urls": ["https://b", "https://c"],
        "pre": ["yes"],
    }
    index = release_index.index_of(config, options, "")
    assert (index.index_url, index.extra_index_urls) == ("https://file", ("https://a", "https://b", "https://c"))
    assert index.pre and index.no_index
    task = release_index.index_of(config, options, "https://task")
    assert task.index_url == "https://task" and not task.no_index


def test_pip_and_uv_are_told_the_same(tmp_path: Path) -> None:
    index = Index("https://main", ("https://a", "https://b"), (str(tmp_path), "/nowhere", "https://links"), ("odd",))
    base = {"PATH": "/bin", "PIP_INDEX_URL": "https://old", "UV_INDEX_URL": "https://old", "UV_CONFIG_FILE": "x"}
    pip, uv = release_index.pip_environment(index, base), release_index.uv_environment(index, base)
    assert (pip["PIP_INDEX_URL"], uv["UV_DEFAULT_INDEX"]) == ("https://main", "https://main")
    assert (pip["PIP_EXTRA_INDEX_URL"], uv["UV_INDEX"]) == ("https://a https://b", "https://a https://b")
    assert pip["PIP_FIND_LINKS"].split() == [str(tmp_path), "/nowhere", "https://links"]
    # uv stops at a directory that isn't there, where pip goes on.
    assert uv["UV_FIND_LINKS"].split(",") == [str(tmp_path), "https://links"]
    assert pip["PIP_TRUSTED_HOST"] == uv["UV_INSECURE_HOST"] == "odd"
    assert "UV_INDEX_URL" not in uv and "UV_CONFIG_FILE" not in uv and uv["PATH"] == "/bin"
    # pip takes the best of all indexes; so does uv, unless somebody wants it stricter.
    assert uv["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert (
        release_index.uv_environment(index, {"UV_INDEX_STRATEGY": "first-index"})["UV_INDEX_STRATEGY"] == "first-index"
    )


def test_authorities_and_proxies_reach_uv() -> None:
    uv = release_index.uv_environment(
        Index(cert="/own.crt", proxy="http://proxy:1", timeout="7"), {"SSL_CERT_FILE": "/x"}
    )
    assert (uv["SSL_CERT_FILE"], uv["HTTPS_PROXY"], uv["UV_HTTP_TIMEOUT"]) == ("/own.crt", "http://proxy:1", "7")
    assert release_index.uv_environment(Index(), {"SSL_CERT_FILE": "/x"})["SSL_CERT_FILE"] == "/x"


def test_credentials_neither_make_a_set_nor_show() -> None:
    one, two = (Index(index_url=f"https://{who}@main/simple") for who in ("me:first%40token", "you:second-token"))
    assert release_index.fingerprint(one) == release_index.fingerprint(two)
    assert release_index.fingerprint(one) != release_index.fingerprint(Index(index_url="https://other/simple"))
    hidden = release_index.secrets(one)
    assert {"first%40token", "first@token"} <= set(hidden)
    text = "tried https://me:first%40token@main/simple with first@token"
    assert hide(text, hidden) == "tried https://***@main/simple with ***"


def test_new_wheels_in_a_directory_make_another_set(tmp_path: Path) -> None:
    index = Index(find_links=(str(tmp_path),))
    before = release_index.fingerprint(index)
    (tmp_path / "a-1-py3-none-any.whl").touch()
    assert release_index.fingerprint(index) != before


BOOKWORM = Target("3.11.2", "cp311", "x86_64", "glibc", (2, 36))
STEP = "Resolving failed on the control node:\nerror: "
HINT = (
    "\n\nhint: Wheels are required for `{}` because building from source is disabled for all packages "
    "(i.e., with `--no-build`)"
)


def unsolved(why: str, hint: str = "") -> str:
    head = f"{STEP}No solution found when resolving dependencies\n  cause: Because {why}"
    return f"{head}, we can conclude that your requirements are unsatisfiable.{HINT.format(hint) if hint else ''}"


# Recorded from uv 0.13.9.
@pytest.mark.parametrize(
    ("said", "parts"),
    [
        (
            unsolved("orjson==3.6.0 has no usable wheels and you require orjson==3.6.0", "orjson"),
            ["orjson==3.6.0 has no wheel for Python 3.11 on x86_64 with glibc 2.36", "fastapi_python", "--find-links"],
        ),
        (
            unsolved("all versions of pyspark have no usable wheels and you require pyspark", "pyspark"),
            ["and pyspark has no wheel for"],
        ),
        (
            unsolved("old==1.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require old==1.0"),
            ["old==1.0 has no wheel for"],
        ),
        (
            unsolved("fstapi was not found in the package registry and you require fstapi"),
            ["no index has fstapi", "fastapi_index_url"],
        ),
        (
            unsolved("there is no version of fastapi==99.0 and you require fastapi==99.0"),
            ["no index has fastapi==99.0", "Name a version that there is"],
        ),
        (
            unsolved(
                "fastapi==0.110.0 depends on starlette>=0.36.3,<0.37.0 and you require fastapi==0.110, we can conclude "
                "that you require starlette>=0.36.3,<0.37.0.\n         And because you require starlette==0.1"
            ),
            ["can't be met together", "starlette==0.1"],
        ),
        (
            f"{STEP}Failed to fetch: https://127.0.0.1:9/simple/fastapi/\n  cause: tcp connect error\n  cause: "
            "Connection refused (os error 111)",
            ["the index can't be reached from the control node", "Connection refused"],
        ),
    ],
)
def test_what_uv_says_becomes_advice(said: str, parts: list[str]) -> None:
    text = refusal(said, "requirements.txt", BOOKWORM)
    assert text.startswith("fastapi_requirements is requirements.txt, ")
    assert all(part in text for part in parts)


def test_a_conflict_is_not_taken_for_a_missing_wheel() -> None:
    assert without_wheel("Because a depends on b and you require c, we can conclude") == ""
