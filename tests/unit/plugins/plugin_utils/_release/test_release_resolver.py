"""What the app needs decides what it gets; what serves it is added within that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._release.index import Index
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import tools
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.instead import served
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.refusals import (
    named_in,
    refusal,
    without_wheel,
)
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.requirements import (
    LOWEST,
    Requirements,
    injected,
)
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.resolver import (
    Collector,
    drivers,
    resolve,
    too_old,
    versions_of,
)
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target
from ansible_collections.graceful.deploy.plugins.plugin_utils._source.lacks import unnamed_driver
from release_wheelhouse import make_sdist, make_wheel

HOST = Target("3.11.2", "cp311", "x86_64", "glibc", (2, 36))


@pytest.fixture
def shop(environment: None, wheelhouse: Path, tmp_path: Path) -> Collector:
    """An index with an app's packages in several versions."""
    links = tmp_path / "links"
    for version in ("20.1.0", "21.2.0", "23.0.0", "27.0.1"):
        make_wheel(links, "gunicorn", version, ("packaging",))
    for version in ("0.13.4", "0.22.0", "0.30.6", "0.54.0"):
        needs = "h11>=0.14" if version == "0.54.0" else "h11>=0.9"
        make_wheel(links, "uvicorn", version, (needs, "httptools>=0.5 ; extra == 'standard'"))
    for name in ("httptools", "python-dotenv", "pyyaml", "uvloop"):
        make_wheel(links, name, "0.4.0")
    make_wheel(links, "relay", "1", ("uvicorn<0.20",))
    make_wheel(links, "packaging", "25.0")
    make_wheel(links, "h11", "0.8")
    make_wheel(links, "h11", "0.9")
    make_wheel(links, "h11", "0.16")
    make_wheel(links, "proxy", "1.9.4")
    make_wheel(links, "proxy", "1.108.7", ("gunicorn==23.0.0", "uvicorn<0.32"))
    make_wheel(links, "fastapi", "0.121.0")
    for version in ("9.1", "15.0", "17.4"):
        make_wheel(links, "websockets", version)
    make_wheel(links, "wsproto", "1.2", ("h11>=0.9",))
    for version in ("2.0.0", "3.1"):
        make_wheel(links, "greenlet", version)
    make_wheel(links, "old-sqlalchemy", "2.0", ("greenlet<3",))
    make_wheel(links, "chat", "1", ("wsproto",))
    make_wheel(links, "old-chat", "1", ("websockets<10",))
    cache = tools.cache_directory()
    index = Index(find_links=(str(links),), no_index=True)
    own = tools.provide(cache, {}, "", lambda text: None)
    return Collector(str(tmp_path), own, index, HOST, lambda text: None)


def resolved(
    collector: Collector, lines: list[str], constraints: list[str] | None = None, sockets: bool = False
) -> dict[str, str]:
    requirements = Requirements(lines=lines, constraints=constraints or [])
    pins = injected(requirements, HOST.markers, sockets)
    return versions_of(resolve(collector, requirements, pins, collector.cache, "requirements.txt"))


def test_an_app_that_pins_its_own_server_keeps_its_newest_version(shop: Collector) -> None:
    """A proxy whose newest version wants an older Gunicorn had become its oldest one, without a word."""
    found = resolved(shop, ["proxy"])
    assert found["proxy"] == "1.108.7" and found["gunicorn"] == "23.0.0" and found["uvicorn"] == "0.30.6"


@pytest.mark.project("served", "`pip freeze` of years ago", "every version as it is there, its own Uvicorn too")
def test_a_freeze_of_long_ago_is_served_as_it_is(shop: Collector) -> None:
    found = resolved(shop, ["fastapi==0.121.0", "h11==0.9", "uvicorn==0.30.6"])
    assert found["uvicorn"] == "0.30.6" and found["gunicorn"] == "27.0.1" and "uvicorn-worker" not in found


def test_the_best_server_that_goes_with_the_app_is_taken(shop: Collector) -> None:
    assert resolved(shop, ["fastapi", "h11==0.9"])["uvicorn"] == "0.30.6"
    assert resolved(shop, ["fastapi"], ["uvicorn<0.40"])["uvicorn"] == "0.30.6"
    assert resolved(shop, ["fastapi"])["uvicorn"] == "0.54.0"


