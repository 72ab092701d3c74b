#!/usr/bin/env python3
"""attack.py SERVER METRICS_OUT: hostile clients against status-server.

Every attack comes from 127.0.0.1 and is judged by a well-behaved client at
127.0.0.2 that must be answered all the while. Lines "ok - ..." and
"not ok - ..." on standard output; the server's log is read as well.
"""
import email.utils
import json
import os
import random
import re
import socket
import struct
import sys
import threading
import time

from harness import (Judge, Server, check_format, connect, failures, get, metric,
                     more, pss, raw, read_all, report, survived, until)

# --- the surface ----------------------------------------------------------------

def endpoints(srv):
    m, p, a = srv.ports["metrics"], srv.ports["probe"], srv.ports["aux"]
    for port in p, a:
        report(get(port, "/healthz")[::2] == (200, "ok"),
               "/healthz on %s" % ("probe" if port == p else "aux"))
    report(get(a, "/readyz")[::2] == (200, "ok"), "/readyz on aux")
    report(get(p, "/readyz")[0] == 503, "/readyz on probe before the list")
    srv.tell("state 0")
    until("the list", lambda: get(p, "/readyz")[::2] == (200, "ok"))
    report(True, "/readyz on probe: a standby that knows the groups")
    for port, path in ((m, "/healthz"), (p, "/metrics"), (a, "/metrics"),
                       (p, "/status"), (p, "/active-site"), (a, "/"),
                       (a, "/healthz/"), (a, "/nowhere"), (a, "/status/"),
                       (a, "/active-site/"), (a, "//status"),
                       (m, "/metrics/"), (p, "/readyz/")):
        report(get(port, path)[0] == 404, "404 for %s" % path)
    for method in "POST", "PUT", "DELETE", "BREW":
        report(get(a, "/healthz", method)[::2] == (200, "ok"),
               "any method: " + method)
    status, fields, body = get(a, "/healthz", "HEAD")
    report((status, fields["content-length"], body) == (200, "2", ""),
           "HEAD has the length and no body")
    status, fields, text = get(m, "/metrics")
    report(status == 200 and fields["content-type"] ==
           "text/plain; version=0.0.4; charset=utf-8", "/metrics", fields)
    s = socket.create_connection(("::1", a), 5)
    s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
    report(read_all(s).endswith(b"ok"), "IPv6")
    until("the log", lambda: any(r.get("msg") == "aux http" and
                                 r.get("path") == "/nowhere"
                                 for r in srv.log))
    rec = [r for r in srv.log if r.get("path") == "/nowhere"][0]
    report((rec["level"], rec["method"], rec["handler"], rec["status"]) ==
           ("INFO", "GET", "notfound", 404) and "duration_ms" in rec and
           rec["remote"].startswith("127.0.0.2:"), "aux http in the log", rec)
    report(not any(r.get("msg") == "aux http" and r.get("path") == "/metrics"
                   and r.get("status") == 200 for r in srv.log),
           "only the auxiliary port logs")


