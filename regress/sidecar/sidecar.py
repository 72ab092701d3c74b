#!/usr/bin/env python3
"""sidecar.py BUILD [TEST...]: real sidecars on loopback, played upon.

Site a's sidecar has a (fake) guard, b's is a voter; peer.c plays operators,
guards, other sites and attackers with the real wire.c. Lines "ok - ..." and
"not ok - ..." on standard output.
"""
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE_S = 30.0       # of a busy machine; no bound of the program's
BUILD = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
NOBODY = 65534
POD = {"a": "00000000-0000-4000-8000-00000000000a",
       "b": "00000000-0000-4000-8000-00000000000b",
       "c": "00000000-0000-4000-8000-00000000000c"}
failures = 0


def report(good, name, detail=""):
    global failures
    if not good:
        failures += 1
    print(("ok - sidecar: " if good else "not ok - sidecar: ") + name +
          ("" if good or not detail else ": %s" % (detail,)), flush=True)
    return good


def until(what, cond, limit=PATIENCE_S):
    end = time.monotonic() + limit
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)


def drop():
    """Without root, as in a Pod."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} \
        if os.geteuid() == 0 else {}


START = 19      # in what stat() gives: when it was born


def stat(pid):
    """From its state on; None: there is no such process."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


class Lines:
    """What a process writes, a line each; waited for with a deadline."""

    def __init__(self, pipe):
        self.lines, self.pipe = [], pipe
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        for line in self.pipe:
            self.lines.append(line.rstrip("\n"))

    def find(self, start, after=0):
        for i in range(after, len(self.lines)):
            if self.lines[i].startswith(start):
                return i + 1
        return 0