@pytest.mark.project(
    "served", "Gunicorn before 21.2, Uvicorn before 0.22", "these are taken in their place; the run says so"
)
@pytest.mark.parametrize(
    ("lines", "constraints", "version"),
    [
        (["fastapi", "uvicorn==0.13.4"], [], "0.22.0"),
        (["fastapi", "uvicorn~=0.13.0"], [], "0.22.0"),
        (["fastapi", "uvicorn<0.15,>=0.13"], [], "0.22.0"),
        (["fastapi", "uvicorn==0.13.*"], [], "0.22.0"),
        # As a lock's, whose version is a constraint; its own httptools is too old for the extra of the newer one.
        (["fastapi", "uvicorn[standard]"], ["uvicorn==0.13.4", "httptools==0.4.0"], "0.22.0"),
        # As they are.
        (["fastapi", "uvicorn==0.30.6"], [], "0.30.6"),
        (["fastapi", "uvicorn>=0.13"], [], "0.54.0"),
        (["fastapi", "uvicorn==0.13.4 ; os_name == 'nt'", "uvicorn==0.30.6 ; os_name != 'nt'"], [], "0.30.6"),
    ],
)
def test_an_old_server_is_served_by_the_oldest_that_can(
    shop: Collector, lines: list[str], constraints: list[str], version: str
) -> None:
    """Three of twelve strangers' projects were refused for a Uvicorn that only their development server was."""
    requirements = Requirements(lines=lines, constraints=constraints)
    changed, told = served(requirements, "requirements.txt", HOST.markers)
    pins = injected(changed, HOST.markers)
    found = versions_of(resolve(shop, changed, pins, shop.cache, "requirements.txt"))
    assert found["uvicorn"] == version and found["gunicorn"] == "27.0.1"
    assert bool(told) == (version == "0.22.0") and requirements == Requirements(lines=lines, constraints=constraints)
    if told:
        old = next(line for line in (*constraints, *lines) if line.startswith("uvicorn") and "[" not in line)
        assert told[0].startswith(f"requirements.txt has {old}, and workers need uvicorn 0.22.0 or newer: 0.22.0 is")
    if constraints:
        # All that the extra brought is still there, in the app's own versions.
        assert found["httptools"] == "0.4.0" and {"uvloop", "websockets", "python-dotenv", "pyyaml"} <= found.keys()


def test_an_old_gunicorn_is_served_by_the_oldest_that_can(shop: Collector) -> None:
    changed, told = served(Requirements(lines=["fastapi", "gunicorn==20.1.0"]), "requirements.txt", HOST.markers)
    found = versions_of(resolve(shop, changed, injected(changed, HOST.markers), shop.cache, "requirements.txt"))
    assert found["gunicorn"] == "21.2.0" and "21.2.0 is taken in its place" in told[0]


def test_a_server_that_something_else_wants_old_is_refused(shop: Collector) -> None:
    with pytest.raises(ReleaseError, match=r"and what it asks for brings uvicorn 0\.13\.4: workers need uvicorn 0\.22"):
        resolved(shop, ["fastapi", "relay"])
    assert too_old({"gunicorn": "20.1.0"}, ["proxy"]).startswith("and what it asks for brings gunicorn 20.1.0")
    assert too_old({"gunicorn": "21.1.0"}, []) and too_old({"uvicorn": "0.21.1"}, [])
    assert too_old({"gunicorn": LOWEST["gunicorn"], "uvicorn": "0.54.0rc1"}, []) == ""


@pytest.mark.project("served", "a package that Python has itself, as `asyncio` or `logging`", "it is left out")
def test_what_python_has_itself_is_left_out() -> None:
    """Most of them are for Python 2, and break where they are built."""
    lines = ["fastapi", "logging==0.4.9.6", "uuid", "DateTime", "python-dateutil"]
    changed, told = served(Requirements(lines=lines), "requirements.txt", HOST.markers)
    assert changed.lines == ["fastapi", "DateTime", "python-dateutil"]
    assert "requirements.txt has logging, uuid, which Python brings by itself" in told[0]
    assert told[0].endswith("Delete logging==0.4.9.6 and uuid there.")


