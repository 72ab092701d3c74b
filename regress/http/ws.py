#!/usr/bin/env python3
"""ws.py SERVER: WebSocket clients of status-server, good and hostile.

As in attack.py the attackers are at 127.0.0.1; while they are held, a good
client at 127.0.0.2 must be answered, and a good WebSocket client there must
hear each change. Lines "ok - ..." and "not ok - ..." on standard output.
"""
import base64
import hashlib
import json
import os
import random
import socket
import struct
import sys
import threading
import time

from harness import (Judge, Server, connect, failures, get, metric, pss,
                     report, survived, until)
from wsclient import (ACCEPT, BINARY, CLOSE, KEY, PING, PONG, TEXT, Client, Ended,
                      frame, handshake)

FRAMES = 1000                                   # HTTP_WS_FRAMES


def client(port, source="127.0.0.2", rcvbuf=None, **change):
    return Client(connect(port, source, rcvbuf), **change)


def clients(srv):
    return metric(srv, "bloodraven_websocket_connected_clients")


def dropped(srv, reason):
    return metric(srv, 'bloodraven_http_connections_dropped_total{server="aux"'
                  ',reason="%s"}' % reason) or 0


def nobody(srv):
    until("all clients to go", lambda: clients(srv) == 0, 20)


class Hearer:
    """A good client; what it heard last of each group, and when."""

    def __init__(self, srv):
        self.ws = client(srv.ports["aux"])
        self.last, self.count, self.error = {}, 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                m = self.ws.message()
                self.count += 1
                self.last[m["group"]] = (m["activeSite"], time.monotonic())
        except (Ended, OSError) as e:
            self.error = repr(e)

    def hears(self, group, site):
        until("word of " + group, lambda: self.error or
              self.last.get(group, ("",))[0] == site, 30)
        return self.error is None

    def close(self):
        self.ws.s.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.ws.close()


