"""Connections to the hosts of public files: who asks, what is never sent, and why an attempt failed."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
import textwrap
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from workflow_scripts.core.errors import MAX_REASON, UserError

DISTRIBUTION = "prelude-benchmark"
#: in place of an address, until [project.urls] in pyproject.toml has one
PROJECT = "benchmark of pre-training for music classification"
TIMEOUT_SECONDS = (20.0, 60.0)  # to connect, and between bytes
BY_HAND = "fetch it by hand and name the file in `sources` of the config (docs/data.md)"
#: variables that name certificates, in the order in which they count; requests reads the first two
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
PROXY = "the proxy of https_proxy or http_proxy"
#: a proxy's refusal to connect, with its status
TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})[^')\"]*")
#: what to do on a node without a network
WHERE_INTERNET_IS = (
    "run the target `acquire_all` where there is internet, such as the login node of a cluster "
    "(--profile config/profiles/local)"
)
NO_INTERNET = "is there no internet here?"
NO_NETWORK = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
#: kinds of failures, the surest first: a type of urllib3 may be of several kinds
KINDS: tuple[tuple[Callable[[BaseException], bool], str], ...] = (
    (
        lambda cause: isinstance(cause, socket.gaierror | urllib3.exceptions.NameResolutionError),
        f"the name of {{target}} was not resolved: {NO_INTERNET}",
    ),
    (lambda cause: isinstance(cause, ConnectionRefusedError), "{target} refused the connection"),
    (
        lambda cause: isinstance(cause, OSError) and cause.errno in NO_NETWORK,
        f"{{target}} cannot be reached: {NO_INTERNET}",
    ),
    (
        lambda cause: type(cause) is urllib3.exceptions.ConnectTimeoutError,
        f"timed out: {{target}} did not answer within {TIMEOUT_SECONDS[0]:g} s",
    ),
    (
        lambda cause: isinstance(cause, urllib3.exceptions.ReadTimeoutError | TimeoutError),
        f"timed out: {{target}} sent nothing for {TIMEOUT_SECONDS[1]:g} s",
    ),
    (lambda cause: isinstance(cause, ssl.SSLError), "no encrypted connection to {target}: {reason}"),
)
#: words of other programs on a failed connection, and what they mean; the first that fits counts
WORDS = (
    (
        re.compile("CERTIFICATE_VERIFY_FAILED"),
        "the certificate of its host is not trusted: where a network has certificates of its own, name their file in "
        f"{BUNDLES[0]}",
    ),
    (re.compile(r"ProxyError|Cannot connect to proxy|Tunnel connection failed"), f"no connection through {PROXY}"),
    (re.compile(r"Name or service not known|name resolution|gaierror"), "the name of its host was not resolved"),
    (re.compile(r"Connection refused"), "its host refused the connection"),
    (re.compile(r"timed out|Timeout"), "its host did not answer in time"),
)
#: requests' types that say nothing themselves
WRAPPERS = (requests.RequestException, urllib3.exceptions.MaxRetryError)


def user_agent() -> str:
    """Return the name that requests bear: Zenodo, among others, refuses the default name of Python's libraries."""
    try:
        installed = metadata.metadata(DISTRIBUTION)
    except metadata.PackageNotFoundError:  # run from a folder that was never installed
        return f"prelude/0 ({PROJECT})"
    addresses = [entry.partition(",")[2].strip() for entry in installed.get_all("Project-URL") or ()]
    return f"prelude/{installed['Version']} ({addresses[0] if addresses else PROJECT})"


