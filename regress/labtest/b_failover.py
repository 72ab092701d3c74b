"""regress/bench failover|restart: fresh groups, mysqld's guard killed and held down,
or mysqld alone killed."""
import json
import os

import bloodraven as op
import failover as fo
import lab
from api import Failure, wait
from benching import OUT, progress, remove
from group import Group
from oracle import Oracle

BATCH = int(os.environ.get("BENCH_BATCH", "5"))


def groups(names):
    """New ones, made side by side, at the default thresholds."""
    gs = [Group("bench-" + n, n, fast=False) for n in names]
    for g in gs:
        g.create()
    for g in gs:
        g.wait_ready(240)
    return gs


class Bench:
    def __init__(self, runs):
        self.runs = runs
        self.gaps, self.decisions, self.restarts = [], [], []
        self.starts, self.pss = [], []
        self.lost = self.overlapping = 0
        self.failures = []

    def oracle(self, g):
        return Oracle(g, os.path.join(OUT, g.name), lab.NODES[-1])

    def note(self, g, f):
        self.lost += f["ackedWritesLost"]
        self.overlapping += f["overlappingWrites"]
        for x in f["failures"]:
            self.failures.append("%s: %s" % (g.name, x))
        progress("%s: gap %.3f s, %d lost, %d overlapping%s" % (
            g.name, f["writeGapSeconds"], f["ackedWritesLost"],
            f["overlappingWrites"], " " + ",".join(f["failures"])))

    def one_failover(self, g):
        o = self.oracle(g)
        try:
            tail = op.Tail(g.fg)
            o.start()
            old, new, killed, decided = fo.fail_over(g, o, tail)
            f = fo.rejoin(g, o, old, new)
        finally:
            o.kill()
            g.release(g.sites[0])
            g.release(g.sites[1])
        self.note(g, f)
        self.gaps.append(f["writeGapSeconds"])
        if decided is None:
            raise Failure("the log tells no decision")
        self.decisions.append((f["gapToNs"] - decided) / 1e9)
        with open(os.path.join(OUT, g.name, "log.json"), "w") as fp:
            for r in tail.seen:
                fp.write(json.dumps(r) + "\n")

    def one_restart(self, g):
        o = self.oracle(g)
        try:
            o.start()
            f = fo.restart_in_place(g, o)
        finally:
            o.kill()
        self.note(g, f)
        if f["ackedWritesLost"]:
            self.failures.append("%s: a restart lost writes" % g.name)
        self.restarts.append(f["writeGapSeconds"])

    def operator(self):
        """Memory in rest, and a start with groups to watch."""
        op.wait_leader()
        self.pss.append(op.pss_mib())
        op.kill()
        op.wait_settled()
        op.wait_leader()
        s = wait("the first probe after a start", 30, op.start_seconds,
                 op.state)
        self.starts.append(s)
        op.renew()
        progress("operator: %.1f MiB, first probe %.3f s after its start"
                 % (self.pss[-1], s))

    def batches(self, kind, n, run):
        done = 0
        while done < n:
            k = min(BATCH, n - done)
            progress("%s %d to %d of %d: fresh groups" % (
                kind, done + 1, done + k, n))
            gs = groups(["%s-%d" % (kind, done + i + 1) for i in range(k)])
            # Starts and memory hardly vary: not with each batch.
            if kind == "failover" and len(self.starts) < 3:
                self.operator()
                for g in gs:
                    wait("Ready", 60, lambda g=g: g.is_true("Ready"), g.short)
            for g in gs:
                run(g)
            for g in gs:
                remove(g)
            done += k
            progress("%s: %d of %d done" % (kind, done, n))

    def report(self, name):
        for x in self.failures:
            progress("FAILURE " + x)
        print(json.dumps({
            "bench": name, "runs": self.runs,
            "writeGapSeconds": fo.quantiles(self.gaps),
            "decisionToWriteSeconds": fo.quantiles(self.decisions),
            "restartInPlaceSeconds": fo.quantiles(self.restarts),
            "ackedWritesLost": self.lost,
            "overlappingWrites": self.overlapping,
            "pssMiB": round(max(self.pss), 1) if self.pss else None,
            "startSeconds": round(max(self.starts), 3)
            if self.starts else None}), flush=True)
        return 1 if self.failures else 0


def main(name, runs):
    runs = int(runs)
    op.install()
    op.place(lab.NODES[-1])
    op.wait_settled()
    op.wait_leader()
    b = Bench(runs)
    try:
        if name == "failover":
            b.batches("failover", runs, b.one_failover)
        b.batches("restart", max(1, runs // 3) if name == "failover"
                  else runs, b.one_restart)
    except Exception as x:
        b.failures.append("%s: %s" % (type(x).__name__, x))
        with open(os.path.join(OUT, "operator.log"), "w") as f:
            f.write("\n".join(op.log().new_lines()))
    return b.report(name)
