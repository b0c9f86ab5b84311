# SPDX-License-Identifier: GPL-2.0-or-later
"""“setup firecracker” and a server: what broke off is continued, and what has no end, no certificate
or no sense is refused."""

import contextlib
import os
import pty
import re
import ssl
import stat
import subprocess
import threading
import time

import pytest

from conftest import DEADLINE_S
from releases import Handler, Server, breaking, name_of, program, redirect, release, sha256, whole
from setup_world import FAILED, V, server, world


@pytest.fixture
def big():
    """A release that takes several reads to send."""
    return release(V, firecracker=program(15, 1 << 20), jailer=program(115, 1 << 20))


def paths(server):
    return [path for path, _ in server.requests]


def kept(world):
    folder = world.path(".setup")
    return sorted(os.listdir(folder)) if os.path.exists(folder) else []


def test_a_release_is_downloaded(world, server, big):
    url = server.publish(V, big)
    out, err = world.run(url)
    assert world.installed() == ["current", "v1.15.1"]
    assert server.sent == len(big) + len(f"{sha256(big)}  {name_of(V)}\n")
    lines = [f"vmsan-client: Downloading {name_of(V)}",
             f"vmsan-client: {name_of(V)} has the right checksum"]
    assert err.splitlines()[:2] == lines
    assert world.run(url, "--quiet") == (out, "")
    world.run(url + "?token=1#there", "--sha256", sha256(big), code=FAILED)
    path, headers = server.requests[-1]
    assert path == f"/{name_of(V)}?token=1" and headers["Accept-Encoding"] == "identity"


def test_the_checksum_beside_a_url_and_elsewhere(world, server, big):
    url = server.publish(V, big)
    list_url = server.url("/list")
    server.answers["/list"] = whole(f"{sha256(big)}  {name_of(V)}\n".encode())
    world.run(url, "--checksum-from", list_url)
    assert paths(server) == ["/list", f"/{name_of(V)}"]
    del server.answers[f"/{name_of(V)}.sha256.txt"]
    err = world.refused(url)
    assert "404" in err and "--sha256" in err and "--checksum-from" in err
    world.run(url, "--sha256", sha256(big))
    server.answers["/list"] = lambda handler: handler.reply(200, b"x" * 70000)
    assert "larger than any list" in world.refused(url, "--checksum-from", list_url)
    server.answers["/list"] = breaking(b"x" * 100, [50])
    assert "broke off" in world.refused(url, "--checksum-from", list_url)
    server.forget()
    server.answers[f"/{name_of(V)}.sha256.txt"] = whole(
        f"{'0' * 64}  {name_of(V)}\n".encode())
    assert "should have" in world.refused(url)
    assert kept(world) == []


def test_progress_is_shown_on_a_terminal(world, server, big):
    url = server.publish(V, big)
    ours, theirs = pty.openpty()
    with world.client.start(*world.arguments(url), stderr=theirs) as process:
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(ours, 4096):
                text += data
        os.close(ours)
        assert process.wait(timeout=DEADLINE_S) == 0
    assert re.search(rf"\r\033\[Kdownloading {re.escape(name_of(V))}: [0-9.]+.[KM]iB, \d+ %"
                     r".*\r\033\[K", text.decode(), re.DOTALL)
    assert b"Downloading" not in text and b"is installed" in text


def test_what_breaks_off_is_continued_at_once(world, server, big):
    url = server.publish(V, big, breaking(big, [300000, 200000, 100000]))
    err = world.run(url, "--sha256", sha256(big))[1]
    assert server.sent == len(big) and len(server.requests) == 4
    assert "Range" not in server.requests[0][1]
    assert [headers["Range"] for _, headers in server.requests[1:]] == [
        "bytes=300000-", "bytes=500000-", "bytes=600000-"]
    assert {headers["If-Range"] for _, headers in server.requests[1:]} == {'"first"'}
    assert err.count("Downloading the rest of") == 3
    assert world.installed() == ["current", "v1.15.1"]