@pytest.mark.project(
    "served", "`psycopg2`, which is compiled", "`psycopg2-binary`, the same as wheels; the run says so"
)
@pytest.mark.parametrize(
    ("lines", "constraints", "taken"),
    [
        (["psycopg2==2.9.5"], [], "2.9.5"),
        (["psycopg2"], ["psycopg2==2.9.5"], "2.9.5"),
        (["psycopg2"], [], "2.9.9"),
        # What was fixed since, for a Python that came later.
        (["psycopg2==2.9.3"], [], "2.9.5"),
        (["psycopg2==2.9.9", "psycopg2-binary==2.9.5"], [], "2.9.5"),
    ],
)
def test_what_is_compiled_is_taken_as_wheels_where_these_are_the_same(
    shop: Collector, tmp_path: Path, lines: list[str], constraints: list[str], taken: str
) -> None:
    for version in ("2.9.5", "2.9.9"):
        make_wheel(tmp_path / "links", "psycopg2-binary", version, tag="cp311-cp311-manylinux_2_17_x86_64")
    for version in ("2.9.3", "2.9.5", "2.9.9"):
        make_sdist(tmp_path / "links", "psycopg2", version)
    said: list[str] = []
    requirements = Requirements(lines=["fastapi", *lines], constraints=constraints)
    collector = replace(shop, say=said.append)
    found = versions_of(resolve(collector, requirements, [], shop.cache, "requirements.txt"))
    assert found["psycopg2-binary"] == taken and "psycopg2" not in found
    assert any("and is psycopg2-binary where it is built: psycopg2-binary" in line for line in said)


def test_what_cant_run_is_refused_by_what_would(shop: Collector, tmp_path: Path) -> None:
    """An app that pins pydantic 1.8 was collected, sent, and ended as it started on Debian 12."""
    for version in ("1.8.2", "1.9.2", "1.10.4"):
        make_wheel(tmp_path / "links", "pydantic", version)
    with pytest.raises(ReleaseError, match=r"pydantic==1\.8\.2 doesn't run on Python 3\.11; pydantic==1\.10") as told:
        resolved(shop, ["fastapi", "pydantic==1.8.2"])
    assert str(told.value).endswith("Write fastapi_versions: [pydantic==1.10.4]")
    assert resolved(shop, ["fastapi", "pydantic"])["pydantic"] == "1.10.4"


@pytest.mark.parametrize(
    ("wants", "lines", "constraints", "taken"),
    [
        ("psycopg2", ["orm"], [], "2.9.9"),
        ("psycopg2>=2.7,<2.9.6", ["orm"], [], "2.9.5"),
        ("psycopg2==2.9.3", ["orm"], [], "2.9.5"),
        # A lock names it, and of the project's own lines none does.
        ("psycopg2>=2.7", ["orm"], ["psycopg2==2.9.5"], "2.9.5"),
        ("psycopg2", ["orm", "psycopg2==2.9.5"], [], "2.9.5"),
        ("psycopg2", ["orm", "psycopg2-binary==2.9.5"], [], "2.9.5"),
        # As sqlalchemy[postgresql]: each older version wants it too.
        ("psycopg2>=2.7 ; extra == 'pg'", ["orm[pg]<3"], [], "2.9.9"),
    ],
)
def test_what_is_compiled_is_taken_as_wheels_where_another_package_wants_it(
    shop: Collector, tmp_path: Path, wants: str, lines: list[str], constraints: list[str], taken: str
) -> None:
    for version in ("2.9.5", "2.9.9"):
        make_wheel(tmp_path / "links", "psycopg2-binary", version, tag="cp311-cp311-manylinux_2_17_x86_64")
    for version in ("2.9.3", "2.9.5", "2.9.9"):
        make_sdist(tmp_path / "links", "psycopg2", version)
    for version in ("1", "2"):
        make_wheel(tmp_path / "links", "orm", version, (wants,))
    make_sdist(tmp_path / "links", "orm", "0.9", (wants,))
    said: list[str] = []
    requirements = Requirements(lines=["fastapi", *lines], constraints=constraints)
    found = versions_of(resolve(replace(shop, say=said.append), requirements, [], shop.cache, "requirements.txt"))
    assert (found["psycopg2-binary"], found["orm"]) == (taken, "2") and "psycopg2" not in found
    assert any("is taken in its place" in line for line in said)


def test_where_no_server_fits_the_app_its_own_line_is_named(shop: Collector) -> None:
    with pytest.raises(ReleaseError, match=r"no uvicorn that can serve goes with h11==0\.8\. Loosen that"):
        resolved(shop, ["fastapi", "h11==0.8"])


# Recorded from uv 0.13.9 for uvicorn[standard], httptools==0.6.1 and another package that needed a newer Uvicorn.
CONFLICT = """Resolving failed on the control node:
error: No solution found when resolving dependencies
  cause: Because uvicorn[standard]<=0.10.8 has no usable wheels and uvicorn[standard]==0.17.0 has no usable wheels, \
we can conclude that uvicorn[standard]<=0.17.0 depends on uvicorn>=0.10.9,<=0.16.0.
         And because uvicorn[standard]>=0.36.0,<=0.48.0 depends on httptools>=0.6.3 and you require httptools==0.6.1, \
we can conclude that your requirements are unsatisfiable."""