class Peer:
    """peer.c with its commands."""

    def __init__(self, *args):
        self.p = subprocess.Popen([BUILD + "/regress/sidecar/peer", *args],
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.out, self.err = Lines(self.p.stdout), Lines(self.p.stderr)
        self.mark = 0

    def tell(self, *words):
        try:
            self.p.stdin.write(" ".join(str(w) for w in words) + "\n")
            self.p.stdin.flush()
        except BrokenPipeError:
            pass
        return self

    def sees(self, start, limit=PATIENCE_S):
        """A line that begins so, after those that were waited for."""
        try:
            self.mark = until("%s in %s %s" % (
                start, self.out.lines[-5:], self.err.lines[-3:]),
                lambda: self.out.find(start, self.mark), limit)
        except TimeoutError:
            raise TimeoutError("no '%s': %s %s" % (
                start, self.out.lines[-5:], self.err.lines[-3:]))
        return dict(w.split("=", 1)
                    for w in self.out.lines[self.mark - 1].split()
                    if "=" in w)

    def closed(self, limit=PATIENCE_S):
        try:
            until("the end", lambda: self.out.find("closed", self.mark) or
                  self.p.poll() is not None, limit)
            return True
        except TimeoutError:
            return False

    def end(self):
        self.p.kill()
        self.p.wait()


class Sidecar:
    def __init__(self, site, ip, base, **env):
        self.site, self.ip, self.dir = site, ip, "%s/%s" % (base, site)
        self.env = {
            "PATH": "/usr/bin:/bin", "MY_SITE": site, "POD_NAMESPACE": "ns",
            "FAILOVER_GROUP": "g", "MY_POD_UID": POD[site],
            "MY_POD_NAME": "pod-" + site, "MYSQL_USER": "op",
            "MYSQL_PASSWORD": "secret", "PEER_CHECK_INTERVAL": "1s",
            "LEASE_TIMEOUT": "3s", "LISTEN_ADDR": ip + ":8080",
            "BLOODRAVEN_LINK_ADDRESS": ip + ":8090",
            "BLOODRAVEN_RUN_DIR": self.dir + "/run",
            "BLOODRAVEN_DATA_DIR": self.dir + "/data",
            "BLOODRAVEN_KEYS_DIR": self.dir + "/keys",
            "BLOODRAVEN_MYSQL_SOCKET": self.dir + "/mysqld.sock", **env}
        for d in "", "/run", "/data", "/keys":
            if not os.path.isdir(self.dir + d):
                os.mkdir(self.dir + d)
                os.chmod(self.dir + d, 0o755)
                if os.geteuid() == 0:
                    os.chown(self.dir + d, NOBODY, NOBODY)
        subprocess.run([BUILD + "/regress/sidecar/peer", "keys",
                        self.dir + "/keys", site], check=True)
        self.p = None

    def start(self, wait=True, *args):
        self.p = subprocess.Popen([BUILD + "/bloodraven-sidecar", *args],
                                  env=self.env, stderr=subprocess.PIPE,
                                  text=True, cwd="/", **drop())
        self.log = Lines(self.p.stderr)
        if wait:
            until("start of %s: %s" % (self.site, self.log.lines),
                  lambda: self.says("starting sidecar HTTP server"))
            until("link of %s" % self.site,
                  lambda: self.says("keys of the write lease"))
            until("memory of %s" % self.site,
                  lambda: self.says("a new voter") or
                  self.says("a voter with") or self.says("no promise file"))
        return self

    def says(self, msg):
        for line in self.log.lines:
            if '"msg":"%s' % msg in line:
                return json.loads(line)
        return None

    def stop(self, sig=signal.SIGTERM):
        if self.p is not None:
            with self.all_gone():
                self.p.send_signal(sig)
            self.p = None

    def crash(self):
        """All at once, as by the kernel: nothing is flushed."""
        with self.all_gone() as pids:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass    # it followed its parent

    @contextlib.contextmanager
    def all_gone(self):
        """When this is left: who was only told to end has its ports and locks
        still."""
        born = {pid: stat(pid) for pid in self.pids()}
        yield list(born)
        self.p.wait(PATIENCE_S)
        until("the end of all of %s" % self.site, lambda: not any(
            (now := stat(pid)) and now[0] not in "ZX" and was and
            now[START] == was[START] for pid, was in born.items()))

    def pids(self):
        pids = [self.p.pid]
        for _ in range(3):
            for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
                fields = stat(pid)
                if fields and int(fields[1]) in pids and pid not in pids:
                    pids.append(pid)
        return pids

    def worker(self, title):
        for pid in self.pids():
            if open("/proc/%d/comm" % pid).read().strip() == title:
                return pid
        raise LookupError(title)

    def get(self, path, method="GET", head="", body=b""):
        s = socket.create_connection((self.ip, 8080), 5)
        s.sendall(("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n"
                   % (method, path, head)).encode() + body)
        data = b""
        while True:
            more = s.recv(65536)
            if not more:
                break
            data += more
        s.close()
        head, _, text = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = dict(l.lower().split(": ", 1) for l in lines[1:])
        return int(lines[0].split()[1]), fields, text.decode()

    def metric(self, line):
        for l in self.get("/metrics")[2].split("\n"):
            if l.startswith(line + " "):
                return float(l.rsplit(" ", 1)[1])
        return None


class Stage:
    """Sidecars of a and b, an operator at both, a guard at a."""

    def __init__(self, base, net, **env):
        self.base, self.net = base, net
        self.a = Sidecar("a", net % 1, base, **env).start()
        self.b = Sidecar("b", net % 2, base, **env).start()
        self.peers = []

    def peer(self, *args):
        p = Peer(*args)
        self.peers.append(p)
        return p

    def operator(self, ip, pod="op-1"):
        o = self.peer("operator", ip, pod)
        o.sees("proved")
        return o

    def guard(self):
        g = self.peer("guard", self.a.dir + "/run/guard.sock", "a")
        g.sees("ready")
        return g

    def voter_b(self):
        """b's id, as it tells an operator."""
        return int(self.op_b.sees("report")["id"])

    def begin(self, epoch=5):
        """a holds an epoch with b and the operator as voters."""
        self.op_a, self.op_b = self.operator(self.a.ip), \
            self.operator(self.b.ip)
        self.g = self.guard()
        self.id_b = self.voter_b()
        self.offer(epoch)
        return self

    def offer(self, epoch, to=None):
        for o in to or (self.op_a, self.op_b):
            o.tell("offer", epoch, "a", POD["a"], 4711, 1, 1000, "1:",
                   "%d:b:%s" % (self.id_b, self.b.ip))
        self.g.sees("offer epoch=%d" % epoch)

    def renewed(self, nonce, epoch=5, voters=None, limit=PATIENCE_S):
        """Ask; who said yes? Asked again as the guard would."""
        want = voters if voters is not None else {"1", str(self.id_b)}
        got, n = set(), nonce
        end = time.monotonic() + limit
        while not want <= got:
            self.g.tell("ask", epoch, n)
            mark = self.g.mark
            wait = time.monotonic() + 0.5
            while time.monotonic() < wait and not want <= got:
                for line in self.g.out.lines[mark:]:
                    if line.startswith("yes ") and "epoch=%d" % epoch in line:
                        w = dict(x.split("=") for x in line.split()[1:])
                        if int(w["nonce"]) >= nonce:
                            got.add(w["voter"])
                time.sleep(0.005)
            if time.monotonic() > end:
                return got
            n += 1
        self.g.mark = len(self.g.out.lines)
        return got

    def once(self, nonce, epoch=5):
        """Asked once: b says yes to it."""
        yes = "yes voter=%d epoch=%d nonce=%d" % (self.id_b, epoch, nonce)
        self.g.tell("ask", epoch, nonce)
        try:
            return until(yes, lambda: yes in self.g.out.lines)
        except TimeoutError:
            return False

    def end(self):
        for p in self.peers:
            p.end()
        for s in self.a, self.b:
            s.stop(signal.SIGKILL)


# ------------------------------------------------------------------- tests ---

def t_renewals(st):
    st.begin()
    got = st.renewed(100)
    report(got == {"1", str(st.id_b)}, "leader and voter renew", got)
    start = time.monotonic()
    rounds = 200
    good = all([st.once(1000 + i) for i in range(rounds)])
    ms = (time.monotonic() - start) / rounds * 1000
    report(good, "a renewal takes %.1f ms" % ms)
    st.g.tell("says", 5, 1, 0)
    st.op_a.mark = len(st.op_a.out.lines)
    r = until("the guard's report", lambda: st.op_a.sees("report"))
    while r.get("held") != "5":
        r = st.op_a.sees("report")
    report(True, "the guard's report reaches the operator")
    st.op_a.tell("revoke", 5)
    st.g.sees("revoke epoch=5")
    report(True, "a revocation reaches the guard")


def t_promise(st):
    start = time.monotonic()
    st.begin()
    st.renewed(100)
    st.op_b.tell("promise", 5)
    p = st.op_b.sees("promise epoch=5")
    took = 1000 * (time.monotonic() - start)
    report(int(p["id"]) == st.id_b and 0 <= int(p["age"]) < took,
           "a promise says how old the newest yes is", p)
    got = st.renewed(200, voters={"1"})
    st.g.tell("ask", 5, 300)
    st.renewed(400, voters={"1"})
    report("%d" % st.id_b not in
           " ".join(st.g.out.lines[st.g.mark:]), "never again that epoch")
    st.offer(6)
    report(st.renewed(500, 6) == {"1", str(st.id_b)},
           "a successor is renewed")


def promise_seq(path):
    """Of the newest slot."""
    with open(path + "/.bloodraven-promise", "rb") as f:
        blocks = [f.read(4096) for _ in range(2)]
    return max(struct.unpack_from(">Q", b, 16)[0] for b in blocks)


def t_memory(st):
    st.begin()
    st.renewed(100)
    st.op_b.tell("promise", 5)
    st.op_b.sees("promise epoch=5")
    st.offer(6)
    st.renewed(200, 6)
    st.b.crash()
    seq = promise_seq(st.b.dir + "/data")
    st.b.start()
    mem = st.b.says("a voter with its memory")
    report(mem and mem["id"] == st.id_b and mem["promised"] == 5 and
           mem["heard"] == 6, "a restarted voter is the same", mem)
    # No operator has said a word to it yet.
    got = st.renewed(300, 6)
    report(got == {"1", str(st.id_b)}, "it renews at once what it may", got)
    st.op_b = st.operator(st.b.ip)
    st.op_b.tell("promise", 5)
    p = st.op_b.sees("promise epoch=5")
    report(int(p["age"]) < 60000, "age is at most that of its start", p)
    # The page cache may be all that had it.
    report(promise_seq(st.b.dir + "/data") > seq,
           "what it read is on disk anew before it says so")
    st.b.stop()
    os.unlink(st.b.dir + "/data/.bloodraven-promise")
    st.b.start()
    new = st.b.says("a new voter, without memory")
    report(new and new["id"] != st.id_b, "a lost file is another voter", new)
    st.g.tell("ask", 6, 900)
    st.renewed(1000, 6, voters={"1"})
    report(str(new["id"]) not in " ".join(st.g.out.lines),
           "it renews nothing of the lost one's")


def t_lease_length(st):
    """A longer lease is remembered before it is renewed."""
    st.begin()
    st.renewed(100)
    memory = st.b.worker("memory")
    os.kill(memory, signal.SIGSTOP)
    for o in st.op_a, st.op_b:
        o.tell("lease", 60000)
    st.offer(6)
    st.renewed(200, 6, voters={"1"})
    got = st.renewed(250, 6, limit=2)
    report(str(st.id_b) not in got, "a longer lease is not renewed before it is on disk",
           got)
    os.kill(memory, signal.SIGCONT)
    got = st.renewed(300, 6)
    report(got == {"1", str(st.id_b)}, "and then it is", got)
    for o in st.op_a, st.op_b:
        o.tell("lease", 3000)
    st.offer(7)
    st.renewed(400, 7)
    st.b.crash()
    st.b.start()
    st.op_b = st.operator(st.b.ip)
    st.op_b.tell("promise", 7)
    p = st.op_b.sees("promise epoch=7")
    report(int(p["lease"]) == 60000, "a promise says the longest lease", p)


def t_restart(st):
    """The active site's sidecar restarts, with and without an operator."""
    st.begin()
    st.renewed(100)
    st.a.stop(signal.SIGKILL)
    st.g.closed()
    st.op_a.closed()
    start = time.monotonic()
    st.a.start()
    st.g = st.guard()
    st.g.tell("offer", 5, "a", POD["a"], 4711, 1, 1000, "1:",
              "%d:b" % st.id_b)
    got = st.renewed(200, voters={str(st.id_b)})
    took = time.monotonic() - start
    report(str(st.id_b) in got,
           "a restarted sidecar finds its voters without an operator "
           "(%.2f s)" % took, got)
    st.op_a = st.operator(st.a.ip)
    report(st.renewed(300) == {"1", str(st.id_b)}, "and with one")
    # each worker dies, one as by a call that its sandbox forbids (the kernel's
    # signal is answered by the worker's own handler): renewals go on
    nonce = 400
    for title in "http", "mysql", "memory", "link":
        os.kill(st.a.worker(title), signal.SIGSYS if title == "memory"
                else signal.SIGKILL)
        if title == "link":
            st.g.closed()
            st.g = until("the guard's socket", lambda: try_guard(st))
            st.g.tell("offer", 5, "a", POD["a"], 4711, 1, 1000, "1:",
                      "%d:b" % st.id_b)
            start = time.monotonic()
            got = st.renewed(500, voters={str(st.id_b)})
            report(str(st.id_b) in got, "%s dies: renewals after %.1f s" % (
                title, time.monotonic() - start), got)
        else:
            nonce += 1
            report(st.once(nonce), "%s dies: no renewal is missed" % title)
    count = {t: until("the counts", lambda t=t: st.a.metric(
        'bloodraven_worker_restarts_total{worker="%s"}' % t)) and
        st.a.metric('bloodraven_sandbox_violations_total{worker="%s"}' % t)
        for t in ("mysql", "memory", "link")}
    report(count["memory"] == 1 and not count["mysql"] and not count["link"],
           "a violation of the sandbox is counted, another death is none",
           count)


def try_guard(st):
    g = st.peer("guard", st.a.dir + "/run/guard.sock", "a")
    until("ready", lambda: g.out.find("ready") or g.p.poll() is not None)
    return g if g.p.poll() is None else None


def t_forgery(st):
    st.begin()
    st.renewed(100)
    for what, name in (("replay", "a frame that is sent again"),
                       ("forge", "a frame with a bad signature"),
                       ("skip", "a frame with a number left out")):
        o = st.operator(st.b.ip, "op-" + what)
        o.tell(what)
        report(o.closed(), name + " ends the link")
    # a site that says to be the operator
    o = st.peer("operator", st.b.ip, "op-x", "c")
    report(o.closed() and not o.out.find("proved"),
           "a site's key does not make an operator")
    o = st.peer("site", "c", st.b.ip)
    o.sees("proved")
    o.tell("promise", 99)
    report(o.closed(), "a site asks no promise")
    # c shows a's authority as if it were its own
    o = st.peer("site", "c", st.b.ip)
    o.sees("proved")
    o.tell("offer", 5, "a", POD["a"], 4711, 1, 1000, "1:", "%d:b" % st.id_b)
    o.tell("ask", 5, 1, 4711, 1)
    # its own, for another guard than it says to be
    o.tell("offer", 7, "c", POD["c"], 4711, 1, 1000, "1:", "%d:b" % st.id_b)
    o.tell("ask", 7, 2, 4712, 1)
    o.tell("ask", 7, 3, 4711, 2)
    o.tell("ask", 7, 4, 4711, 1)
    o.sees("yes")
    report([l for l in o.out.lines if l.startswith("yes")] ==
           ["yes voter=%d epoch=7 nonce=4" % st.id_b],
           "only the guard of the terms is renewed", o.out.lines[-4:])
    report(st.renewed(200, 5) == {"1", str(st.id_b)}, "renewals go on")
    until("the count", lambda: (st.b.metric(
        "bloodraven_sidecar_refused_frames_total") or 0) >= 5)
    report(True, "refused frames are counted")


def t_rotation(st):
    """Its key is newer than the sidecar's file of keys was."""
    start = time.monotonic()
    st.begin()
    st.renewed(100)
    # It is read at most once a second, and was at its start.
    until("a second", lambda: time.monotonic() - start > 1.1)
    for s in st.a, st.b:
        subprocess.run([BUILD + "/regress/sidecar/peer", "keys",
                        s.dir + "/keys", s.site, "next"], check=True)
    st.op_a = st.peer("operator", st.a.ip, "op-2", "next")
    st.op_a.sees("proved")
    st.op_b = st.peer("operator", st.b.ip, "op-2", "next")
    st.op_b.sees("proved")
    report(not st.a.says("link refused") and not st.b.says("link refused"),
           "the operator's next key is believed at its first frame")
    mark = st.g.mark
    st.offer(5)
    report(st.g.out.find("badoffer", mark) == 0 and
           st.renewed(200) == {"1", str(st.id_b)},
           "the same epoch, signed by it, is renewed")


class Flood:
    """Connections from one address, again and again; some say a little."""

    def __init__(self, ip, n, source):
        self.ip, self.n, self.source = ip, n, source
        self.stop, self.made = False, 0
        self.threads = [threading.Thread(target=self.run, args=(i,))
                        for i in range(4)]

    def run(self, k):
        held = []
        junk = [b"", b"\0", b"\x20\x00" + b"x" * 4000, b"\xff\xff",
                b"\0\x51" + b"\0" * 72 + os.urandom(9), os.urandom(300)]
        while not self.stop:
            s = socket.socket()
            try:
                s.bind((self.source, 0))
                s.settimeout(1)
                s.connect((self.ip, 8090))
                s.send(junk[self.made % len(junk)])
                self.made += 1
            except OSError:
                pass
            held.append(s)
            if len(held) >= self.n // 4:
                held.pop(0).close()

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *a):
        self.stop = True
        for t in self.threads:
            t.join()