def test_what_broke_off_is_continued_by_the_next(world, server, big):
    """After a server that brings nothing more, and after being killed."""
    url = server.publish(V, big, breaking(big, [400000, 0]))
    out, err = world.run(url, "--sha256", sha256(big), code=FAILED)
    assert out == "" and "broke off" in err and len(server.requests) == 2
    assert world.installed() == [".setup"] and kept(world) == ["download", "download-origin"]
    assert stat.S_IMODE(os.stat(world.path(".setup")).st_mode) == 0o700

    stuck = threading.Event()
    server.answers[f"/{name_of(V)}"] = breaking(big, [100000], end=lambda handler: stuck.wait())
    with world.client.start(*world.arguments(url, "--sha256", sha256(big))) as process:
        part = world.path(".setup", "download")
        deadline = time.monotonic() + DEADLINE_S
        while os.stat(part).st_size < 500000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    stuck.set()
    assert server.sent == 500000

    server.answers[f"/{name_of(V)}"] = whole(big)
    world.run(url, "--sha256", sha256(big))
    assert server.sent == len(big)
    assert server.requests[-1][1]["Range"] == "bytes=500000-"
    assert world.installed() == ["current", "v1.15.1"]


def keep_part(world, server, data, etag='"first"'):
    """Leaves 400000 bytes of a download."""
    url = server.publish(V, data, breaking(data, [400000, 0], etag))
    world.run(url, "--sha256", sha256(data), code=FAILED)
    assert kept(world) == ["download", "download-origin"]
    server.forget()
    return url


def odd_part(start=None, status=206, etag='"first"', total=None):
    """Answers a request for a part in a way that cannot be used, and one for all as it should."""
    def make(data):
        def answer(handler):
            if "Range" not in handler.headers:
                whole(data)(handler)
            elif status != 206:
                handler.reply(status, b"no such part")
            else:
                handler.reply(206, data[400000:], ETag=etag, Content_Range=None if start is None
                              else f"bytes {start}-{len(data) - 1}/{total or len(data)}")
        return answer
    return make


@pytest.mark.parametrize("answer", [
    lambda data: whole(data, '"second"'),
    odd_part(start=399999),
    odd_part(start=400000, etag='"second"'),
    odd_part(start=400000, total=1 << 30),
    odd_part(start=None),
    odd_part(status=416),
], ids=["another-file", "another-start", "another-tag", "more-to-come", "no-range", "too-far"])
def test_what_cannot_be_continued_begins_anew(world, server, big, answer):
    url = keep_part(world, server, big)
    other = release(V, firecracker=program(15, 1 << 20))
    server.answers[f"/{name_of(V)}"] = answer(other)
    world.run(url, "--sha256", sha256(other))
    assert ["Range" in headers for _, headers in server.requests] in ([True], [True, False])
    assert world.installed() == ["current", "v1.15.1"]


def test_parts_are_only_of_the_same_url(world, server, big):
    keep_part(world, server, big)
    server.answers[f"/elsewhere/{name_of(V)}"] = whole(big)
    world.run(server.url(f"/elsewhere/{name_of(V)}"), "--sha256", sha256(big))
    assert "Range" not in server.requests[0][1] and world.installed() == ["current", "v1.15.1"]