class Held:
    """While attackers are held: good clients are answered and hear news."""

    def __init__(self, srv, name):
        self.srv, self.name, self.took, self.turn = srv, name, [], 0

    def __enter__(self):
        self.hearer = Hearer(self.srv)
        self.judge = Judge([self.srv.ports["aux"], self.srv.ports["probe"]])
        self.judge.__enter__()
        return self

    def news(self):
        """One change; it is heard."""
        self.turn += 1
        site = "s%d" % self.turn
        t = time.monotonic()
        self.srv.tell("group held ns held %s a b" % site)
        good = self.hearer.hears("held", site)
        self.took.append(time.monotonic() - t)
        return good

    def __exit__(self, *a):
        good = all([self.news() for _ in range(20)])
        self.judge.__exit__(*a)
        self.judge.verdict(self.name)
        report(good and self.hearer.error is None,
               self.name + ": others hear of each change",
               self.hearer.error)
        ms = sorted(1000 * t for t in self.took)
        print("%s: %d changes heard, ms: p50 %.1f max %.1f" % (
            self.name, len(ms), ms[len(ms) // 2], ms[-1]), file=sys.stderr)
        self.hearer.close()
        self.srv.tell("gone held")


# --- the protocol ---------------------------------------------------------------

def handshakes(srv):
    a = srv.ports["aux"]
    ws = client(a)
    fields = dict(l.lower().split(": ", 1)
                  for l in ws.head.split("\r\n")[1:])
    report(fields == {"upgrade": "websocket", "connection": "upgrade",
                      "sec-websocket-accept": ACCEPT.lower()} and
           ACCEPT in ws.head, "the answer to a handshake", ws.head)
    ws.close()
    key = base64.b64encode(os.urandom(16)).decode()
    want = base64.b64encode(hashlib.sha1((
        key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    ws = client(a, Sec_WebSocket_Key=key, Upgrade="h2c, WebSocket",
                Connection="keep-alive, upgrade", Origin="http://any.example")
    report(want.decode() in ws.head, "any key, lists of tokens, any origin",
           ws.head)
    ws.close()
    rows = [
        (426, handshake(Upgrade=None, Connection="close")),
        (426, handshake(Upgrade="h2c")),
        (426, handshake(Connection="keep-alive")),
        (426, handshake(line="GET /ws/status HTTP/1.0")),
        (426, handshake(Sec_WebSocket_Version="8")),
        (426, handshake(Sec_WebSocket_Version=None)),
        (400, handshake(line="POST /ws/status HTTP/1.1")),
        (400, handshake(line="HEAD /ws/status HTTP/1.1")),
        (400, handshake(Sec_WebSocket_Key=None)),
        (400, handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ")),
        (400, handshake(Sec_WebSocket_Key="c2hvcnQ=")),
        (400, handshake(sec_websocket_KEY=KEY)),
        (400, handshake(origin="a", Origin="b")),
        (400, handshake() + frame(PING)),
        (404, handshake(line="GET /ws/status/ HTTP/1.1")),
        (404, handshake(line="GET /ws HTTP/1.1")),
        (413, handshake(Content_Length="1")),
    ]
    for want, data in rows:
        s = connect(a)
        s.sendall(data)
        answer = s.recv(4096)
        s.close()
        good = answer.startswith(b"HTTP/1.1 %d " % want)
        if want == 426:
            good = good and b"\r\nUpgrade: websocket\r\n" in answer and \
                b"\r\nSec-WebSocket-Version: 13\r\n" in answer
        report(good, "%d for %r" % (want, data[:60]), answer[:80])
    report(get(srv.ports["probe"], "/ws/status")[0] == 404 and
           get(srv.ports["metrics"], "/ws/status")[0] == 404,
           "no WebSocket on the other ports")
    nobody(srv)


def messages(srv):
    a = srv.ports["aux"]
    srv.tell("state 1")
    srv.tell("site u1 iad writable")
    srv.tell("site u1 pdx read-only")
    srv.tell("group u1 ns g iad iad pdx")
    srv.tell("site u2 iad unreachable")
    srv.tell("group u2 ns h - iad")
    one, two = client(a), client(a)
    first = [one.message(), one.message()]
    report([m["group"] for m in first] == ["g", "h"],
           "a new client hears of every group at once", first)
    want = {"namespace": "ns", "group": "g", "activeSite": "iad", "sites": [
        {"name": "iad", "role": "primary-candidate", "state": "writable",
         "replicating": False, "servingHealthy": False},
        {"name": "pdx", "role": "primary-candidate", "state": "read-only",
         "replicating": False, "servingHealthy": False}],
        "pollTime": "2026-01-01T00:00:00Z", "leader": True}
    report(first[0] == want, "a message", first[0])
    two.message(), two.message()
    srv.tell("group u1 ns g pdx iad pdx")
    report([c.message()["activeSite"] for c in (one, two)] == ["pdx", "pdx"],
           "a change goes to every client")
    srv.tell("state 0")
    heard = [one.message(), one.message()]
    report([m["leader"] for m in heard] == [False, False] and
           json.loads(get(a, "/status")[2])["ns/g"]["leader"] is False,
           "the loss of the Lease is told", heard)
    srv.tell("state 1")
    one.message(), one.message()
    srv.tell("gone u2")
    srv.tell("group u1 ns g iad iad pdx")
    report(one.message()["activeSite"] == "iad", "a group that went is silent")
    row = "bloodraven_http_request%s{server=\"aux\",handler=\"ws-status\"," \
        "method=\"GET\"%s}"

    def by(status):
        return metric(srv, row % ("s_total", ',status="%s"' % status)) or 0

    until("upgrades as 1xx", lambda: by("1xx") == 4)
    report(by("4xx") > 2 and by("4xx") ==
           metric(srv, row % ("_duration_seconds_count", "")),
           "upgrades are counted as 1xx, and have no duration", by("4xx"))
    until("the count", lambda: clients(srv) == 2)
    report(True, "clients are counted")
    one.close(), two.close()
    nobody(srv)
    srv.tell("gone u1")


def coalesced(srv):
    """Who reads slowly hears the newest word, not all of them."""
    srv.tell("site u1 iad writable 16000")
    srv.tell("group u1 ns g s0 iad")
    ws = client(srv.ports["aux"], rcvbuf=4096)
    for i in range(1, 401):
        srv.tell("group u1 ns g s%d iad" % i)
    heard = []
    while not heard or heard[-1] != "s400":
        heard.append(ws.message()["activeSite"])
    order = [int(h[1:]) for h in heard]
    report(order == sorted(set(order)) and len(heard) < 200,
           "a slow client hears the newest word (%d of 400)" % len(heard),
           order)
    ws.close()
    nobody(srv)
    srv.tell("gone u1")


def frames(srv):
    """One client per row: what it sends, and how it ends."""
    a = srv.ports["aux"]
    ws = client(a)
    ws.send(PING, b"hello")
    report(ws.control() == (PONG, b"hello"), "a ping is answered")
    ws.send(TEXT, "gr\u00fc\u00df".encode()[:3], fin=False)
    ws.send(PING, b"x" * 125)
    ws.send(0, "gr\u00fc\u00df".encode()[3:])
    ws.send(BINARY, b"\xff" * 4096)
    for b in frame(PONG, b"unasked") + frame(PING, b"slowly"):
        ws.s.sendall(bytes([b]))
    got = [ws.control(), ws.control()]
    report(got == [(PONG, b"x" * 125), (PONG, b"slowly")],
           "fragments, other pings, data and single bytes are taken", got)
    ws.close()
    rows = [
        (1000, "its own code comes back", frame(CLOSE, b"\x03\xe8bye")),
        (4999, "a private code", frame(CLOSE, b"\x13\x87")),
        (None, "no code", frame(CLOSE)),
        (1002, "a code that may not be sent", frame(CLOSE, b"\x03\xed")),
        (1007, "a reason that is no UTF-8", frame(CLOSE, b"\x03\xe8\xff")),
        (1002, "a frame without a mask", frame(TEXT, b"x", mask=None)),
        (1002, "RSV1", frame(TEXT, b"x", rsv=4)),
        (1002, "RSV3 on a ping", frame(PING, b"x", rsv=1)),
        (1002, "opcode 3", frame(3, b"x")),
        (1002, "opcode 11", frame(11, b"x")),
        (1002, "a continuation of nothing", frame(0, b"x")),
        (1002, "a text within a text", frame(TEXT, b"x", fin=False) +
         frame(TEXT, b"y")),
        (1007, "a text that is no UTF-8", frame(TEXT, b"\xc0\xaf")),
        (1007, "half a character", frame(TEXT, b"\xc3")),
        (1009, "a long message", frame(TEXT, b"x" * 4097)),
        (1009, "a promise of 2^62 bytes",
         b"\x82\xff" + struct.pack(">Q", 1 << 62) + b"maskx"),
        # wslay closes these without a code
        (None, "a ping of 126 bytes", frame(PING, b"x" * 126)),
        (None, "half a ping", frame(PING, b"x", fin=False)),
        (None, "a length in more bytes than it takes",
         b"\x81\xfe\x00\x01maskx"),
        (None, "a length of 2^63", b"\x82\xff" + b"\xff" * 8 + b"mask"),
    ]
    for want, name, data in rows:
        ws = client(a)
        ws.s.sendall(data)
        code = ws.ended()
        report(code == want, "Close %s: %s" % (want, name), code)
        ws.close()
    until("the count", lambda: dropped(srv, "bad-frame") >= len(rows) - 3)
    nobody(srv)
    report(True, "bad frames are counted")


def many_frames(srv):
    """Whoever has so much to say is ended, though it reads all answers."""
    ws = client(srv.ports["aux"])
    threading.Thread(target=ws.s.sendall, daemon=True,
                     args=(frame(PONG) * (FRAMES + 100),)).start()
    report(ws.ended() in (1008, "reset"), "Close 1008: too many frames")
    ws.close()
    until("the count", lambda: dropped(srv, "flood") >= 1)
    nobody(srv)


def limits(path):
    """A server of three clients and two origins."""
    srv = Server(path, "3", "https://a.example, http://B.example:8080")
    a = srv.ports["aux"]
    for origin, want in ((None, 403), ("https://c.example", 403),
                         ("https://a.example.evil.example", 403),
                         ("null", 403), ("", 403), ("*", 403),
                         ("https://a.example", 101),
                         ("http://b.example:8080", 101)):
        s = connect(a)
        s.sendall(handshake(Origin=origin))
        answer = s.recv(4096)
        report(answer.startswith(b"HTTP/1.1 %d " % want),
               "%d for origin %r" % (want, origin), answer[:60])
        s.close()
    nobody(srv)
    held = [client(a, Origin="https://a.example") for _ in range(3)]
    try:
        client(a, Origin="https://a.example")
        report(False, "429 beyond the cap")
    except Ended as e:
        report("HTTP/1.1 429 " in str(e), "429 beyond the cap", e)
    held.pop().close()
    until("a free place", lambda: clients(srv) == 2)
    held.append(client(a, Origin="https://a.example"))
    report(True, "one that left makes room")
    srv.p.stdin.close()
    report(srv.p.wait(15) == 0, "it ends with clients")
    report(all(ws.ended() == "reset" for ws in held),
           "and they see the end of the connection")


# --- attacks --------------------------------------------------------------------

def never_reads(srv):
    """Opens, takes nothing, while large messages are on their way."""
    srv.tell("site big iad writable 16000")
    srv.tell("group big ns big s0 iad")
    before = dropped(srv, "slow-reader")
    lazy = [client(srv.ports["aux"], "127.0.0.1", rcvbuf=2048)
            for _ in range(100)]
    t = time.monotonic()
    with Held(srv, "100 clients that never read") as h:
        n = 0
        while dropped(srv, "slow-reader") < before + 100:
            n += 1
            srv.tell("group big ns big s%d iad" % n)
            h.news()
            if time.monotonic() - t > 60:
                break
    report(dropped(srv, "slow-reader") == before + 100,
           "each of them is dropped", dropped(srv, "slow-reader") - before)
    print("the last one after %.1f s" % (time.monotonic() - t),
          file=sys.stderr)
    for ws in lazy:
        ws.close()
    srv.tell("gone big")
    nobody(srv)


def ping_flood(srv):
    """Pings as fast as they go, and no answer is taken."""
    flood = [client(srv.ports["aux"], "127.0.0.1", rcvbuf=2048)
             for _ in range(50)]

    def send(ws):
        try:
            while True:
                ws.s.sendall(frame(PING, b"x" * 125) * 100)
        except OSError:
            pass

    threads = [threading.Thread(target=send, args=(ws,)) for ws in flood]
    with Held(srv, "ping floods"):
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
    report(not any(t.is_alive() for t in threads), "ping floods are ended")
    for ws in flood:
        ws.close()
    nobody(srv)


def full_house(srv):
    """Every place of every port is taken, and floods go on: the worker's limit
    of descriptors has room for all of them."""
    a = srv.ports["aux"]
    with Held(srv, "every WebSocket taken, and a flood of connections") as h:
        taken, refused, socks = [], 0, []
        for _ in range(600):
            try:
                taken.append(client(a, "127.0.0.1"))
            except Ended as e:
                refused += "429" in str(e)
        for port, n in (("aux", 500), ("probe", 50), ("metrics", 50)):
            for _ in range(n):
                s = connect(srv.ports[port])
                s.sendall(b"GET /ws/status HTTP/1.1\r\nHost: x\r\nUpgr")
                socks.append(s)
        h.news()
        report(len(taken) == 511 and refused == 89, "the cap is 512 for all",
               (len(taken), refused))
        until("the count", lambda: clients(srv) == 512)
        report(True, "half handshakes displace no WebSocket")
    for s in socks + [ws.s for ws in taken]:
        s.close()
    nobody(srv)


def garbage(srv):
    """Random bytes, valid beginnings, resets at any point."""
    seed = int(os.environ.get("SEED", "0")) or \
        random.SystemRandom().getrandbits(31)
    rnd = random.Random(seed)
    a = srv.ports["aux"]
    whole = [frame(PING, b"ping"), frame(TEXT, b"text" * 40),
             frame(TEXT, b"a", fin=False) + frame(0, b"b"),
             frame(CLOSE, b"\x03\xe8"), frame(BINARY, b"x" * 300)]
    with Held(srv, "garbage (seed %d)" % seed):
        for _ in range(300):
            ws = client(a, "127.0.0.1")
            data = bytearray(b"".join(rnd.choices(whole, k=5)))
            for _ in range(rnd.randint(0, 8)):
                data[rnd.randrange(len(data))] = rnd.getrandbits(8)
            try:
                cut = rnd.randrange(len(data))
                ws.s.sendall(data[:cut])
                ws.s.sendall(data[cut:])
                if rnd.random() < 0.3:
                    ws.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
            except OSError:
                pass
            ws.close()
    nobody(srv)


def trickle(srv):
    """A frame's byte now and then, and handshakes that never end."""
    a = srv.ports["aux"]
    slow = [client(a, "127.0.0.1") for _ in range(50)]
    half = []
    for _ in range(100):
        s = connect(a)
        s.sendall(handshake()[:-2])
        half.append(s)
    with Held(srv, "slow frames and half handshakes") as h:
        for b in frame(TEXT, b"x" * 20):
            for ws in slow:
                ws.s.sendall(bytes([b]))
            h.news()
    for s in half + [ws.s for ws in slow]:
        s.close()
    nobody(srv)


# --- what takes a minute, beside the others -------------------------------------

def silent(srv, out):
    """Answers no ping."""
    t = time.monotonic()
    ws = client(srv.ports["aux"], "127.0.0.3")
    ws.s.settimeout(90)
    pinged = []
    try:
        while True:
            if ws.control()[0] == PING:
                pinged.append(time.monotonic() - t)
    except Ended:
        pass
    out["silent"], out["pinged"] = time.monotonic() - t, pinged


def alive(srv, out):
    """Answers them."""
    ws = client(srv.ports["aux"], "127.0.0.3")
    ws.s.settimeout(130)
    t = time.monotonic()
    out["alive"] = 0
    while out["alive"] < 2 and time.monotonic() - t < 120:
        opcode, data = ws.control()
        if opcode == PING:
            ws.send(PONG, data)
            out["alive"] += 1
    ws.close()


def minute(path):
    srv = Server(path, "0")
    out = {}
    threads = [threading.Thread(target=f, args=(srv, out))
               for f in (silent, alive)]
    for t in threads:
        t.start()
    return srv, threads, out


def main():
    path = sys.argv[1]
    other, threads, out = minute(path)
    srv = Server(path, "0")
    pid = srv.worker()
    before = pss(pid)
    srv.tell("state 1")
    for test in (handshakes, messages, coalesced, frames, many_frames,
                 never_reads, ping_flood, full_house, garbage, trickle):
        try:
            test(srv)
        except Exception as e:          # one test's end is not the others'
            report(False, test.__name__, repr(e))
    limits(path)
    print("pss before and after: %.1f %.1f MiB" % (before, pss(pid)),
          file=sys.stderr)
    survived(srv, pid)
    srv.p.stdin.close()
    report(srv.p.wait(15) == 0, "it ends when told to")
    for t in threads:
        t.join()
    report(len(out.get("pinged", [])) == 1 and 53 < out["pinged"][0] < 75 and
           out["pinged"][0] < out["silent"] and 59 < out["silent"] < 80, "who answers no ping ends after 60 s", out)
    report(out.get("alive") == 2, "who answers them lives on", out)
    report(dropped(other, "idle") == 1, "and only that one is dropped")
    other.p.stdin.close()
    other.p.wait(15)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