def t_flood(st):
    st.begin()
    st.renewed(100)
    with Flood(st.a.ip, 500, st.net % 66) as f, \
            Flood(st.b.ip, 500, st.net % 66):
        until("the flood", lambda: f.made > 500)
        worst, bad = 0.0, 0
        for i in range(50):
            t = time.monotonic()
            if st.renewed(1000 + 10 * i) != {"1", str(st.id_b)}:
                bad += 1
            worst = max(worst, time.monotonic() - t)
        # As long as the lease: it would have run out.
        report(not bad and worst < 3, "500 connections stop no renewal "
               "(worst %.0f ms, %d made)" % (worst * 1000, f.made),
               (bad, worst))
        report(st.operator(st.b.ip, "op-2"), "a new operator gets in meanwhile")
        code = st.a.get("/livez")[0]
        report(code == 200, "http answers meanwhile", code)
    for s in st.a, st.b:
        report(s.p.poll() is None and not s.says("worker died"),
               "%s is whole after it" % s.site)


def t_silence(st):
    st.begin()
    st.renewed(100)
    st.op_b.tell("quiet")
    t = time.monotonic()
    report(st.op_b.closed(), "an operator that is silent is dropped (%.1f s)" %
           (time.monotonic() - t))
    # a stranger that never proves itself
    t = time.monotonic()
    s = socket.create_connection((st.b.ip, 8090), PATIENCE_S)
    s.sendall(b"\0")
    try:
        end = s.recv(1)
    except ConnectionResetError:
        end = b""
    report(end == b"" and time.monotonic() - t > 4,
           "a stranger has five seconds", time.monotonic() - t)
    # stopped for a while: its peers' words count, not its own clock
    st.op_b = st.operator(st.b.ip)
    pids = st.b.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)   # the fault, not a wait
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    st.op_b.mark = len(st.op_b.out.lines)
    st.op_b.sees("report")
    report(st.renewed(500) == {"1", str(st.id_b)}, "it goes on after a stop")