def status_api(srv):
    a = srv.ports["aux"]
    q = "/active-site?namespace=ns&group="
    none = {"status": "no active failover groups"}
    status, fields, body = get(a, "/status")
    report((status, fields["content-type"], json.loads(body)) ==
           (200, "application/json", none), "/status before a group", body)
    report(abs(email.utils.mktime_tz(email.utils.parsedate_tz(
        fields["date"])) - time.time()) < 60, "Date", fields)
    report(get(a, q + "g")[0] == 503, "/active-site before a group")
    report(get(a, "/active-site?group=g")[0] == 400, "/active-site: 400")
    srv.tell("state 1")
    srv.tell("site u1 iad writable")
    srv.tell("group u1 ns g iad iad pdx")
    until("the group", lambda: get(a, q + "g")[0] == 200)
    status, fields, body = get(a, q + "g")
    report(fields["content-type"] == "application/json" and
           json.loads(body) == {"namespace": "ns", "group": "g",
                                "activeSite": "iad", "leader": True},
           "/active-site", body)
    for path in ("/active-site", "/active-site?namespace=ns",
                 "/active-site?namespace=&group=g",
                 "/active-site?namespace=ns&group=%"):
        status, fields, body = get(a, path)
        report(status == 400 and list(json.loads(body)) == ["error"] and
               fields["content-type"] == "application/json",
               "400 for " + path, body)
    report(get(a, q + "h")[0] == 404, "/active-site: 404")
    # Its text may be older than the group, and then another one.
    until("/status", lambda: "ns/g" in json.loads(get(a, "/status")[2]))
    for path in ("/status", q + "g"):
        status, fields, body = get(a, path, "HEAD")
        report((status, body) == (200, "") and fields["content-length"] ==
               get(a, path)[1]["content-length"], "HEAD " + path)
    g = json.loads(get(a, "/status")[2])["ns/g"]
    report((g["activeSite"], [s["name"] for s in g["sites"]],
            g["sites"][0]["state"], g["pollTime"]) ==
           ("iad", ["iad", "pdx"], "writable", "2026-01-01T00:00:00Z"),
           "/status", g)
    srv.tell("state 0")
    until("the loss of the Lease", lambda: metric(srv, "bloodraven_leader") == 0)
    report(json.loads(get(a, q + "g")[2])["leader"] is False and
           not until("the status", lambda: json.loads(
               get(a, "/status")[2])["ns/g"]["leader"] is False),
           "a standby answers from what it sees, and says what it is")

    def seen():
        # It ends soon, and a scrape may be older: renewed until it is seen.
        srv.tell("state 1 300")
        return metric(srv, "bloodraven_leader") == 1
    until("the Lease", seen)
    until("its end", lambda: json.loads(get(a, q + "g")[2])["leader"] is False)
    until("its end", lambda: metric(srv, "bloodraven_leader") == 0)
    report(True, "a Lease that nobody renews ends here, too")
    srv.tell("state 1")


# --- attacks --------------------------------------------------------------------

