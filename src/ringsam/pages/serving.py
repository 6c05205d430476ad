"""From an app to a page in the browser: the address, the token, and the server until it is interrupted."""

import secrets
import socket
from contextlib import suppress
from typing import Protocol

import uvicorn
from fastapi import FastAPI

from ringsam.errors import InputError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class CreateApp(Protocol):
    """Makes the page's app for those who know the token; a `local` one answers to this machine's own names only."""

    def __call__(self, *, token: str, local: bool) -> FastAPI: ...


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address; raises InputError where it cannot be had."""
    if not 0 <= port < 1 << 16:
        raise InputError(f"--port {port}: is no port; give one below 65536, or 0 for a free one")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        mend = "--port 0 takes a free one; the host is an address of this machine"
        raise InputError(f"--host {host} --port {port}: {error.strerror}; {mend}") from error


def serve_page(create_app: CreateApp, listener: socket.socket, *, host: str, task: str) -> None:
    """Print the page's link and serve it until Ctrl-C."""
    token = secrets.token_urlsafe(24)  # on a shared machine, others reach the loopback too
    app = create_app(token=token, local=host in _LOOPBACK)
    print(f"{task} at  {_address(listener, token)}  (Ctrl-C ends)", flush=True)
    config = uvicorn.Config(app, log_level="warning", server_header=False, ws="none")
    with suppress(KeyboardInterrupt):  # the way to end it
        uvicorn.Server(config).run(sockets=[listener])


def _address(listener: socket.socket, token: str) -> str:
    host, port = listener.getsockname()[:2]
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/?token={token}"