def t_http(st):
    st.op_a, st.op_b = st.operator(st.a.ip), st.operator(st.b.ip)
    st.id_b = st.voter_b()
    a = st.a
    table = [
        ("GET", "/livez", 200, "ok"), ("GET", "/peer/ping", 200, "pong"),
        ("GET", "/health", 503, "mysql unreachable"),
        ("GET", "/archiver/status", 200, '{"enabled":false}'),
        ("GET", "/keyring/status", 200, '{"enabled":false}'),
        ("GET", "/peer/active-site", 204, ""),
        ("HEAD", "/livez", 200, ""), ("POST", "/livez", 405, None),
        ("DELETE", "/status", 405, None), ("GET", "/", 404, None),
        ("GET", "/nothing", 404, None), ("POST", "/nothing", 404, None),
        ("GET", "/active-site", 404, None), ("GET", "/livez/", 404, None),
    ]
    bad = []
    for method, path, code, text in table:
        got = a.get(path, method)
        if got[0] != code or (text is not None and got[2] != text):
            bad.append((method, path, got))
    report(not bad, "codes and texts of %d requests" % len(table), bad)
    got = a.get("/livez", "POST", "Content-Length: 5\r\n", b"hello")
    report(got[0] == 405 and got[1]["allow"] == "get, head",
           "405 names what is allowed", got)
    got = a.get("/peer/active-site")
    report("content-length" not in got[1] and "content-type" not in got[1],
           "204 speaks of no content", got[1])
    got = a.get("/status")
    report(got[0] == 503 and list(json.loads(got[2])) == ["error"],
           "/status without mysqld", got)
    st.g = st.guard()
    st.offer(5)
    view = json.loads(until("a view", lambda: a.get("/peer/active-site")[2]))
    report(view["activeSite"] == "a" and view["epoch"] == 5 and
           view["observedAt"].endswith("Z"), "/peer/active-site", view)
    # an older epoch changes nothing, a newer one does
    st.op_a.tell("offer", 4, "b", POD["b"], 1, 1, 1000, "1:")
    st.op_a.tell("offer", 6, "b", POD["b"], 1, 1, 1000, "1:")
    until("the newer view", lambda: json.loads(
        a.get("/peer/active-site")[2])["epoch"] == 6)
    report(json.loads(a.get("/peer/active-site")[2])["activeSite"] == "b",
           "the newest epoch is the view")
    names = [
        "self_fenced", "operator_age_seconds", "leader_age_seconds",
        "view_age_seconds", "fence_attempts_total", "fence_failures_total",
        "kills_total", "guard_connected", "mysql_up"]
    text = a.get("/metrics")[2]
    missing = [n for n in names if "\nbloodraven_sidecar_%s " % n not in text]
    report(not missing, "/metrics", missing)
    with open(os.path.join(st.base, "metrics.txt"), "w") as f:
        f.write(text)
    report(a.metric('bloodraven_http_requests_total{server="sidecar",'
                    'handler="livez",method="POST",status="4xx"}') == 1,
           "requests are counted")
    st.g.tell("says", 5, 1, 0)
    until("the lease", lambda: a.metric(
        "bloodraven_sidecar_lease_left_seconds"))
    st.g.tell("says", 0, 1, 0, 0)
    until("the server's end", lambda: a.metric(
        "bloodraven_sidecar_lease_left_seconds") == 0)
    report(a.metric("bloodraven_sidecar_self_fenced") == 0 and
           a.says("SELF-FENC") is None,
           "a server that ended was not fenced for that")
    st.g.tell("says", 5, 2, 0)
    until("the next server's lease", lambda: a.metric(
        "bloodraven_sidecar_lease_left_seconds"))
    st.g.tell("says", 0, 2, 5)
    until("the fence", lambda: a.metric(
        "bloodraven_sidecar_self_fenced") == 1)
    report(a.metric("bloodraven_sidecar_fence_attempts_total") == 1,
           "a guard that lost its lease has fenced itself")
    lost = until("the log", lambda: a.says(
        "SELF-FENCING: the guard lost its write lease, setting "
        "super_read_only=ON"))
    report((lost["level"], lost["epoch"]) == ("ERROR", 5),
           "the log of the sidecar says so, too", lost)
    st.g.tell("says", 0, 3, 5)
    until("another server", lambda: a.metric(
        "bloodraven_sidecar_self_fenced") == 0)
    report(until("the log", lambda: a.says("rearmed")),
           "another server is not fenced")


