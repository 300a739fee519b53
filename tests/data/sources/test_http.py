"""HTTP over real sockets: every way in which an answer can fail is told in plain words."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import which
from urllib.parse import urlsplit

import pytest

from data.errors import NetworkError, UsageError
from data.sources.http import AskingAgainIsUseless, Http, proxy_of, shown

Talk = Callable[[socket.socket], object]


@contextmanager
def server(talk: Talk, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that reads a request and then does ``talk``; its URL."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                peer, _ = listening.accept()
                with closing(context.wrap_socket(peer, True) if context else peer) as talking:
                    talking.recv(65536)
                    talk(talking)
            except OSError:
                if listening.fileno() < 0:
                    return

    threading.Thread(target=accept, daemon=True).start()
    scheme = "https" if context else "http"
    try:
        yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/x?y=1"
    finally:
        listening.close()


def says(text: bytes) -> Talk:
    return lambda peer: peer.sendall(text)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_an_answer_of_any_status_is_an_answer() -> None:
    with server(says(answer(b"no", "X-Why: because", status="404 Not Found"))) as url:
        found = Http().get(url)
    assert (found.status, found.headers["x-why"], found.body) == (404, "because", b"no")


def test_a_compressed_answer_is_read() -> None:
    with server(says(answer(gzip.compress(b"[1]"), "Content-Encoding: gzip"))) as url:
        assert Http().get(url).body == b"[1]"


SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (says(SHORT), "the answer broke off: 3 bytes came, 7 are missing"),
        (says(b""), "the server closed the connection without an answer"),
        (says(b"hello\r\n\r\n"), "what answered does not speak HTTP"),
        (lambda _peer: time.sleep(1), "no byte arrived within the time limit"),
        (lambda peer: (peer.sendall(SHORT), time.sleep(1)), "no byte arrived within the time"),
    ],
)
def test_what_is_no_whole_answer_is_an_error(talk: Talk, why: str) -> None:
    http = Http(read_s=0.2)
    with server(talk) as url:
        with pytest.raises(NetworkError, match=why) as caught:
            http.get(url)
        with pytest.raises(NetworkError, match=why), http.stream(url) as stream:
            list(stream.blocks())
    assert caught.value.exit_code == 5 and caught.value.do and caught.value.where == url


def test_small_answers_have_a_limit_of_size_and_of_time() -> None:
    def drip(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            peer.sendall(b"x")
            time.sleep(0.02)

    with server(drip) as url, pytest.raises(NetworkError, match=r"longer than 0\.3 s"):
        Http(whole_s=0.3).get(url)
    with server(says(answer(b"x" * 100))) as url, pytest.raises(NetworkError, match="99 bytes"):
        Http().get(url, max_bytes=99)


def test_a_read_can_be_ended_from_another_thread() -> None:
    with server(lambda peer: (peer.sendall(SHORT), time.sleep(5))) as url:
        began_s = time.monotonic()
        with Http().stream(url) as stream:
            threading.Timer(0.1, stream.cut).start()
            with pytest.raises(NetworkError):
                list(stream.blocks())
        assert time.monotonic() - began_s < 4.9  # the server would end it after 5


def test_nobody_there_and_no_such_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(NetworkError, match="refused"):
        Http().get(f"http://127.0.0.1:{port}/")
    with pytest.raises(NetworkError, match=r"nosuch\.invalid is not known"):
        Http().get("http://nosuch.invalid/x")


@pytest.mark.parametrize("url", ["ftp://x/y", "x", "http://", "http://x:99999/", "file:///etc"])
def test_what_is_no_address_is_an_error_of_use(url: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        Http().get(url)


def test_redirects_are_followed_but_not_for_ever_and_never_to_plain_text() -> None:
    with server(says(answer(b"there"))) as target:
        moved = says(answer(b"", f"Location: {target}", status="301 Moved"))
        with server(moved) as url:
            assert Http().get(url).body == b"there"
    with (
        server(says(answer(b"", "Location: /again", status="302 Found"))) as url,
        pytest.raises(AskingAgainIsUseless, match="on and on"),
    ):
        Http().get(url)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([openssl, *words, *files], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    with (
        server(says(answer(b"secret")), context) as url,
        pytest.raises(AskingAgainIsUseless, match="could not prove who it is"),
    ):
        Http().get(url)


def test_proxies_come_from_the_environment_but_not_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    asked: list[bytes] = []

    def proxy(peer: socket.socket) -> None:
        asked.append(b"asked")
        peer.sendall(answer(b"by proxy"))

    with server(proxy) as url:
        monkeypatch.setenv("http_proxy", f"http://{urlsplit(url).netloc}")
        assert Http().get("http://nosuch.invalid/x").body == b"by proxy"
        assert proxy_of(urlsplit("http://127.0.0.1:9/x")) == ""
        monkeypatch.setenv("no_proxy", "nosuch.invalid")
        assert proxy_of(urlsplit("http://nosuch.invalid/x")) == ""
    monkeypatch.setenv("https_proxy", "socks5://x:1")
    with pytest.raises(UsageError, match="socks5"):
        Http().get("https://else.invalid/")
    assert asked == [b"asked"]


def test_no_password_is_shown() -> None:
    assert shown("http://user:secret@host:1/x?y#z") == "http://host:1/x?y#z"
    with pytest.raises(NetworkError) as caught:
        Http(connect_s=0.5).get("http://user:secret@127.0.0.1:1/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("target", ["ftp://x/y", "http://[bad/", "http://x:99999/", "mailto:me"])
def test_a_redirect_to_no_web_address_is_the_servers_fault(target: str) -> None:
    moved = says(answer(b"", f"Location: {target}", status="302 Found"))
    with server(moved) as url, pytest.raises(AskingAgainIsUseless, match="no web") as caught:
        Http().get(url)
    assert target in caught.value.why and caught.value.exit_code == 5
