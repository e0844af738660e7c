"""Local HTTP server with a programmable behaviour, and the behaviours that users report of real hosts."""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Site:
    """`content` serve_site under any path; `behaviour(number, handler)` answers request `number` or returns False."""

    content: bytes
    behaviour: Callable[[int, Handler], bool] = lambda number, handler: False
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self.site.requests.append(dict(self.headers))
        if not self.site.behaviour(len(self.site.requests) - 1, self):
            self.serve()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        """Answer as a proxy."""
        self.do_GET()

    def serve(self, *, stop_after: int | None = None, ranges: bool = True, tag: str | None = '"v1"') -> None:
        """Answer like a correct server, but drop the connection after `stop_after` bytes of the body."""
        content = self.site.content
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match and ranges and self.headers.get("If-Range", tag) == tag else 0
        if start and start >= len(content):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        headers = {"ETag": tag} if tag else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.answer(206 if start else 200, content[start:], headers, stop_after=stop_after)

    def answer(self, status: int, body: bytes, headers: dict[str, str], *, stop_after: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(b"" if self.command == "HEAD" else body[:stop_after])
        if stop_after is not None:
            self.close_connection = True


def refuse_default_names(number: int, handler: Handler) -> bool:
    """Answer as Zenodo has done since December 2025: 403 for the names of HTTP libraries and of no program at all."""
    name = handler.headers.get("User-Agent", "")
    if re.fullmatch(r"\w[\w.-]*/\d[\w.]* \([^)]+\)", name) and "requests" not in name:
        return False
    handler.answer(403, b"<html>unusual traffic</html>", {"Content-Type": "text/html"})
    return True


def ask_to_wait(*seconds: str, status: int = 429) -> Callable[[int, Handler], bool]:
    """Return a server that answers too many requests, with these values of Retry-After, one after the other."""

    def behaviour(number: int, handler: Handler) -> bool:
        if number < len(seconds):
            handler.answer(status, b"too many requests", {"Retry-After": seconds[number]})
        return number < len(seconds)

    return behaviour


def ignore_ranges(number: int, handler: Handler) -> bool:
    """Answer as Zenodo's older addresses: always the whole file; the first time the connection drops."""
    handler.serve(ranges=False, tag=None, stop_after=len(handler.site.content) // 2 if number == 0 else None)
    return True


def drop_length(number: int, handler: Handler) -> bool:
    """Answer as through a proxy that leaves out Content-Length."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(handler.site.content)
    handler.close_connection = True
    return True


def show_login(number: int, handler: Handler, *, before: bytes = b"") -> bool:
    """Answer as a network that wants a login before it lets anyone out; `before` precedes the page."""
    page = b"<!DOCTYPE html><html><title>Sign in</title></html>"
    handler.answer(200, before + page, {"Content-Type": "text/html"})
    return True


def refuse_proxy_users(number: int, handler: Handler) -> bool:
    """Answer as a proxy that wants a login."""
    handler.answer(407, b"", {"Proxy-Authenticate": "Basic"})
    return True


@contextlib.contextmanager
def serve_site(site: Site, *, certificate: Path | None = None) -> Iterator[Site]:
    """Serve `site` on a free local port; encrypted with a `certificate`, a file with its key."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http{'' if certificate is None else 's'}://127.0.0.1:{server.server_port}/set/music.bin"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