class Small:
    """A full file system of its own."""

    def __init__(self, path):
        self.path = path
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=777",
                        "tmpfs", path], check=True)

    def fill(self):
        with open(self.path + "/ballast", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *a):
        subprocess.run(["umount", "-l", self.path], check=True)


def t_disk(st):
    """The data volume is full."""
    if os.geteuid() != 0:
        print("skip - sidecar: full disk (needs root for a file system)")
        return
    st.b.stop()
    with Small(st.base + "/small") as fs:
        st.b.env["BLOODRAVEN_DATA_DIR"] = fs.path
        st.b.start()
        fs.fill()
        st.begin()
        st.renewed(100)
        st.op_b.tell("promise", 5)
        st.op_b.sees("promise epoch=5")
        report(True, "a promise is kept on a full disk")
        st.b.crash()
        st.b.start()
        mem = st.b.says("a voter with its memory")
        report(mem and mem["promised"] == 5, "and read again", mem)
        again = st.operator(st.b.ip)
        again.tell("promise", 5)
        report(again.sees("promise epoch=5"), "and given again")
        st.b.stop()
        os.unlink(fs.path + "/.bloodraven-promise")
        fs.fill()
        st.b.start()
        report(st.b.says("no promise file") is not None,
               "without a file: no voter, but it runs")
        op = st.operator(st.b.ip)
        report(op.sees("report")["id"] == "0", "and says so")
        os.unlink(fs.path + "/ballast")
        report(until("a file", lambda: st.b.says("a new voter"), 30),
               "it becomes one when there is room")
        st.b.stop()


class Mysqld:
    """A real server, thrown away afterwards."""
    NAME, PORT = "sidecar-a", "23460"

    def __init__(self, *options):
        self.options = options

    def run(self, *args, text=""):
        return subprocess.run([HERE + "/../lab/mysqld", *args], check=True,
                              input=text, capture_output=True,
                              text=True).stdout.strip()

    def __enter__(self):
        subprocess.run([HERE + "/../lab/mysqld", "wipe", self.NAME],
                       capture_output=True)
        self.run("start", self.NAME, self.PORT, "--performance_schema=ON",
                 "--super_read_only=ON", *self.options)
        self.sql("SET sql_log_bin=0; SET GLOBAL super_read_only=OFF;"
                 "CREATE USER op@'%' IDENTIFIED BY 's3cr/et:@pw';"
                 "GRANT ALL ON *.* TO op@'%'; SET sql_log_bin=1;"
                 "CREATE DATABASE d; SET GLOBAL super_read_only=ON;")
        self.socket = self.run("path", self.NAME, "socket")
        return self

    def sql(self, text):
        return self.run("sql", self.NAME, text=text)

    def sessions(self, what="1=1"):
        return self.sql("SELECT ID FROM information_schema.PROCESSLIST WHERE "
                        "USER='op' AND " + what).split()[1:]

    def kill_sessions(self):
        for i in self.sessions():
            try:
                self.sql("KILL " + i)
            except subprocess.CalledProcessError as e:
                if "Unknown thread id" not in e.stderr:
                    raise       # else it has just ended by itself

    def __exit__(self, *a):
        self.run("wipe", self.NAME)


def t_mysql(st):
    """/health and /status of a real server; one that hangs, one that dies."""
    with Mysqld() as db:
        st.a.stop()
        creds = st.base + "/creds"
        os.mkdir(creds)
        for name, text in (("username", "op\n"), ("password", "wrong\n")):
            open(creds + "/" + name, "w").write(text)
        st.a.env.update(MYSQL_CREDS_DIR=creds,
                        BLOODRAVEN_MYSQL_SOCKET=db.socket)
        st.a.start()
        until("the refusal", lambda: "denied" in st.a.get("/status")[2])
        # It answers, if only this; a change of the password takes nobody off.
        report(st.a.get("/health")[0] == 200, "a wrong password")
        open(creds + "/password", "w").write("s3cr/et:@pw\n")
        until("the new password",
              lambda: "uptime" in st.a.get("/status")[2])
        report(True, "an account that changed is read again")
        # The file comes before the server has it, and sessions end meanwhile.
        open(creds + "/password", "w").write("early\n")
        end = time.monotonic() + 13     # it is read each 10 s
        refused = 0
        while time.monotonic() < end:
            db.kill_sessions()
            refused += st.a.get("/status")[2].count("denied")
        report(refused == 0, "what was let in last still is")
        db.sql("SET sql_log_bin=0; SET GLOBAL super_read_only=OFF;"
               "ALTER USER op@'%' IDENTIFIED BY 'early';"
               "SET GLOBAL super_read_only=ON;")
        db.kill_sessions()
        until("the early one", lambda: st.a.get("/status")[0] == 200 and
              db.sessions())
        report(True, "then what the file has")
        s = json.loads(st.a.get("/status")[2])
        gtid = db.sql("SELECT @@gtid_executed").split()[-1]
        want = {"role": "replica", "read_only": True,
                "super_read_only": True, "gtid_executed": gtid,
                "server_id": int(db.PORT), "replica_io_running": False,
                "replica_sql_running": False, "seconds_behind_source": None,
                "self_fenced": False}
        report(gtid and {**want, "uptime": s["uptime"]} == s and
               0 < s["uptime"] < 600, "/status of a replica", s)
        db.sql("SET GLOBAL read_only=OFF; CHANGE REPLICATION SOURCE TO "
               "SOURCE_HOST='127.0.0.1', SOURCE_PORT=1, SOURCE_USER='x',"
               "SOURCE_AUTO_POSITION=1; START REPLICA;")
        until("the primary", lambda: json.loads(
            st.a.get("/status")[2])["role"] == "primary")
        s = until("the applier", lambda: (lambda s: s if
                  s["replica_sql_running"] else None)(
            json.loads(st.a.get("/status")[2])))
        report(not s["read_only"] and not s["super_read_only"] and
               not s["replica_io_running"], "/status of a primary", s)
        st.begin()
        st.renewed(100)
        st.op_a.mark = len(st.op_a.out.lines)
        report(st.op_a.sees("report")["mysql"] == "1",
               "the operator hears that mysqld answers")
        db.run("freeze", db.NAME)
        t = time.monotonic()
        until("the hang", lambda: st.a.get("/health")[0] == 503)
        took = time.monotonic() - t
        report(took < PATIENCE_S, "a hung mysqld is unhealthy in %.1f s" % took)
        report(st.a.get("/livez")[0] == 200 and st.once(200),
               "it delays neither /livez nor renewals")
        db.run("thaw", db.NAME)
        until("its return", lambda: st.a.get("/health")[0] == 200)
        db.run("kill9", db.NAME)
        t = time.monotonic()
        until("its death", lambda: st.a.get("/health")[0] == 503)
        took = time.monotonic() - t
        report(took < 0.5, "a dead mysqld at once (%.2f s)" % took)
        text = "\n".join(st.a.log.lines)
        report("s3cr" not in text and "wrong" not in text,
               "no password in the log")