def test_old_versions_without_a_wheel_are_not_the_cause() -> None:
    assert without_wheel(CONFLICT) == ""
    lines = ["fastapi", "uvicorn[standard]", "httptools==0.6.1"]
    said = refusal(CONFLICT, "requirements.txt", HOST, "", lines)
    assert "has no wheel for" not in said.splitlines()[0]
    assert "Loosen one of these: uvicorn[standard]; httptools==0.6.1." in said
    assert named_in("a mentions uvicorn-worker", ["uvicorn", "uvicorn_worker"]) == ["uvicorn_worker"]


def test_a_package_that_never_has_wheels_is_answered_with_its_twin_without_a_version_too() -> None:
    said = refusal("Because all versions of psycopg2 have no usable wheels and", "requirements.txt", HOST)
    assert "Write psycopg2-binary, the same as wheels" in said and "Name a version" not in said


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ("Because pyspark>=3.0.0 has no usable wheels and you require pyspark>=3.0, we", "pyspark"),
        ("Because lib[fast]==2.0 has no usable wheels and you require lib[fast]==2.0, we", "lib==2.0"),
        ("Because all versions of lib have no usable wheels and you require lib, we", "lib"),
        ("Because my-lib==1 depends on c and lib==2.0 has no usable wheels and you require lib==2.0", "lib==2.0"),
        # Of uv 0.13.9 for sqlalchemy[postgresql]<2.1, cut: the old ones have none either.
        (
            "Because psycopg2>=2.7 has no usable wheels and sqlalchemy[postgresql]==2.0.58 depends on psycopg2>=2.7, we"
            " can. hint: Wheels are required for `sqlalchemy` because hint: Wheels are required for `psycopg2`",
            "psycopg2",
        ),
        (
            "Because sqlalchemy[postgresql]==2.0.58 depends on psycopg2>=2.7, we can conclude. "
            "hint: Wheels are required for `sqlalchemy` because hint: Wheels are required for `psycopg2` because",
            "psycopg2",
        ),
    ],
)
def test_what_has_no_wheel_is_named_as_it_can_be_fetched(said: str, missing: str) -> None:
    assert without_wheel(said) == missing


@pytest.mark.parametrize(
    ("lines", "constraints", "version"),
    [
        (["fastapi"], [], "17.4"),
        (["fastapi"], ["websockets<16"], "15.0"),
        # What the app has decides, also what it brings by something else.
        (["fastapi", "websockets==15.0"], [], "15.0"),
        (["old-chat"], [], "9.1"),
        (["chat"], [], None),
        (["fastapi", "wsproto"], [], None),
    ],
)
def test_an_app_with_a_websocket_endpoint_gets_what_speaks_it(
    shop: Collector, lines: list[str], constraints: list[str], version: str | None
) -> None:
    """It had deployed without, and answered each handshake with 404."""
    found = resolved(shop, lines, constraints, sockets=True)
    assert found.get("websockets") == version
    # The tested servers stay, and an app without such an endpoint gets none.
    assert (found["gunicorn"], found["uvicorn"]) == ("27.0.1", "0.54.0")
    assert not {"websockets", "wsproto"} & resolved(shop, ["fastapi"]).keys()


@pytest.mark.project(
    "served",
    "`EmailStr`, a `Form()` or `create_async_engine`, and no library for it",
    "what it needs is added, where nothing is locked",
)
def test_what_an_import_needs_is_added_where_nothing_is_locked(shop: Collector) -> None:
    """SQLAlchemy 2.1 doesn't bring greenlet by itself, and each app with an asynchronous engine broke."""

    def found(requirements: Requirements) -> str | None:
        pins = injected(requirements, HOST.markers, False, {"greenlet": "for create_async_engine, db.py:1"})
        return versions_of(resolve(shop, requirements, pins, shop.cache, "requirements.txt")).get("greenlet")

    assert found(Requirements(lines=["fastapi"])) == "3.1"
    assert found(Requirements(lines=["fastapi"], constraints=["greenlet<3"])) == "2.0.0"
    assert found(Requirements(lines=["fastapi", "greenlet==2.0.0"])) == "2.0.0"
    # What the app's own packages bring.
    assert found(Requirements(lines=["old-sqlalchemy"])) == "2.0.0"
    locked = Requirements(lines=["fastapi==0.121.0"], hashes={("fastapi", "0.121"): {"0" * 64}})
    assert "greenlet" not in injected(locked, HOST.markers, False, {"greenlet": ""})


