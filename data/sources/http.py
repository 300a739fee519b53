"""HTTP as the sources need it: whole small answers, and large ones block by block.

Owns :class:`Http`: connections, time limits, proxies of the environment, TLS, and the words in
which a network that fails is reported. What must hold: nothing waits for ever (connecting, each
read, and a small answer as a whole have a limit); a body that ends early is an error and never a
short body; certificates are verified; an answer is returned whatever its status is, because only
the caller knows what a 404 means.

It refuses to know what is fetched, to retry, and to write files.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from data.errors import NetworkError, UsageError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager, Timeout

CONNECT_S = 10.0
READ_S = 30.0
WHOLE_S = 60.0
"""Limits in seconds: to connect, for each read, and for a small answer in all."""

MAX_BYTES = 16 << 20
"""Largest body of a small answer."""

BLOCK_BYTES = 1 << 16
_REDIRECTS_MAX = 5
_MOVED = frozenset({301, 302, 303, 307, 308})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AskingAgainIsUseless(NetworkError):  # noqa: N818  it says what sets it apart
    """A failure that another attempt would meet again: a certificate, a redirect in circles."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers with names in lower case, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Stream:
    """An answer whose body is read block by block; made by :meth:`Http.stream`."""

    def __init__(self, url: str, response: BaseHTTPResponse) -> None:
        self.url = url
        self.status = response.status
        self.headers: Mapping[str, str] = _headers(response)
        self._response = response

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
        """What arrives, as it arrives, at most ``block_bytes`` at once, as it was sent.

        NetworkError where the body stalls, breaks off, or ends before its announced length.
        """
        with _told(self.url):
            while block := self._response.read1(block_bytes, decode_content=False):
                yield block

    def cut(self) -> None:
        """End a read that is going on in another thread; that read fails with NetworkError."""
        # ValueError: nothing is being read any more; RuntimeError, OSError: it is closed already
        with suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()


class Http:
    """Makes requests; may be used by several threads at once.

    ``connect_s`` limits connecting, ``read_s`` each wait for bytes, ``whole_s`` a small answer in
    all (seconds). ``connections`` are kept open a host. Proxies come from the environment
    (``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``); loopback never goes through one.
    """

    def __init__(
        self,
        *,
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
        whole_s: float = WHOLE_S,
        connections: int = 8,
    ) -> None:
        self.connect_s, self.read_s, self.whole_s = connect_s, read_s, whole_s
        self._connections = connections
        self._pools: dict[str, PoolManager] = {}

    def get(
        self, url: str, headers: Mapping[str, str] | None = None, max_bytes: int = MAX_BYTES
    ) -> Answer:
        """The answer of any status, its body decoded where it came compressed.

        NetworkError (exit code 5) where there is none within the limits, or where the body is
        longer than ``max_bytes``; UsageError where ``url`` is no http or https address.
        """
        deadline_s = time.monotonic() + self.whole_s
        with self._asked(url, headers) as (final, response):
            body = bytearray()
            with _told(final):
                while block := response.read1(BLOCK_BYTES, decode_content=True):
                    body += block
                    if len(body) > max_bytes:
                        raise _failed(final, f"the answer is longer than {max_bytes} bytes")
                    if time.monotonic() > deadline_s:
                        raise _failed(final, f"the answer took longer than {self.whole_s:g} s")
            return Answer(response.status, _headers(response), bytes(body))

    def head(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Status and headers of any answer, without its body; errors as :meth:`get`."""
        with self._asked(url, headers, "HEAD") as (final, response):
            with _told(final):
                response.read()  # nothing; it frees the connection for the next request
            return Answer(response.status, _headers(response), b"")

    @contextmanager
    def stream(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Stream]:
        """An answer to read block by block; the connection is given back at the end of the block.

        Errors as :meth:`get`; the body itself has no limit of size or time but ``read_s`` a read.
        """
        with self._asked(url, headers) as (final, response):
            yield Stream(final, response)

    def close(self) -> None:
        """Close the connections that are kept open."""
        for pool in self._pools.values():
            pool.clear()

    @contextmanager
    def _asked(
        self, url: str, headers: Mapping[str, str] | None, method: str = "GET"
    ) -> Iterator[tuple[str, BaseHTTPResponse]]:
        final, response = self._follow(method, url, headers or {})
        try:
            yield final, response
        finally:
            # A body that was not read to its end leaves a connection that cannot serve another
            # request; close() of a finished one only gives it back.
            response.close()
            response.release_conn()

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str]
    ) -> tuple[str, BaseHTTPResponse]:
        for _ in range(_REDIRECTS_MAX + 1):
            response = self._request(method, url, headers)
            target = response.headers.get("location")
            if response.status not in _MOVED or target is None:
                return url, response
            response.close()
            moved = _joined(url, target)
            if _parts(url).scheme == "https" and _parts(moved).scheme != "https":
                raise AskingAgainIsUseless(
                    "an encrypted address sends on to one that is not",
                    where=f"{shown(url)} -> {shown(moved)}",
                    why="what came from there could have been changed on the way",
                    do="name the right address with --endpoint",
                )
            url = moved
        raise AskingAgainIsUseless(
            "the server sends on and on",
            where=shown(url),
            why=f"more than {_REDIRECTS_MAX} redirects",
            do="check the address and the proxy",
        )

    def _request(self, method: str, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        asked = {"User-Agent": _agent(), "Accept-Encoding": "identity", **headers}
        with _told(url):
            return self._pool(url).request(
                method,
                url,
                headers=asked,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=self._timeout(),
            )

    def _timeout(self) -> Timeout:
        from urllib3 import Timeout

        return Timeout(connect=self.connect_s, read=self.read_s)

    def _pool(self, url: str) -> PoolManager:
        proxy = proxy_of(_parts(url))
        pool = self._pools.get(proxy)
        if pool is None:
            pool = self._pools.setdefault(proxy, self._new_pool(proxy))
        return pool

    def _new_pool(self, proxy: str) -> PoolManager:
        from urllib3 import PoolManager, ProxyManager, make_headers

        # create_default_context verifies against the system's certificates (or SSL_CERT_FILE).
        tls = ssl.create_default_context()
        if not proxy:
            return PoolManager(maxsize=self._connections, ssl_context=tls)
        split = urlsplit(proxy)
        if split.scheme not in ("http", "https"):
            raise UsageError(
                f"a proxy of the kind {split.scheme!r} cannot be used",
                where="HTTPS_PROXY, HTTP_PROXY or ALL_PROXY",
                do="name an http:// proxy, or except the host with NO_PROXY",
            )
        login = f"{split.username}:{split.password or ''}" if split.username else None
        return ProxyManager(
            urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2])),
            maxsize=self._connections,
            ssl_context=tls,
            proxy_headers=make_headers(proxy_basic_auth=login) if login else None,
        )


def proxy_of(url: SplitResult) -> str:
    """The proxy that the environment names for ``url``; empty where none is to be used."""
    from urllib.request import getproxies, proxy_bypass

    host = url.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return ""
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all") or ""
    return found if not found or "://" in found else f"http://{found}"


def shown(url: str) -> str:
    """``url`` as a message may show it: without a user's name and password."""
    split = urlsplit(url)
    return urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2]))