class Files:
    """ca.crt, tls.crt, tls.key, as a Secret's volume has them: exchanged by one
    rename, and never half."""

    def __init__(self, base):
        self.dir, self.n = base + "/tls", 0
        os.mkdir(self.dir)
        for f in ("ca.crt", "tls.crt", "tls.key"):
            os.symlink("..data/" + f, self.dir + "/" + f)

    def make(self, days, size=0):
        """A version, not mounted yet: folder and digest; its ca.crt so long."""
        self.n += 1
        d = "%s/v%d" % (self.dir, self.n)
        os.mkdir(d)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
                        "-subj", "/CN=db", "-keyout", d + "/tls.key", "-out",
                        d + "/tls.crt"], check=True, capture_output=True)
        crt = open(d + "/tls.crt", "rb").read()
        ca = crt + b"\n" * (size - len(crt))
        open(d + "/ca.crt", "wb").write(ca)
        return d, hashlib.sha256(ca + b"\0" + crt).hexdigest()

    def other_key(self, version, key):
        """The same certificate, with another one's key."""
        self.n += 1
        d = "%s/v%d" % (self.dir, self.n)
        shutil.copytree(version[0], d)
        shutil.copy(key[0] + "/tls.key", d + "/tls.key")
        return d, version[1]

    def mount(self, version):
        os.symlink(os.path.basename(version[0]), self.dir + "/..new")
        os.rename(self.dir + "/..new", self.dir + "/..data")


class Tls(Mysqld):
    """A server with such files, a's sidecar beside it, and an operator."""

    def __init__(self, st, first, *options):
        self.st, self.files = st, Files(st.base)
        self.files.mount(self.files.make(first))
        super().__init__(*["--ssl-%s=%s/%s" % (k, self.files.dir, f)
                           for k, f in (("ca", "ca.crt"), ("cert", "tls.crt"),
                                        ("key", "tls.key"))], *options)

    def __enter__(self):
        super().__enter__()
        a, d = self.st.a, self.files.dir
        a.stop()
        self.creds = self.st.base + "/creds"
        os.mkdir(self.creds)
        open(self.creds + "/username", "w").write("op")
        self.password("s3cr/et:@pw")
        a.env.update(BLOODRAVEN_MYSQL_SOCKET=self.socket,
                     MYSQL_CREDS_DIR=self.creds,
                     BLOODRAVEN_MYSQL_TLS_CA_FILE=d + "/ca.crt",
                     BLOODRAVEN_MYSQL_TLS_CERT_FILE=d + "/tls.crt")
        a.start()
        self.op = self.st.operator(a.ip)
        self.answers()
        return self

    def password(self, text):
        """As the kubelet brings it; read each 10 s."""
        open(self.creds + "/new", "w").write(text)
        os.rename(self.creds + "/new", self.creds + "/password")

    def answers(self):
        until("mysqld answers", lambda: self.st.a.get("/status")[0] == 200)

    def shown(self):
        return self.sql("SHOW STATUS LIKE 'Ssl_server_not_after'").split(
            "\t")[-1]

    def loads(self):
        """How often it was told to, by whomever, since it runs."""
        return int(self.sql("SHOW GLOBAL STATUS LIKE 'Com_alter_instance'")
                   .split("\t")[-1])

    def said(self, msg):
        return [json.loads(line) for line in self.st.a.log.lines
                if '"msg":"%s"' % msg in line]

    def loaded(self, digest, n=1):
        until("%d loads of %s" % (n, digest[:8]), lambda: n == len([
            r for r in self.said("certificate loaded")
            if r["digest"] == digest[:8]]))

    def stays(self, seconds, cond):
        """Nothing comes of it: several beats."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not cond():
                return False
        return cond()


def t_tls(st):
    """Only the certificate that the leader calls good is loaded, once it is
    mounted; also by a server that came up with another one."""
    with Tls(st, 10) as db:
        files, op = db.files, db.op
        good, bad, old = files.make(20), files.make(30), files.make(40)
        pending = "bloodraven_sidecar_certificate_pending"
        first = db.shown()
        report(st.a.metric(pending) == 0, "nothing is wanted at first")
        op.tell("tls", good[1])
        files.mount(bad)
        until("the word", lambda: [
            (r["wanted"], r["mounted"]) for r in db.said("certificate wanted")
        ][-1:] == [(good[1][:8], bad[1][:8])])
        report(db.stays(2, lambda: db.shown() == first),
               "what is mounted and not good is left alone")
        report(st.a.metric(pending) == 1, "and told by a metric")
        files.mount(good)
        db.loaded(good[1])
        second = db.shown()
        report(second != first, "the good one is loaded once it is mounted")
        until("the metric", lambda: st.a.metric(pending) == 0)
        files.mount(bad)
        db.kill_sessions()
        report(db.stays(2, lambda: db.shown() == second),
               "not what comes after it, in a new session either")
        db.answers()
        files.mount(good)
        # The server has it: another session, another worker, another leader.
        db.kill_sessions()
        os.kill(st.a.worker("mysql"), signal.SIGKILL)
        until("its death", lambda: db.said("worker died"))
        db.answers()
        op.tell("tls", "none")
        op.tell("tls", good[1])
        report(db.stays(3, lambda: db.loads() == 1),
               "it is loaded once in each server", db.loads())
        # A server that begins has what is mounted then.
        files.mount(bad)
        db.run("kill9", db.NAME)
        db.run("restart", db.NAME)
        report(db.shown() not in (first, second), "a start takes what is there")
        report(db.stays(2, lambda: db.loads() == 0), "and nothing else")
        files.mount(good)
        db.loaded(good[1], 2)
        report(db.shown() == second,
               "a server that came up with a bad one is cured")
        op.tell("leader 0")
        op.tell("tls", old[1])
        files.mount(old)
        report(db.stays(2, lambda: db.shown() == second),
               "a standby's word is none")


def t_tls_refused(st):
    """Files that mysqld does not take, or that can't be read."""
    with Tls(st, 10) as db:
        files, op = db.files, db.op
        good, long = files.make(20, 16384), files.make(30, 16385)
        files.mount(files.other_key(good, long))
        op.tell("tls", good[1])
        r = until("the refusal", lambda: db.said("certificate not loaded"))[0]
        report(r["errno"] != 0 and r["digest"] == good[1][:8] and
               r["level"] == "WARN", "a refusal is told", r)
        n = db.loads()
        report(db.stays(4, lambda: db.loads() == n), "and not repeated at once")
        files.mount(good)
        db.loaded(good[1])
        report(True, "16 KiB, with its own key, are loaded")
        op.tell("tls", long[1])
        files.mount(long)
        r = until("the warning",
                  lambda: db.said("certificate is not readable"))[0]
        report("large" in r["error"] and r["file"].endswith("/ca.crt"),
               "a byte more is told", r)
        os.unlink(files.dir + "/..data")
        until("the warning", lambda: [
            r for r in db.said("certificate is not readable")
            if "No such" in r["error"]])
        report(len(db.said("certificate is not readable")) == 2 and
               db.loads() == n + 1, "once for each change, and nothing is done",
               db.said("certificate is not readable"))


