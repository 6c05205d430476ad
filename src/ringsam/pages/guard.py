"""What stands before the page: who may ask, from where, and how much."""

import hashlib
import hmac
import re
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_THIS_MACHINE = frozenset({"127.0.0.1", "[::1]", "localhost"})  # as a Host header names it
MAX_BODY_BYTES = 1 << 22  # some 20,000 objects on one image
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Lets in who knows the token; where `local`, only if this machine was asked by its own name."""

    def __init__(self, app: ASGIApp, *, token: str, local: bool) -> None:
        self.app = app
        self.token = token
        self.local = local
        # A cookie goes to every port of a host: each server's has a name of its own.
        self.cookie = f"ringsam_{hashlib.sha256(token.encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        answer = self._refusal(scope, Headers(scope=scope)) or self.app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """What is answered instead of the page's own answer; None to let the request through."""
        host = headers.get("host", "")
        if self.local and re.sub(r":\d+$", "", host) not in _THIS_MACHINE:
            return PlainTextResponse("this page answers to localhost only", 400)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return PlainTextResponse("another site may not ask here", 403)
        if "transfer-encoding" in headers:
            return PlainTextResponse("say how long the body is", 411)
        if int(headers.get("content-length", "0")) > MAX_BODY_BYTES:
            return PlainTextResponse(f"more than {MAX_BODY_BYTES} bytes", 413)
        return self._without_token(scope, headers)

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """A token in the address becomes a cookie, so that it is not seen again."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["path"] == "/" and _same(query.get("token", [""])[0], self.token):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self.cookie, self.token, httponly=True, samesite="lax")
            return answer
        given = cookie_parser(headers.get("cookie", "")).get(self.cookie)
        if _same(headers.get("x-ringsam-token") or given or "", self.token):
            return None
        return PlainTextResponse("open the whole address that ringsam printed in the terminal", 401)


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