def malformed(srv):
    a = srv.ports["aux"]
    rows = [
        (400, b"\r\n\r\n"), (400, b"GET\r\n\r\n"),
        (400, b"GET /healthz HTTP/1.1\r\n\r\n"),
        (505, b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n"),
        (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (400, b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n"),
        (413, b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
              b"\r\nhello"),
        (413, b"POST /status HTTP/1.1\r\nHost: x\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nHost: x\r\n"
              b"Content-Length: 99999999999999999999\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n"),
        (431, b"A" * 16384),
        (431, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4000 + b"\r\n"),
    ]
    for want, data in rows:
        answer = raw(a, data)
        report(answer.startswith(b"HTTP/1.1 %d " % want) and
               b"\r\nConnection: close\r\n" in answer,
               "%d for %r" % (want, data[:40]), answer[:80])
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: "
    report(raw(a, head + b"a" * (16384 - len(head) - 4) + b"\r\n\r\n")
           .startswith(b"HTTP/1.1 200 "), "a header of just the limit")


def fuzz(srv):
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(31)
    rnd = random.Random(seed)
    base = bytearray(b"GET /active-site?namespace=ns&group=g HTTP/1.1\r\n"
                     b"Host: x\r\nConnection: close\r\n\r\n")
    bad = []
    for i in range(400):
        data = bytearray(base)
        for _ in range(rnd.randint(1, 6)):
            k = rnd.randrange(len(data))
            if rnd.random() < 0.3:
                del data[k:k + rnd.randint(1, 9)]
            else:
                data[k] = rnd.choice(b"\0\r\n %:?&=/\x80\xff") \
                    if rnd.random() < 0.5 else rnd.getrandbits(8)
        # what can't be complete need not be waited for
        s = connect(srv.ports["aux"])
        s.sendall(bytes(data))
        s.shutdown(socket.SHUT_WR)
        answer = read_all(s)
        s.close()
        if answer and not re.match(rb"HTTP/1\.1 (200|400|404|413|431|505) ",
                                   answer):
            bad.append((bytes(data), answer[:60]))
    report(not bad, "400 mutated requests (seed %d)" % seed, bad[:2])


def pipelining(srv):
    a, n = srv.ports["aux"], 700
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    s = connect(a)
    with Judge([a]) as j:
        s.sendall(one * n + one.replace(b"\r\n\r\n",
                                        b"\r\nConnection: close\r\n\r\n"))
        data = read_all(s)
    report(data.count(b"HTTP/1.1 200 OK\r\n") == n + 1 and
           data.endswith(b"ok"), "%d pipelined requests" % n,
           data.count(b"HTTP/1.1 200 OK\r\n"))
    j.verdict("pipelining")
    # byte by byte, two requests on one connection
    s = connect(a)
    for b in one + one:
        s.sendall(bytes([b]))
    data = b""
    while data.count(b"\r\n\r\nok") < 2:
        data += more(s)
    report(True, "keep-alive, byte by byte")
    s.close()


def http10(srv):
    a = srv.ports["aux"]
    for data in (b"GET /healthz HTTP/1.0\r\n\r\n",
                 b"GET /healthz HTTP/1.0\n\n",
                 b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"):
        answer = raw(a, data)
        report(answer.startswith(b"HTTP/1.1 200 OK\r\n") and
               answer.endswith(b"\r\n\r\nok"), "HTTP/1.0: %r" % data[20:])


def slow_header(srv):
    """A byte now and then must not put the deadline off."""
    a = srv.ports["aux"]
    socks, begun, ended = [], {}, []
    for _ in range(40):
        t = time.monotonic()
        socks.append(connect(a))
        begun[socks[-1]] = t
    with Judge([a, srv.ports["probe"]]) as j:
        text = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200
        for i in range(len(text)):
            for s in list(socks):
                try:
                    s.sendall(text[i:i + 1])
                    s.setblocking(False)
                    if s.recv(1) == b"":
                        raise ConnectionResetError
                except BlockingIOError:
                    s.setblocking(True)
                except (ConnectionResetError, BrokenPipeError):
                    ended.append(time.monotonic() - begun[s])
                    socks.remove(s)
            if not socks:
                break
            time.sleep(0.1)     # the attack's pace
    # Put off by each byte it would be 24 s and more.
    report(len(ended) == 40 and min(ended) > 4.5 and max(ended) < 15,
           "slow headers end after 5 s", (len(ended), ended[:1], ended[-1:]))
    j.verdict("slow headers")


def silent(srv, out):
    """Connects and says nothing."""
    t = time.monotonic()
    s = connect(srv.ports["probe"])
    read_all(s)
    out["silent"] = time.monotonic() - t


def idle(srv, out):
    """A kept connection ends after 60 s, and a client may use it till then."""
    s = connect(srv.ports["probe"], "127.0.0.3")
    s.settimeout(90)
    t, data = time.monotonic(), b""
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    while not data.endswith(b"ok"):
        data += more(s)
    read_all(s)
    out["idle"] = time.monotonic() - t


def slow_reader(srv):
    """Asks for much and reads nothing, on every connection there is."""
    m = srv.ports["metrics"]
    before = metric(srv, 'bloodraven_http_connections_dropped_total'
                    '{server="metrics",reason="slow-reader"}') or 0
    srv.tell("bulk 20000")
    until("the series", lambda: (metric(srv, "bloodraven_metric_series") or 0)
          > 20000)
    socks = []
    start = time.monotonic()
    for _ in range(20):
        s = connect(m, rcvbuf=4096)
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        socks.append(s)
    with Judge([srv.ports["aux"], srv.ports["probe"]]) as j:
        until("slow readers dropped", lambda: (metric(
            srv, 'bloodraven_http_connections_dropped_total'
            '{server="metrics",reason="slow-reader"}') or 0) >= before + 20,
            50)
    took = time.monotonic() - start
    report(took > 13, "slow readers end after 15 s", took)
    j.verdict("slow readers")
    for s in socks:
        s.close()
    # one that is slow but reads gets all of it
    s = connect(m, rcvbuf=4096)
    s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    body = read_all(s).partition(b"\r\n\r\n")[2].decode()
    report('group="bulk-19999"} 19999\n' in body, "a large body is whole")


def flood(srv):
    """Many connections from one address, then good clients."""
    a = srv.ports["aux"]
    before = metric(srv, 'bloodraven_http_connections_dropped_total'
                    '{server="aux",reason="cap"}') or 0
    stop, total, lock = [], [0], threading.Lock()

    def hammer():
        mine = []
        while not stop:
            try:
                s = connect(a)
                s.sendall(b"GET ")
                mine.append(s)
                with lock:
                    total[0] += 1
            except OSError:
                pass
            while len(mine) > 200:
                mine.pop(0).close()
        for s in mine:
            s.close()

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for t in threads:
        t.start()
    # The text is made once in HTTP_BODY_MS at most: a scrape may be
    # older than the flood.
    held, dropped = [], []

    def seen():
        held.append(metric(srv, 'bloodraven_http_connections{server="aux"}'))
        dropped.append(metric(srv, 'bloodraven_http_connections_dropped_total'
                              '{server="aux",reason="cap"}') or 0)
        return total[0] > 3000 and held[-1] >= 200 and dropped[-1] > before

    try:
        until("a flood", lambda: total[0] > 600, 30)
        with Judge([a, srv.ports["probe"]]) as j, \
                Judge([a], "127.0.0.1") as same:
            until("the cap, and the flood displacing itself", seen, 60)
    finally:
        stop.append(1)
        for t in threads:
            t.join()
    report(max(held) <= 256, "connections are capped", held)
    report(True, "the flood displaces itself")
    j.verdict("flood of %d connections" % total[0])
    same.verdict("flood from one's own address")


def kept_under_flood(srv):
    """A flood of one address costs another address no kept connection."""
    a = srv.ports["aux"]
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    kept = connect(a, "127.0.0.4")
    kept.sendall(one)
    data = b""
    while not data.endswith(b"ok"):
        data += more(kept)
    socks = [connect(a) for _ in range(400)]
    kept.sendall(one)
    data = b""
    while not data.endswith(b"ok"):
        got = kept.recv(4096)
        if not got:
            break
        data += got
    report(data.endswith(b"ok"), "kept connections of others survive a flood")
    for s in socks:
        s.close()


def rude(srv):
    """Resets at every point."""
    m, a = srv.ports["metrics"], srv.ports["aux"]
    with Judge([a]) as j:
        for port, data in ((a, b""), (a, b"GET /hea"),
                           (a, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
                           (m, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
                           (a, b"bad\r\n\r\n")):
            for _ in range(30):
                s = connect(port)
                s.sendall(data)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
                s.close()
    j.verdict("resets")


def log_rate(srv):
    a = srv.ports["aux"]
    first = len(srv.log)
    t = time.monotonic()
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    s = connect(a)
    s.sendall(one * 2000)
    data = b""
    while data.count(b"HTTP/1.1 200") < 2000:
        data += more(s)
    s.close()
    seconds = int(time.monotonic() - t) + 2
    lines = [r for r in srv.log[first:] if r.get("msg") == "aux http"]
    report(len(lines) <= 50 * seconds, "the log of requests is bounded",
           (len(lines), seconds))
    # the next line says how many were left out
    until("a counted line", lambda: get(a, "/readyz")[0] == 200 and any(
        r.get("suppressed", 0) > 0 for r in srv.log[first:]))
    report(True, "and says what it left out")


def main():
    srv = Server(sys.argv[1])
    pid = srv.worker()
    print("pss at start: %.1f MiB" % pss(pid), file=sys.stderr)
    out = {}
    waits = [threading.Thread(target=f, args=(srv, out))
             for f in (silent, idle)]
    for t in waits:
        t.start()
    for test in (endpoints, status_api, malformed, fuzz, pipelining, http10,
                 slow_header, rude, log_rate, kept_under_flood, flood,
                 slow_reader):
        try:
            test(srv)
        except Exception as e:          # one test's end is not the others'
            report(False, test.__name__, repr(e))
    print("pss after attacks: %.1f MiB" % pss(pid), file=sys.stderr)
    text = get(srv.ports["metrics"], "/metrics")[2]
    report(check_format(text) is None, "the text format",
           check_format(text))
    open(sys.argv[2], "w").write(text)
    report('bloodraven_http_requests_total{server="aux",handler="healthz",'
           'method="OTHER",status="2xx"} 1\n' in text,
           "requests are counted, odd methods as OTHER")
    for t in waits:
        t.join()
    report(4.5 < out.get("silent", 0) < 15, "silent connections end after 5 s",
           out)
    report(58 < out.get("idle", 0) < 80, "idle connections end after 60 s",
           out)
    survived(srv, pid)
    srv.p.stdin.close()
    report(srv.p.wait(15) == 0, "it ends when told to")
    srv.reader.join(5)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