def t_tls_account(st):
    """The account changes while the session for /health stands."""
    with Tls(st, 10) as db:
        files, op = db.files, db.op
        one, two = files.make(20), files.make(30)
        session = db.sessions()
        db.password("early")
        db.stays(11, lambda: True)      # it is read each 10 s
        op.tell("tls", one[1])
        files.mount(one)
        db.loaded(one[1])
        report(db.sessions() == session, "with the one that was let in last")
        db.sql("SET sql_log_bin=0; SET GLOBAL super_read_only=OFF;"
               "ALTER USER op@'%' IDENTIFIED BY 'early';"
               "SET GLOBAL super_read_only=ON;")
        op.tell("tls", two[1])
        files.mount(two)
        db.loaded(two[1])
        report(db.sessions() == session, "with the newest one")


class Stalled:
    """A client that stops in the midst of its log-in, as anybody can."""

    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", int(port)))
        self.s.recv(4096)
        # Protocol::SSLRequest: CLIENT_PROTOCOL_41, _SSL, _SECURE_CONNECTION
        self.s.sendall(b"\x20\0\0\x01" + struct.pack(
            "<IIB23x", 0x8a01, 1 << 24, 45))
        # Only now is it one that mysqld waits for.
        until("mysqld reads it", lambda: self._unread(int(port)) == 0)

    def _unread(self, port):
        """Bytes that wait in the server's socket; None: not found."""
        for name in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(name, encoding="ascii") as f:
                for line in f.read().splitlines()[1:]:
                    local, peer, _, queues = line.split()[1:5]
                    if [int(a.split(":")[1], 16) for a in (local, peer)] == [
                            port, self.s.getsockname()[1]]:
                        return int(queues.split(":")[1], 16)
        return None

    def end(self):
        self.s.close()


def t_tls_stalled(st):
    """mysqld waits for a client that stalls in its log-in, for as long as that
    likes: nobody else has to, and there is one such wait."""
    blocked = "INFO LIKE 'ALTER INSTANCE%'"
    with Tls(st, 10, "--connect-timeout=600") as db:
        files, op = db.files, db.op
        first, good, next_ = db.shown(), files.make(20), files.make(30)
        client = Stalled(db.PORT)
        op.tell("tls", good[1])
        files.mount(good)
        until("the wait", lambda: db.sessions(blocked))
        report(db.stays(10, lambda: st.a.get("/health")[0] == 200 and
                        st.a.get("/status")[0] == 200 and
                        len(db.sessions(blocked)) == 1),
               "a client that stalls costs one session, and no health",
               (st.a.get("/health"), db.sessions(blocked)))
        report(not st.a.says("mysqld does not answer"), "at no time")
        db.sql("SET GLOBAL super_read_only=OFF; SET GLOBAL super_read_only=ON")
        report(True, "a fence is not held up")
        os.kill(st.a.worker("mysql"), signal.SIGKILL)
        r = until("the word", lambda: db.said("certificate perhaps loaded"))[0]
        report(r["digest"] == good[1][:8] and r["againIn"] == "1m0s",
               "who was lost perhaps loaded it", r)
        st.a.stop()
        st.a.start()
        db.op = op = st.operator(st.a.ip)
        db.answers()
        op.tell("tls", good[1])
        r = until("the word", lambda: [
            r for r in db.said("certificate not loaded")
            if "under way" in r["error"]])
        report(len(db.sessions(blocked)) == 1,
               "nor does another sidecar add one", db.sessions(blocked))
        client.end()
        until("the end", lambda: not db.sessions(blocked))
        until("its load", lambda: db.said("certificate loaded"), 30)
        second = db.shown()
        report(second != first, "once it goes the new one is shown")
        # It may take its minute, and is waited for.
        client = Stalled(db.PORT)
        op.tell("tls", next_[1])
        files.mount(next_)
        until("the word", lambda: db.said("certificate takes long to load"), 90)
        report(len(db.sessions(blocked)) == 1 and not
               [r for r in db.said("certificate loaded")
                if r["digest"] == next_[1][:8]], "a minute is told")
        client.end()
        db.loaded(next_[1])
        report(db.shown() not in (first, second) and
               st.a.get("/health")[0] == 200, "and its end awaited")


