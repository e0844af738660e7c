"""Headers of a file on its host: whether the address answers, the length it states, and whether it can be resumed."""

from __future__ import annotations

from dataclasses import dataclass

import requests
import urllib3

from workflow_scripts.core.errors import UserError
from workflow_scripts.sources.connection import TIMEOUT_SECONDS, PublicSession, describe_failure, describe_final
from workflow_scripts.sources.download import parse_span

#: answers of hosts that refuse to send headers alone; they are asked for the first byte instead
ONLY_WITH_BODY = frozenset({403, 405, 501})
WEB_PAGE = "text/html"


@dataclass(frozen=True, kw_only=True)
class Headers:
    """Answer of an address: `fault` is why it is of no use, `bytes` the length it states, if any."""

    fault: str | None = None
    bytes: int | None = None
    has_ranges: bool = False


def ask_headers(url: str, session: PublicSession) -> Headers:
    """Ask for the headers of a file, without its content. Raises no error: what fails is a fault of the answer."""
    try:
        response = _request("HEAD", url, session)
        if response.status_code in ONLY_WITH_BODY:
            response = _request("GET", url, session)
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        return Headers(fault=describe_final(error, url) or describe_failure(error, url))
    except UserError as error:  # a redirect to an address that is not encrypted
        return Headers(fault=str(error))
    if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
        return Headers(fault=f"the server answered {response.status_code} {response.reason}")
    if response.headers.get("Content-Type", "").startswith(WEB_PAGE):
        return Headers(fault="a web page, perhaps a login or a refusal")
    is_part = response.status_code == requests.codes.partial_content
    _, size = parse_span(response)
    return Headers(bytes=size, has_ranges=is_part or response.headers.get("Accept-Ranges") == "bytes")


def _request(method: str, url: str, session: PublicSession) -> requests.Response:
    """Send a request for the first byte; its answer is closed before more than that arrives."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": "bytes=0-0"} if method == "GET" else {})
    with session.request(
        method, url, headers=headers, stream=True, allow_redirects=True, timeout=TIMEOUT_SECONDS
    ) as response:
        return response
