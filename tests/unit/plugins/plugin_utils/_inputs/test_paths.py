"""The requests that a person wants asked."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.paths import Asked, PathsError, read


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/", [Asked("/")]),
        ("/,/items/1", [Asked("/"), Asked("/items/1")]),
        ("/a?ids=1,2, /b", [Asked("/a?ids=1,2"), Asked("/b")]),
        ("/, POST /items", [Asked("/"), Asked("/items", "POST")]),
        (
            'POST /items {"a": 1, "b": 2}',
            [Asked("/items", "POST", '{"a": 1, "b": 2}', "application/json")],
        ),
        (
            '/,POST /a {"to":"/x,/y"},/b',
            [Asked("/"), Asked("/a", "POST", '{"to":"/x,/y"}', "application/json"), Asked("/b")],
        ),
        (["/x", {"path": "/y", "share": "3"}], [Asked("/x"), Asked("/y", share=3)]),
        ('["/x", {"path": "/y", "method": "put", "body": {"a": 1}}]', None),
        ({"path": "/f", "method": "POST", "body": "a=1", "content_type": "application/x-www-form-urlencoded"}, None),
    ],
)
def test_what_is_written_is_asked(written, meant):
    found = read(written)
    assert meant is None or found == meant
    assert read([vars(each) for each in found]) == found


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "names no path"),
        (None, "names no path"),
        ("items", "as in /items"),
        ("[/x", "isn't a list in JSON"),
        ("/a b", "Write its method: POST /a b"),
        ("/ä", "%20"),
        ([{"url": "/"}], "'url'"),
        ([{"path": "/", "method": "FETCH"}], "'FETCH'"),
        ([{"path": "/", "share": 0}], "share"),
        ([{"path": "/", "share": "many"}], "share"),
        (["/"] * 21, "20 are the most"),
        ([{"path": "/x\r\nHost: evil"}], "the path"),
        ([{"path": "/x", "method": "POST", "body": "a", "content_type": "a\r\nb: c"}], "content_type"),
        ([{"path": "/x", "method": "POST", "body": "a" * 70000}], "64 KiB"),
        ([3], "a path or a mapping"),
    ],
)
def test_what_cant_be_asked_is_told(written, said):
    with pytest.raises(PathsError, match=said):
        read(written)