def _parts(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        good = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(
            f"{url!r} is no address to fetch from",
            do="write it as https://host/path or http://host:port/path",
        )
    return split


def _joined(url: str, target: str) -> str:
    """Where ``url`` sends on to; a target that cannot be asked is the server's fault, not ours."""
    try:
        moved = urljoin(url, target)
        _parts(moved)
    except (ValueError, UsageError):
        raise AskingAgainIsUseless(
            "the server sends on to what is no web address",
            where=shown(url),
            why=f"it names {target!r}",
            do="check the address and the proxy",
        ) from None
    return moved


def _headers(response: BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _agent() -> str:
    from importlib.metadata import version

    return f"ofs/{version('ofs')}"


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn every failure of the network inside the block into a NetworkError about ``url``."""
    from urllib3 import exceptions as lib

    try:
        yield
    except lib.HTTPError as error:
        raise _explained(url, error) from error
    except OSError as error:  # what a socket says when it is cut from another thread
        raise _failed(url, _reason(error)) from error


def _explained(url: str, error: Exception) -> NetworkError:
    from urllib3 import exceptions as lib

    host = urlsplit(url).hostname or url
    if isinstance(error, lib.ProxyError):
        return NetworkError(
            f"the proxy for {host} cannot be used",
            where=shown(url),
            why=_reason(error),
            do="check HTTPS_PROXY and HTTP_PROXY, or except the host with NO_PROXY",
        )
    if isinstance(error, lib.NameResolutionError):
        return NetworkError(
            f"the name {host} is not known",
            where=shown(url),
            why=_reason(error),
            do="check the network and the name; behind a proxy set HTTPS_PROXY",
        )
    if isinstance(error, lib.SSLError):
        return AskingAgainIsUseless(
            f"{host} could not prove who it is",
            where=shown(url),
            why=_reason(error),
            do="check the clock of this machine and its certificates (SSL_CERT_FILE names others)",
        )
    return _failed(url, _reason(error))


def _failed(url: str, why: str) -> NetworkError:
    return NetworkError(
        f"{urlsplit(url).hostname} did not answer as it must",
        where=shown(url),
        why=why,
        do="try again; if it stays, check the network, a proxy, or the venue's status page",
    )


def _reason(error: BaseException) -> str:
    """What went wrong, in one line that does not show the insides of a library."""
    from http.client import BadStatusLine, RemoteDisconnected

    from urllib3 import exceptions as lib

    causes: list[BaseException] = [error]
    while (last := causes[-1]).__cause__ is not None:
        causes.append(last.__cause__)
    for one in [part for cause in reversed(causes) for part in (*cause.args, cause)]:
        if isinstance(one, RemoteDisconnected):
            return "the server closed the connection without an answer"
        if isinstance(one, lib.IncompleteRead):
            rest = f", {one.expected} are missing" if one.expected else ""
            return f"the answer broke off: {one.partial} bytes came{rest}"
        if isinstance(one, BadStatusLine):
            return "what answered does not speak HTTP"
        if isinstance(one, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
            return "the connection was reset"
        if isinstance(one, OSError) and not isinstance(one, TimeoutError) and one.strerror:
            return one.strerror
    if isinstance(error, lib.ConnectTimeoutError):
        return "no connection within the time limit"
    if isinstance(error, lib.ReadTimeoutError | TimeoutError):
        return "no byte arrived within the time limit"
    text = str(causes[-1]) or type(error).__name__
    return text.splitlines()[0]
