"""The certificate that clients get, asked of a server of TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

from ansible_collections.graceful.deploy.plugins.module_utils._host.certificate import served
from self_signed import self_signed


def test_what_is_served_is_told(tmp_path):
    self_signed(tmp_path / "cert", tmp_path / "key", "DNS:shop.test,DNS:www.shop.test", 9)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as one:
                one.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        found = served("shop.test", listener.getsockname()[1])
        thread.join(10)
    assert found["names"] == ["shop.test", "www.shop.test"]
    assert found["begins"] <= time.time()
    assert 8.9 < (found["ends"] - time.time()) / 86400 < 9.1


def test_where_none_is_served_nothing_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert served("shop.test", port) == {}
