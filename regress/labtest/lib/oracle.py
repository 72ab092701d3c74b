"""The write oracle of one group: starts its writers, asks its judge."""
import json
import os
import signal
import subprocess
import threading
import time

import api
import lab
from api import Failure

TABLE = ("CREATE TABLE IF NOT EXISTS oracle.writes (writer VARCHAR(63) NOT NULL,"
         " seq BIGINT UNSIGNED NOT NULL, server CHAR(36) NOT NULL,"
         " PRIMARY KEY (writer, seq))")


def program(name):
    return lab.in_tree(lab.BUILD_TREE,
                       os.path.join(lab.BUILD, "regress/oracle", name))


# A client's patience, in ms: short where a gap is measured; long where no write
# may be refused, so that a busy disk or a slow network is no refusal.
QUICK, PATIENT = 250, 1000
# Between two writes of a writer, in ms. Tests side by side share the machine:
# at 10 ms their writes, and not what is tested, would be most of its work.
# Benchmarks, alone, measure gaps as finely as that.
PACE, FINE = 40, 10
# Seconds without an acknowledged write that are called a gap where none may be.
CALM = 4.0


class Disk:
    """The disk that the servers of the lab share with everybody else of this
    machine: where it stands still for seconds no commit ends, and nothing is
    said about the operator. A byte is made durable every 50 ms; what took longer
    than SLOW is kept. So is a sleep that did: this process had no processor for
    so long, and nor had others."""

    SLOW, PAUSE = 2 * 10**8, 5 * 10**7

    def __init__(self, path):
        self.path = path
        self.begun = 0      # boot ns, while a byte is under way
        self.slow = []      # (from, to), boot ns

    def run(self, stopping):
        with open(self.path, "wb", buffering=0) as f:
            now = lab.boot_ns()
            while not stopping.wait(self.PAUSE / 1e9):
                begun = self.begun = lab.boot_ns()
                if begun - now - self.PAUSE > self.SLOW:
                    self.slow.append((now + self.PAUSE, begun))
                f.write(b".")
                os.fdatasync(f.fileno())
                self.begun, now = 0, lab.boot_ns()
                if now - begun > self.SLOW:
                    self.slow.append((begun, now))

    def still(self, since, until):
        """For how much of that time it stood still, in ns."""
        begun = self.begun
        slow = self.slow + ([(begun, lab.boot_ns())] if begun else [])
        return sum(max(0, min(b, until) - max(a, since)) for a, b in slow
                   if b - a > self.SLOW)