@pytest.mark.parametrize("spoil", ["origin-cut-off", "origin-gone", "part-too-large"])
def test_parts_of_unknown_origin_are_not_used(world, server, big, spoil):
    url = keep_part(world, server, big)
    origin = world.path(".setup", "download-origin")
    if spoil == "origin-cut-off":
        os.truncate(origin, os.stat(origin).st_size - 1)
    elif spoil == "origin-gone":
        os.unlink(origin)
    else:
        os.truncate(world.path(".setup", "download"), (256 << 20) + 1)
    server.answers[f"/{name_of(V)}"] = whole(big)
    world.run(url, "--sha256", sha256(big))
    assert "Range" not in server.requests[0][1] and world.installed() == ["current", "v1.15.1"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"', '"' + "x" * 300 + '"', "bare"])
def test_without_a_strong_tag_nothing_is_kept(world, server, big, etag):
    url = server.publish(V, big, breaking(big, [400000], etag))
    assert "broke off" in world.refused(url)
    world.run(url)
    assert all("Range" not in headers for _, headers in server.requests)


def test_a_part_that_was_damaged_is_not_kept_for_ever(world, server, big):
    url = keep_part(world, server, big)
    with open(world.path(".setup", "download"), "r+b") as file:
        file.write(b"damaged")
    server.answers[f"/{name_of(V)}"] = whole(big)
    assert "should have" in world.run(url, "--sha256", sha256(big), code=FAILED)[1]
    assert world.installed() == []
    world.run(url)


@pytest.mark.parametrize("silent", ["at-once", "in-the-head", "in-the-body", "in-the-checksum"])
def test_a_silent_server_is_given_up(world, server, big, silent):
    stuck = threading.Event()
    url = server.publish(V, big)
    path = f"/{name_of(V)}"

    def say_nothing(handler):
        if silent == "in-the-head":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-")
        stuck.wait()
        handler.close_connection = True
    if silent == "in-the-body":
        server.answers[path] = breaking(big, [0], None, end=say_nothing)
    else:
        server.answers[path + ".sha256.txt" * (silent == "in-the-checksum")] = say_nothing
    begin = time.monotonic()
    err = world.refused(url, "--timeout", "1s")
    stuck.set()
    assert "timed out" in err and 0.9 < time.monotonic() - begin < DEADLINE_S


@pytest.mark.parametrize("body", ["claimed", "chunked", "to-the-end"])
def test_bodies_without_end_are_refused(world, server, body):
    block = bytes(1 << 20)

    def endless(handler):
        if body == "claimed":
            handler.head(200, Content_Length=(256 << 20) + 1, ETag='"first"')
        elif body == "chunked":
            handler.head(200, Transfer_Encoding="chunked", ETag='"first"')
        else:
            handler.head(200, ETag='"first"', Connection="close")
        with contextlib.suppress(OSError):
            while True:
                if body == "chunked":
                    handler.wfile.write(b"100000\r\n")
                handler.body(block)
                if body == "chunked":
                    handler.wfile.write(b"\r\n")
        handler.close_connection = True
    url = server.publish(V, b"", endless)
    assert "larger than 256.0 MiB" in world.refused(url).replace("\u00a0", " ")
    assert server.sent < (270 << 20 if body != "claimed" else 20 << 20)


def test_a_body_of_chunks_has_an_end(world, server, big):
    def answer(claim, end):
        def send(handler):
            handler.head(200, Transfer_Encoding="chunked")
            handler.body(b"%x\r\n" % claim + big + end)
            handler.hang_up()
        return send
    world.run(server.publish(V, big, answer(len(big), b"\r\n0\r\n\r\n")))
    assert "broke off" in world.refused(server.publish(V, big, answer(len(big) + 1, b"")))
    assert "broke off" in world.refused(server.publish(V, big, answer(len(big), b"\r\nno chunk")))


@pytest.mark.parametrize("status", [204, 206, 300, 304, 401, 403, 404, 500, 503])
def test_other_answers_are_errors(world, server, big, status):
    url = server.publish(V, big, lambda handler: handler.reply(
        status, b"" if status in (204, 304) else big, ETag='"first"'))
    assert f"answers {status}" in world.refused(url)


def test_what_is_no_http_is_an_error(world, server, big):
    def noise(handler):
        handler.wfile.write(os.urandom(1 << 17))
        handler.hang_up()
    world.refused(server.publish(V, big, noise))
    server.answers[f"/{name_of(V)}"] = Handler.hang_up
    world.refused(server.url(f"/{name_of(V)}"), "--sha256", sha256(big))


def test_nobody_listens(world, server, big):
    url = server.publish(V, big)
    server.shutdown()
    server.socket.close()
    assert "refused" in world.refused(url)


# ---- where from -----------------------------------------------------------------------------

@pytest.mark.parametrize("url, why", [
    ("http://192.0.2.1/", "begins with https"), ("http://example.com/", "begins with https"),
    ("http://127.0.0.1.example.com/", "begins with https"), ("ftp://127.0.0.1/", "https"),
    ("http://localhost.example.com/", "begins with https"), ("file:///", "not a URL"),
    ("https://alice:s3cret@127.0.0.1/", "user name"), ("https:///", "not a URL"),
    ("http://[::1/", "not a URL"),
    ("http://0177.0.0.1/", "begins with https"), ("HTTP://192.0.2.1/", "begins with https")])
def test_urls_that_are_not_used(world, url, why):
    for options in (["--sha256", "0" * 64], []):
        err = world.refused(url + name_of(V), *options)
        assert why in err and "s3cret" not in err
    err = world.refused(world.put_release(V), "--checksum-from", url + "list")
    assert why in err and "s3cret" not in err


def test_this_machine_has_several_names(world, server, big):
    url = server.publish(V, big)
    for name in "localhost", "LOCALHOST", "127.0.0.1":
        world.run(url.replace("127.0.0.1", name))


def test_redirects_are_few(world, server, big):
    url = server.publish(V, big)
    data = server.answers[f"/{name_of(V)}"]
    for status in 301, 302, 303, 307, 308:
        server.answers[f"/{name_of(V)}"] = redirect("hop/1?a=b", status)
        for i in range(1, 5):
            server.answers[f"/hop/{i}?a=b"] = redirect(f"/hop/{i + 1}?a=b", status)
        server.answers["/hop/5?a=b"] = data
        world.run(url, "--sha256", sha256(big))
    server.answers["/hop/5?a=b"] = redirect("/hop/6?a=b")
    server.answers["/hop/6?a=b"] = data
    server.forget()
    assert "more than 5 times" in world.refused(url)
    assert "/hop/6?a=b" not in paths(server)
    server.answers[f"/{name_of(V)}"] = redirect(url)
    assert "more than 5 times" in world.refused(url)


@pytest.mark.parametrize("to, why", [
    ("http://192.0.2.1/x", "begins with https"), ("ftp://127.0.0.1/x", "begins with https"),
    ("file:///etc/passwd", "not a URL"), ("https://a@127.0.0.1/x", "user name"),
    ("http://[", "not a URL"), ("", "more than 5 times")])
def test_redirects_lead_nowhere_else(world, server, big, to, why):
    url = server.publish(V, big, redirect(to))
    assert why in world.refused(url)


def test_a_redirect_does_not_hinder_continuing(world, server, big):
    """As with signed links: each request gets another one."""
    url = server.publish(V, big)
    serve, links = breaking(big, [300000, 200000]), iter(range(10))

    def another(handler):
        link = f"/signed/{next(links)}"
        server.answers[link] = serve
        redirect(link)(handler)
    server.answers[f"/{name_of(V)}"] = another
    world.run(url, "--sha256", sha256(big))
    assert sum(path.startswith("/signed/") for path in paths(server)) == 3


@pytest.fixture
def authority(world):
    """Certificates of an authority that this machine does not trust, until trust() is called."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=world.top, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Test", "-days", "2")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            "tls.key", "-out", "tls.csr", "-subj", "/CN=127.0.0.1")
    world.put("names", b"subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-out",
            "tls.crt", "-days", "2", "-extfile", "names")
    store = "/etc/ssl/certs/ca-certificates.crt"  # of the private /etc
    os.makedirs(os.path.dirname(store), exist_ok=True)
    before = open(store, "rb").read() if os.path.exists(store) else b""

    def trust():
        with open(store, "wb") as file, open(os.path.join(world.top, "ca.crt"), "rb") as ours:
            file.write(before + ours.read())
    yield trust
    with open(store, "wb") as file:
        file.write(before)


@pytest.fixture
def tls_server(world, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(world.top, "tls.crt"), os.path.join(world.top, "tls.key"))
    made = Server(context)
    made.trust = authority
    yield made
    made.close()


def test_https_is_checked_and_stays_https(world, server, tls_server, big):
    url = tls_server.publish(V, big, breaking(big, [300000]))
    assert "certificate" in world.refused(url) and tls_server.requests == []
    tls_server.trust()
    world.run(url, "--sha256", sha256(big))
    assert tls_server.sent == len(big)
    # By another name than the certificate's.
    assert "certificate" in world.refused(url.replace("127.0.0.1", "localhost"))

    tls_server.answers[f"/{name_of(V)}"] = redirect(server.publish(V, big))
    assert "from https to" in world.refused(url)
    assert server.requests == []
    # The other way round is fine.
    tls_server.answers["/here"] = whole(big)
    server.answers[f"/{name_of(V)}"] = redirect(tls_server.url("/here"))
    world.run(server.url(f"/{name_of(V)}"))


def test_proxies_are_those_of_the_environment(world, server, big):
    proxy = server.url("/")
    world.client.environment.update(http_proxy=proxy, https_proxy=proxy, no_proxy="")
    world.refused(f"https://download.example/{name_of(V)}", "--sha256", sha256(big))
    assert paths(server) == ["CONNECT download.example:443"]
    # What is for this machine itself does not go to another.
    server.forget()
    world.client.environment.update(http_proxy="http://127.0.0.1:9/")
    world.run(server.publish(V, big))
    assert len(server.requests) == 2
