"""Local HTTP server with a programmable behaviour."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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
            self.wfile.write(body[:stop_after])
        if stop_after is not None:
            self.close_connection = True


@contextlib.contextmanager
def serve_site(site: Site) -> Iterator[Site]:
    """Serve `site` on a free local port."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/set/music.bin"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