class Oracle:
    """One writer through -primary and one to each site's Pod from that site's own
    node; a witness of each site. Files in dir."""

    def __init__(self, group, directory, service_node, pace=FINE):
        self.g = group
        self.pace = pace
        self.dir = directory
        self.node = service_node
        self.procs = {}
        self.nodes = {}
        self.stopping = threading.Event()
        self.round = 0      # of all oracles of this group: names of writers

    def file(self, name):
        return os.path.join(self.dir, name)

    def _write(self, name, text):
        tmp = self.file("." + name)
        with open(tmp, "w") as f:
            f.write(text)
        os.chmod(tmp, 0o600)
        os.rename(tmp, self.file(name))

    def prepare(self):
        os.makedirs(self.dir, exist_ok=True)
        self._write("app.pw", self.g.app_password + "\n")
        self._write("root.pw", self.g.root_password + "\n")
        ip = api.get("services", self.g.ns, self.g.prefix + "-primary")[
            "spec"]["clusterIP"]
        self._write("primary.target", "%s 3306\n" % ip)
        # Endpoints of a group that was just made come a moment later.
        api.wait("the oracle's table", 60, lambda: self.g.app_sql(
            ip, "CREATE DATABASE IF NOT EXISTS oracle; " + TABLE +
            "; SELECT 1", node=self.node), self.g.short)
        # Its Pods' addresses; the API server's silence is none.
        api.wait("the sites' nodes", 60, self._targets, self.g.short)

    def _targets(self):
        """Whether each site's is known."""
        for s in self.g.sites:
            try:
                p = self.g.pod(s)
            except (api.ApiError, api.Unreachable):
                continue
            ip = p and p["status"].get("podIP")
            if ip:
                self._write(s + ".target", "%s 3306\n" % ip)
                self.nodes[s] = p["spec"]["nodeName"]
        return set(self.nodes) >= set(self.g.sites)

    def _follow(self, stopping):
        while not stopping.wait(0.3):
            self._targets()

    def _start(self, name, node, argv):
        err = open(self.file(name + ".err"), "a")
        # Whatever becomes of us, a writer does not outlive us.
        argv = ["setpriv", "--pdeathsig", "KILL"] + lab.on_node(node, argv)
        self.procs[name] = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=err,
            stderr=err, start_new_session=True)
        err.close()

    def start(self, acked=True, timeout=QUICK):
        self.timeout = timeout
        self.prepare()
        self.stopping = threading.Event()
        threading.Thread(target=self._follow, args=(self.stopping,),
                         daemon=True).start()
        self.disk = Disk(self.file("disk"))
        threading.Thread(target=self.disk.run, args=(self.stopping,),
                         daemon=True).start()
        self.g.rounds += 1
        self.round = self.g.rounds
        self.records, self.witnesses = [], {}
        self._writer("primary", None, self.node, ["-r"])
        for s in self.g.sites:
            self._writer(s, s, self.nodes[s], [])
            out = self.file("%s.%d.witness" % (s, self.round))
            self.witnesses[s] = out
            self._start("witness-" + s, self.nodes[s], program("witness") + [
                "-s", s, "-t", self.file(s + ".target"), "-u", "root",
                "-p", self.file("root.pw"), "-o", out] + self.tls())
        api.wait("the files of the oracle's programs", 60, self._begun)
        if acked:
            self.wait_acked(60)
        return self

    def _begun(self):
        """Each has its file: who is told to end before that leaves none."""
        self.running()
        return all(os.path.exists(f) for f in
                   self.records + list(self.witnesses.values()))

    def tls(self):
        return ["-S"] if self.g.tls else []

    def _writer(self, name, site, node, more):
        out = self.file("%s.%d.rec" % (name, self.round))
        self.records.append(out)
        argv = program("writer") + [
            "-w", "%s%d" % (name, self.round),
            "-t", self.file(name + ".target"), "-u", self.g.app_user,
            "-p", self.file("app.pw"), "-o", out,
            "-T", str(self.timeout), "-i", str(self.pace)] + more + self.tls()
        if site:
            argv += ["-s", site]
        self._start(name, node, argv)

    def site_acks(self, site, since=0):
        """Acknowledgements of the writer that is pinned to a site."""
        return len([a for a in self.attempts(
            since, self.file("%s.%d.rec" % (site, self.round)))
            if a[0] == "A"])

    def hammer(self, site, sql):
        """As root, at one site: every acknowledgement is one too many."""
        out = self.file("hammer-%s.rec" % site)
        self._start("hammer-" + site, self.nodes[site], program("writer") + [
            "-w", "hammer", "-s", site, "-t", self.file(site + ".target"),
            "-u", "root", "-p", self.file("root.pw"), "-o", out, "-q", sql]
            + self.tls())

    def _outcomes(self, name):
        with open(self.file(name)) as f:
            return [line[0] for line in f if not line.startswith("#")]

    def hammer_acks(self, site):
        return self._outcomes("hammer-%s.rec" % site).count("A")

    def hammer_attempts(self, site):
        return len(self._outcomes("hammer-%s.rec" % site))

    def primary_file(self):
        return self.records[0]

    def last_ack(self, column=3):
        """When the newest acknowledgement through -primary came (boot ns)."""
        last = 0
        if not os.path.exists(self.primary_file()):
            return 0
        with open(self.primary_file(), "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - 200000))
            for line in f.read().split(b"\n")[1:-1]:
                w = line.split(b"\t")
                if w[0] == b"A":
                    last = int(w[column])
        return last

    def attempts(self, since=0, path=None):
        """(outcome, sent, end, errno) of the writer through -primary."""
        out = []
        with open(path or self.primary_file(), "rb") as f:
            for line in f.read().split(b"\n")[1:-1]:
                w = line.split(b"\t")
                if int(w[2]) >= since:
                    out.append((w[0].decode(), int(w[2]), int(w[3]),
                                int(w[4])))
        return out

    def _gaps(self, since):
        """(from, to) between two acknowledgements through -primary, and since the
        last one, boot ns."""
        last = None
        for out, _, end, _ in self.attempts(since):
            if last is not None:
                yield last, end
            if out == "A" or last is None:
                last = end

    def longest_gap(self, since=0):
        """In seconds."""
        return max((b - a for a, b in self._gaps(since)), default=0) / 1e9

    def calm(self, since=0):
        """No write was stopped: none refused and no connection closed or refused,
        as a fence and a server that starts again do, at once; and no gap of CALM
        seconds, but for the time in which the machine itself stood still. A busy
        one answers late: most runs show a tenth of a second."""
        all_ = self.attempts(since)
        for what, bad in (
                ("refused", [a for a in all_ if a[0] == "F"]),
                ("lost their connection", [
                    a for a in all_ if a[0] in "UN"
                    and a[2] - a[1] < 0.9e6 * self.timeout])):
            if bad:
                raise Failure("%d of %d writes %s, the first with error %d"
                              % (len(bad), len(all_), what, bad[0][3]))
        if not all_:
            raise Failure("no attempt to write since then")
        for a, b in self._gaps(since):
            still = self.disk.still(a, b)
            if b - a - still > CALM * 1e9:
                raise Failure("no write for %.2f s, in which the machine stood "
                              "still for %.2f s" % ((b - a) / 1e9, still / 1e9))
            if b - a > CALM * 1e9:
                print("# the machine stood still for %.2f s of %.2f s without a "
                      "write" % (still / 1e9, (b - a) / 1e9), flush=True)
        return self.longest_gap(since)

    def acks_since(self, boot_ns):
        """Of writes that were sent since: an answer of before may lie in the
        socket for as long as its writer waits for the processor."""
        return self.last_ack(column=2) > boot_ns

    def wait_acked(self, seconds, what="writes through -primary"):
        """A write that is sent from now on is acknowledged."""
        t = lab.boot_ns()

        def acked():
            self.running()
            return self.acks_since(t)
        api.wait(what, seconds, acked, self.g.short)

    def running(self):
        for name, p in self.procs.items():
            if p.poll() is not None:
                with open(self.file(name + ".err")) as f:
                    raise Failure("%s ended by itself: %s" % (name, f.read()))

    def stop(self):
        if self.procs and not self.stopping.is_set():
            self.running()
        self.stopping.set()
        for p in self.procs.values():
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
        for p in self.procs.values():
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.procs = {}

    def kill(self):
        """Whatever happened: nothing of ours stays."""
        self.stopping.set()
        for p in self.procs.values():
            if p.poll() is None:
                p.kill()
            p.wait()
        self.procs = {}

    def table(self, site, name):
        rows = api.wait("the rows of site " + site, 90, lambda: (self.g.sql(
            site, "SELECT writer, seq FROM oracle.writes", timeout=60),))
        self._write(name, rows[0])
        return self.file(name)

    def judge(self, survivor, old=None, new=None, old_table=None,
              divergent=None, since=None, until=None):
        """The findings. old_table: the old site is back; divergent: text of the
        operator's report on it ("" is one)."""
        argv = program("judge") + [
            "--survivor", self.table(survivor, "survivor.tsv")]
        if new:
            argv += ["--old", old, "--new", new,
                     "--received", self.witnesses[new]]
        if old_table:
            argv += ["--old-table", self.table(old_table, "old.tsv")]
        if divergent is not None:
            self._write("divergent.gtid", divergent + "\n")
            argv += ["--divergent", self.file("divergent.gtid")]
        if since:
            argv += ["--from", str(since)]
        if until:
            argv += ["--to", str(until)]
        p = subprocess.run(argv + self.records, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, universal_newlines=True)
        if p.returncode not in (0, 1):
            raise Failure("the judge: " + p.stderr.strip())
        self._write("findings.json", p.stdout)
        return json.loads(p.stdout)

    @staticmethod
    def blame(f):
        """Failure when the judge found one."""
        if f["failures"]:
            raise Failure("oracle: %s: %s" % (
                ", ".join(f["failures"]), json.dumps(f)))
        return f


def now():
    return time.time_ns()
