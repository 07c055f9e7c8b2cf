"""An id for every request, on its log lines and in its response."""

from __future__ import annotations

import re
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_for(given: str | None) -> str:
    """The id that the client or the proxy sent where it is short and plain, else a new one."""
    return given if given and SANE_ID.fullmatch(given) else uuid.uuid4().hex


class RequestId:
    """Binds the request's id to the log context and logs what nobody caught.

    Plain ASGI, because BaseHTTPMiddleware puts a queue and a task between the app and every chunk of a stream.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_for(Headers(scope=scope).get("x-request-id"))
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id, method=scope["method"], path=scope["path"]):
            try:
                await self.app(scope, receive, send_with_id)
            except ClientDisconnect:
                # The client went away in the middle of its upload: nobody to answer, and no fault of the app.
                log.info("client_disconnected")
            except Exception:
                # Not raised again: the server would log the same traceback a second time, over many lines. Where
                # the response has begun, the server sees that it never ended and closes the connection.
                log.exception("unhandled_exception")
                if not started:
                    body = {"detail": "Internal Server Error", "request_id": request_id}
                    await JSONResponse(body, status_code=500)(scope, receive, send_with_id)