def test_an_index_without_what_speaks_websockets_is_told_so(shop: Collector) -> None:
    with pytest.raises(ReleaseError, match=r"no websockets which its WebSocket endpoint needs goes with websockets"):
        resolved(shop, ["fastapi"], ["websockets<1"], sockets=True)


@pytest.mark.parametrize(
    "line", ["uvicorn[standard]", "fastapi[all]", "FastAPI[standard]>=0.1", "websockets", "wsproto"]
)
def test_what_brings_it_by_itself_makes_no_other_release(line: str) -> None:
    assert not any(pin.startswith("websockets") for pin in injected(Requirements(lines=[line]), HOST.markers, True))
    assert any(pin.startswith("websockets") for pin in injected(Requirements(lines=["uvicorn"]), HOST.markers, True))


@pytest.mark.parametrize(
    ("found", "added"),
    [
        ({"sqlalchemy": "2.0.40"}, ["psycopg2-binary"]),
        ({"sqlalchemy": "2.1.9"}, ["psycopg[binary]"]),
        # It was what postgresql:// meant when the app was written.
        ({"sqlalchemy": "2.1.9", "psycopg2-binary": "2.9.9"}, ["psycopg[binary]"]),
        ({"sqlalchemy": "2.0.40", "psycopg2-binary": "2.9.9"}, []),
        ({"sqlalchemy": "2.1.9", "psycopg": "3.3"}, []),
        # Its address is changed to name it, or it would fail at home.
        ({"sqlalchemy": "2.0.40", "asyncpg": "0.30"}, []),
        ({"databases": "0.9"}, []),
    ],
)
def test_a_driver_that_only_an_address_names_is_added(found: dict[str, str], added: list[str]) -> None:
    assert drivers(found) == added


def test_a_driver_that_only_an_address_names_is_resolved_with_the_rest(shop: Collector, tmp_path: Path) -> None:
    make_wheel(tmp_path / "links", "sqlalchemy", "2.0.40")
    make_wheel(tmp_path / "links", "psycopg2-binary", "2.9.9")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text(
        "from sqlalchemy import create_engine\nengine = create_engine(f'postgresql://{USER}@localhost/shop')\n"
    )
    needs = unnamed_driver(str(tmp_path), {"app/main.py"}, "app.main:app")
    assert needs == {"postgresql": "for a database's URL, app/main.py:2"}
    requirements = Requirements(lines=["fastapi", "sqlalchemy"])
    pins = injected(requirements, HOST.markers, False, needs)
    found = versions_of(resolve(shop, requirements, pins, shop.cache, "requirements.txt"))
    assert found["psycopg2-binary"] == "2.9.9" and found["gunicorn"] == "27.0.1"
    # A lock stays as it is, and an engine of a whole address needs nothing more.
    requirements.hashes = {("fastapi", "0.121.0"): {"0" * 64}}
    assert "postgresql" not in injected(requirements, HOST.markers, False, needs)
    (tmp_path / "app" / "main.py").write_text("engine = create_engine('postgresql+asyncpg://me@localhost/shop')\n")
    assert unnamed_driver(str(tmp_path), {"app/main.py"}, "app.main:app") == {}


@pytest.mark.parametrize(("lines", "extra"), [(["fastapi[all]==0.81"], "httptools"), (["server"], "httptools")])
def test_a_uvicorn_that_only_fastapis_extras_ask_for_is_newer(
    shop: Collector, tmp_path: Path, lines: list[str], extra: str
) -> None:
    """`fastapi[all]<0.82` has `uvicorn[standard]<0.18`, and what to write instead was nothing that could be met."""
    wants = "uvicorn[standard]>=0.12,<0.18 ; extra == 'all'"
    make_wheel(tmp_path / "links", "fastapi", "0.81", (wants,))
    make_wheel(tmp_path / "links", "server", "1", ("fastapi[all]<0.82",))
    make_wheel(tmp_path / "links", "httptools", "0.6")
    said: list[str] = []
    requirements = Requirements(lines=lines)
    pins = injected(requirements, HOST.markers)
    found = versions_of(resolve(replace(shop, say=said.append), requirements, pins, shop.cache, "requirements.txt"))
    assert (found["fastapi"], found["uvicorn"], found["gunicorn"]) == ("0.81", LOWEST["uvicorn"], "27.0.1")
    assert extra in found
    assert any("fastapi 0.81 asks for uvicorn 0.13.4 by its extras" in line for line in said)
    # Another one's code may be written for it.
    with pytest.raises(ReleaseError, match="brings uvicorn"):
        resolved(shop, [*lines, "relay"])