def t_conf(st):
    """What the environment says, and how it is refused."""
    def run(env, *args):
        p = subprocess.run([BUILD + "/bloodraven-sidecar", *args],
                           env=env, capture_output=True, text=True,
                           timeout=10, **drop())
        return p.returncode, p.stderr

    base = {k: v for k, v in st.a.env.items()}
    bad = []
    for name, value in (("LEASE_TIMEOUT", "soon"),
                        ("PEER_CHECK_INTERVAL", "5"),
                        ("MYSQL_DSN", "nonsense"), ("MYSQL_DSN", "@tcp(x)/"),
                        ("MYSQL_CREDS_DIR", "/nonexistent"),
                        ("MY_SITE", "x" * 300), ("MYSQL_USER", ""),
                        ("BLOODRAVEN_MYSQL_TLS_CERT_FILE", "/a/tls.crt"),
                        ("BLOODRAVEN_MYSQL_TLS_CA_FILE", "a/ca.crt")):
        rc, err = run({**base, name: value})
        if rc != 1 or name not in err:
            bad.append((name, value, rc, err))
    report(not bad, "errors name the variable", bad)
    report(run(base, "-x")[0] == 1, "no other options")
    creds = st.base + "/creds"
    os.mkdir(creds)
    for name, text in (("username", " \n"), ("password", "x")):
        open(creds + "/" + name, "w").write(text)
    rc, err = run({**base, "MYSQL_CREDS_DIR": creds})
    report(rc == 1 and "username" in err, "an empty user name", err)

    c = Sidecar("c", st.net % 3, st.base, PEER_CHECK_INTERVAL="100ms",
                LEASE_TIMEOUT="1s", BLOODRAVEN_PITR_ENABLED="1",
                PEER_ADDRESSES="x:8080", BLOODRAVEN_KEYRING_ENABLED="1")
    c.start()
    clamped = [json.loads(l) for l in c.log.lines if "value clamped" in l]
    report([(r["variable"], r["used"]) for r in clamped] ==
           [("PEER_CHECK_INTERVAL", "1s"), ("LEASE_TIMEOUT", "3s")],
           "intervals are clamped", clamped)
    un = c.says("variables that are not acted on")
    report(un and set(un["variables"].split()) == {
        "BLOODRAVEN_PITR_ENABLED", "BLOODRAVEN_KEYRING_ENABLED"}, "what is not acted on is told", un)
    text = "\n".join(c.log.lines)
    report("secret" not in text, "no password in the log")
    # the same file twice: one voter
    d = Sidecar("c", st.net % 4, st.base)
    d.start()
    report(d.says("no promise file") is not None and
           "another" in d.says("no promise file")["error"],
           "two sidecars never speak for one site")
    report(d.get("/livez")[0] == 200, "the second one lives without a voice")
    d.stop()
    c.stop()
    c = Sidecar("c", st.net % 3, st.base)
    del c.env["MY_SITE"]
    c.start(wait=False)
    until("http", lambda: c.says("starting sidecar HTTP server"))
    report(c.says("no identity") is not None and c.get("/livez")[0] == 200,
           "without identity: endpoints only")
    c.stop()


def t_sight(st):
    """What an operator that stands by sees goes to the other one, with its age,
    and ends with its word."""
    def told(o, want, what):
        def look():
            o.mark = len(o.out.lines)
            r = o.sees("report")
            return ("sight" in r) == want and r
        report(until(what, look), what)
        return o.sees("report")
    lead, other = [st.operator(st.a.ip, pod) for pod in ("op-1", "op-2")]
    start = time.monotonic()
    other.tell("leader", 0).tell("sees", POD["b"], 300)
    r = told(lead, True, "the leader is told what the other operator sees")
    took = 1000 * (time.monotonic() - start)
    report(r["sight"] == POD["b"] and 300 <= int(r["age"]) <= 301 + took,
           "of that process, and when", r)
    other.sees("report")
    report(not any("sight" in line for line in other.out.lines),
           "nobody is told his own word")
    third = st.operator(st.a.ip, "op-3")
    third.tell("leader", 0).tell("sees", POD["a"], 100000)
    r = told(lead, True, "of two")
    report(r["sight"] == POD["b"], "the newer one", r)
    r = told(other, True, "a third one's word, to the second")
    report(r["sight"] == POD["a"] and int(r["age"]) >= 100000, "is older", r)
    third.end()
    other.tell("sees", POD["b"], 600000)
    told(lead, False, "a word of long ago is none")
    other.tell("sees", POD["b"], 0)
    told(lead, True, "a new one is")
    other.tell("leader", 1).tell("sees", POD["b"], 0)
    told(lead, False, "a leader's is none")
    other.tell("leader", 0).tell("sees", POD["b"], 0)
    told(lead, True, "a standby's is")
    other.tell("sees", "none", 0)
    told(lead, False, "nor one that was taken back")
    other.tell("sees", POD["b"], 0)
    told(lead, True, "and again")
    other.end()
    told(lead, False, "it ends with its link")


def t_memory_size(st):
    """All processes, at work: proportional set size."""
    st.begin()
    for i in range(50):
        st.renewed(100 + i)
    for path in "/metrics", "/status", "/health":
        st.a.get(path)
    st.b.stop()     # pages that two share would count half
    total, each = 0, {}
    for pid in st.a.pids():
        for line in open("/proc/%d/smaps_rollup" % pid):
            if line.startswith("Pss:"):
                kib = int(line.split()[1])
                each[open("/proc/%d/comm" % pid).read().strip()] = kib
                total += kib
    report(total <= 6 * 1024, "%d KiB of memory in all: %s" % (total, each))


TESTS = [t_renewals, t_promise, t_memory, t_lease_length, t_restart,
         t_forgery, t_rotation, t_flood, t_silence, t_disk, t_http, t_mysql, t_tls,
         t_tls_account, t_tls_refused, t_tls_stalled, t_conf, t_sight,
         t_memory_size]


def main():
    want = sys.argv[2:]
    seed = random.randrange(1 << 14)
    for n, test in enumerate(TESTS):
        name = test.__name__[2:]
        if want and name not in want:
            continue
        with tempfile.TemporaryDirectory(dir="/var/tmp",
                                         prefix="br-sidecar.") as base:
            os.chmod(base, 0o755)
            net = "127.%d.%d.%%d" % (64 + (seed >> 8), (seed + n) & 0xff)
            st = None
            try:
                st = Stage(base, net)
                test(st)
            except Exception as e:      # a test that ends badly has failed
                report(False, name, repr(e))
                if st is not None:
                    for s in st.a, st.b:
                        print("\n".join(s.log.lines[-15:]), file=sys.stderr)
            finally:
                if st is not None:
                    st.end()
    return failures != 0


sys.exit(main())