class PublicSession(requests.Session):
    """Session that says who it is, sends no credentials and leaves no encrypted connection.

    The files of data sets are public, and `.netrc` would send a password to whatever host an address or a redirect
    names. Proxies and certificates are those of the usual environment variables.
    """

    def __init__(self) -> None:
        """Raise `UserError` if a variable names certificates that are not there or cannot be read."""
        super().__init__()
        self.auth = lambda request: request  # without one, requests looks into .netrc
        self.headers["User-Agent"] = user_agent()
        if bundle := find_certificates():
            self.verify = str(bundle)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Refuse a redirect to an address that is not encrypted; called before it is followed."""
        prepared_request.headers.pop("Authorization", None)
        if response.url.startswith("https:") and not str(prepared_request.url).startswith("https:"):
            raise UserError(
                f"{response.url}: the server redirects to {prepared_request.url}, which is not encrypted: {BY_HAND}"
            )


def find_certificates() -> Path | None:
    """Return the file or folder of certificates that a variable names. Raises `UserError` unless it has some."""
    variable = next(filter(os.environ.get, BUNDLES), None)
    if variable is None:
        return None
    bundle = Path(os.environ[variable])
    _require_certificates(variable, bundle)
    return bundle


def certificate_variables() -> dict[str, str]:
    """Return variables that name the same certificates to libraries and programs that read others of them."""
    bundle = find_certificates()
    if bundle is None:
        return {}
    return {BUNDLES[0]: str(bundle), "SSL_CERT_DIR" if bundle.is_dir() else "SSL_CERT_FILE": str(bundle)}


def describe_words(text: str) -> str | None:
    """Return what the message of another program says of a connection that failed; None if it says nothing."""
    return next((meaning for pattern, meaning in WORDS if pattern.search(text)), None)


def describe_foreign(error: BaseException) -> str:
    """Return why another library could not fetch a file: the cause, where it is known, or its own words."""
    words = describe_words(" ".join(f"{type(cause).__name__}: {cause}" for cause in _causes(error)))
    return words or _shorten(error)


def _require_certificates(variable: str, bundle: Path) -> None:
    """Raise `UserError` unless the file or folder that a variable names has certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(**{"capath" if bundle.is_dir() else "cafile": str(bundle)})
    except OSError as error:  # SSLError too
        is_missing = isinstance(error, FileNotFoundError)
        fault = "which is not there" if is_missing else f"which holds no certificates ({_shorten(error)})"
        raise UserError(f"{variable} names {bundle}, {fault}: correct it, or remove the variable") from error


def describe_final(error: Exception, url: str) -> str | None:
    """Return the line on a failure that will not pass by itself, with what to do; None for one that may."""
    causes = list(_causes(error))
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return f"{url}: {PROXY} has no valid address: correct the variable, as http://HOST:PORT"
    if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in str(error):
        return f"{url}: a SOCKS proxy needs the package pysocks: install it, or name an HTTP proxy in https_proxy"
    if isinstance(error, ValueError):  # raised by requests for a wrong address, ours or a redirect's
        return f"{url}: {error}: correct the address"
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"{url}: the certificate of {_host(error, url)} is not trusted ({cause.verify_message}): where a "
                f"network has certificates of its own, name their file in {BUNDLES[0]}; otherwise {BY_HAND}"
            )
    if (refusal := _proxy_refusal(causes)) and refusal.startswith("4"):
        login = ", with a login as http://USER:PASSWORD@HOST:PORT" if refusal.startswith("407") else ""
        return f"{url}: {PROXY} refuses to connect ({refusal}): correct the variable{login}, or {BY_HAND}"
    return None


def describe_failure(error: Exception, url: str) -> str:
    """Return why an attempt failed, as part of a line."""
    causes = list(_causes(error))
    if isinstance(error, requests.TooManyRedirects):
        return "the server redirects in a circle"
    if refusal := _proxy_refusal(causes):
        return f"{PROXY} refuses to connect: {refusal}"
    behind_proxy = any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes)
    target = PROXY if behind_proxy else _host(error, url)
    for is_cause, words in KINDS:
        if kind := next((cause for cause in causes if is_cause(cause)), None):
            return words.format(target=target, reason=_shorten(kind))
    reason = next((cause for cause in causes if not isinstance(cause, WRAPPERS)), error)
    return f"the connection to {target} failed or was dropped ({_shorten(reason)})"


def _proxy_refusal(causes: list[BaseException]) -> str | None:
    """Return the status with which a proxy refused to connect."""
    matches = (TUNNEL.search(str(cause)) for cause in causes)
    return next((match[0].partition(": ")[2].strip(" (") for match in matches if match), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that caused it, which libraries keep in several places, the outermost first."""
    pending: list[object] = [error]
    seen: set[int] = set()
    while pending:
        cause = pending.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            pending += [getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__]


def _host(error: Exception, url: str) -> str:
    """Return the host that a request failed at, which a redirect may have named."""
    request = getattr(error, "request", None)
    return urlsplit(getattr(request, "url", None) or url).hostname or url


def _shorten(error: BaseException) -> str:
    return textwrap.shorten(str(error) or type(error).__name__, MAX_REASON)
