"""What attack.py and ws.py share: the server, good clients, verdicts."""
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

ANSWERS = 50            # a judge's answers while an attack is held
failures = []


def report(good, name, detail=""):
    if not good:
        failures.append(name)
    print(("ok - " if good else "not ok - ") + name +
          ("" if good or not detail else ": %s" % (detail,)), flush=True)


class Server:
    """The harness, its log and its ports."""

    def __init__(self, path, *args):
        self.log, self.ports = [], {}
        # Without root, as in a Pod.
        drop = {"user": 65534, "group": 65534, "extra_groups": []} \
            if os.geteuid() == 0 else {}
        self.p = subprocess.Popen([path, *args], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, **drop)
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        if self.p.stdout.readline() != "ready\n":
            self.p.wait()
            self.reader.join(5)
            raise SystemExit("not ok - server did not start: %s" % self.log)
        until("its ports", lambda: len(self.ports) == 3)

    def read_log(self):
        names = {"starting metrics HTTP server": "metrics",
                 "starting probe HTTP server": "probe",
                 "starting auxiliary HTTP server": "aux"}
        for line in self.p.stderr:
            try:
                rec = json.loads(line)
            except ValueError:
                rec = {"msg": line.rstrip()}
            self.log.append(rec)
            if rec.get("msg") in names:
                self.ports[names[rec["msg"]]] = int(
                    rec["addr"].rsplit(":", 1)[1])

    def tell(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        if self.p.stdout.readline() != "done\n":
            raise RuntimeError("server is gone: %s" % self.log[-3:])

    def worker(self):
        """The pid of status-server."""
        pids = {self.p.pid}
        for _ in range(3):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    stat = open("/proc/%s/stat" % pid).read()
                except OSError:
                    continue
                name, _, fields = stat.rpartition(")")
                if int(fields.split()[1]) in pids:
                    pids.add(int(pid))
                    if name.endswith("(status-server"):
                        return int(pid)
        raise LookupError("status-server")


def until(what, cond, limit=30.0):
    end = time.monotonic() + limit
    while not cond():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)


def connect(port, source="127.0.0.1", rcvbuf=None):
    s = socket.socket()
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.settimeout(30)
    s.bind((source, 0))
    s.connect(("127.0.0.1", port))
    return s


def read_all(s):
    data = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                return data
            data += more
    except (ConnectionResetError, BrokenPipeError):
        return data


def more(s):
    """What comes next; there is to be something."""
    data = s.recv(65536)
    if not data:
        raise ConnectionResetError("the server hung up")
    return data


def raw(port, data, source="127.0.0.1"):
    """Send, read until the server hangs up."""
    s = connect(port, source)
    try:
        s.sendall(data)
    except (ConnectionResetError, BrokenPipeError):
        pass
    data = read_all(s)
    s.close()
    return data


def get(port, path, method="GET", source="127.0.0.2"):
    answer = raw(port, ("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "\r\n" % (method, path)).encode(), source)
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict(l.lower().split(": ", 1) for l in lines[1:])
    return int(lines[0].split()[1]), fields, body.decode()


class Judge:
    """Asks /healthz again and again while an attack is held. What counts is
    that each is answered; how long that took is only said."""

    def __init__(self, ports, source="127.0.0.2"):
        self.ports, self.source = ports, source
        self.stop, self.took, self.bad = False, [], []

    def run(self):
        while not self.stop:
            for port in self.ports:
                t = time.monotonic()
                try:
                    status, _, body = get(port, "/healthz",
                                          source=self.source)
                    if (status, body) != (200, "ok"):
                        self.bad.append((status, body))
                except (OSError, ValueError, IndexError) as e:
                    self.bad.append(repr(e))
                self.took.append(time.monotonic() - t)

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *a):
        try:
            until("a verdict", lambda: len(self.took) >= ANSWERS or self.bad,
                  120)
        finally:
            self.stop = True
            self.thread.join()

    def verdict(self, name):
        report(not self.bad, name + ": others are answered", self.bad[:3])
        ms = sorted(1000 * t for t in self.took)
        print("%s: %d answers of /healthz, ms: p50 %.1f p99 %.1f max %.1f" % (
            name, len(ms), ms[len(ms) // 2], ms[len(ms) * 99 // 100], ms[-1]),
            file=sys.stderr)


def check_format(text):
    """The text format 0.0.4, strictly. Returns what is wrong, or None."""
    sample = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
                        r',?)*)\})? (-?[0-9.]+|\+Inf)$')
    types, seen, hist, last = {}, set(), {}, None
    if not text.endswith("\n"):
        return "no newline at the end"
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            last = line.split()[2]
            if last in types:
                return "family twice: " + last
            continue
        if line.startswith("# TYPE "):
            if line.split()[2] != last:
                return "TYPE without HELP: " + line
            types[last] = line.split()[3]
            continue
        m = sample.match(line)
        if not m:
            return "no sample: " + line
        name = m.group(1)
        if types[last] == "histogram":
            if name not in (last + "_bucket", last + "_sum", last + "_count"):
                return "not of the family: " + line
            key = (last, re.sub(r',?le="[^"]*"', "", m.group(2) or ""))
            hist.setdefault(key, []).append((name, float(m.group(3))))
        elif name != last:
            return "not of the family: " + line
        if (name, m.group(2)) in seen:
            return "sample twice: " + line
        seen.add((name, m.group(2)))
    for key, rows in hist.items():
        buckets = [v for n, v in rows if n.endswith("_bucket")]
        count = [v for n, v in rows if n.endswith("_count")]
        if buckets != sorted(buckets) or [buckets[-1]] != count:
            return "histogram: %s" % (key,)
    return None


def metric(srv, line):
    """The value of one series, None when it is absent."""
    for l in get(srv.ports["metrics"], "/metrics")[2].split("\n"):
        if l.startswith(line + " "):
            return float(l.rsplit(" ", 1)[1])
    return None


def survived(srv, pid):
    status = open("/proc/%d/status" % pid).read()
    if any(r.get("msg") == "sandboxDisabled" for r in srv.log):
        print("skip - the worker's filter (a build with --disable-sandbox)")
    else:
        report(re.search(r"^Seccomp:\s+2$", status, re.M) is not None and
               re.search(r"^NoNewPrivs:\s+1$", status, re.M) is not None,
               "the worker's filter is on")
    report(srv.worker() == pid, "the worker lived through it all")
    fds = len(os.listdir("/proc/%d/fd" % pid))
    report(fds < 64, "no file descriptor leaks", fds)


def pss(pid):
    m = re.search(r"^Pss:\s+(\d+) kB", open("/proc/%d/smaps_rollup" %
                                            pid).read(), re.M)
    return int(m.group(1)) / 1024
