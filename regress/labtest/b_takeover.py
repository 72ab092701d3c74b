"""regress/bench takeover: how long until the other operator leads, and until writes
go on when the primary died together with the leader. Default settings."""
import json
import os
import time

import api
import bloodraven as op
import failover as fo
import fence
import lab
import takeover
from api import Failure
from benching import OUT, clear, install, keep, progress, remove
from group import Group
from oracle import Oracle

KINDS = ("clean", "crash", "withPrimary")


class Bench:
    def __init__(self, runs):
        self.runs = runs
        self.seconds = {k: [] for k in KINDS}
        self.failures = []
        self.g = None

    def group(self):
        if self.g is None:
            progress("a fresh group")
            self.g = Group("bench-takeover-%x" % (time.time_ns() & 0xffffff),
                           "takeover", fast=False)
            self.g.create()
            self.g.wait_ready(240)
        fence.whole(self.g)
        return self.g

    def lead(self, kind, i):
        """No write stops meanwhile."""
        g = self.group()
        o = Oracle(g, os.path.join(OUT, "%s-%d" % (kind, i)), lab.NODES[-1])
        try:
            o.start()
            s = takeover.seconds(getattr(takeover, kind))
            o.wait_acked(20)
            gap = o.calm()
            o.stop()
            f = o.judge(g.active())
        finally:
            o.kill()
        self.note(kind, i, s, f, "longest gap %.2f s" % gap)
        op.wait_settled()

    def with_primary(self, i):
        """From the death of both to the first write at the other site. The
        container is not made again: the kubelet's word stays."""
        g = self.group()
        old = g.active()
        o = Oracle(g, os.path.join(OUT, "withPrimary-%d" % i), lab.NODES[-1])
        op.wait_settled()
        try:
            o.start()
            g.hold(old, create=True)
            takeover.with_primary(g, old)
            new = fence.promoted(g, old, 90)
            o.wait_acked(30)
            f = fo.rejoin(g, o, old, new)
        finally:
            o.kill()
            g.release(old)
        self.note("withPrimary", i, f["writeGapSeconds"], f,
                  "old site " + f["oldSite"])
        op.renew()
        if f["oldSite"] == "blocked":
            remove(g)
            self.g = None

    def note(self, kind, i, seconds, f, text):
        self.seconds[kind].append(seconds)
        for x in f["failures"]:
            self.failures.append("%s %d: %s" % (kind, i + 1, x))
        progress("%s %d of %d: %.3f s, %d overlapping, %s%s" % (
            kind, i + 1, self.runs, seconds, f["overlappingWrites"], text,
            " " + ",".join(f["failures"])))

    def run(self, kinds):
        for kind in kinds:
            for i in range(self.runs):
                try:
                    if kind == "withPrimary":
                        self.with_primary(i)
                    else:
                        self.lead(kind, i)
                except (Failure, api.ApiError, api.Unreachable) as x:
                    self.failures.append("%s %d: %s" % (kind, i + 1, x))
                    progress("FAILURE %s %d: %s" % (kind, i + 1, x))
                    keep("failed-%s-%d" % (kind, i + 1))
                    clear()
                    self.g = None

    def report(self):
        for x in self.failures:
            progress("FAILURE " + x)
        out = {"bench": "takeover"}
        for k in KINDS:
            v = self.seconds[k]
            out[k + "Seconds"] = {"max": round(max(v), 3) if v else None}
        print(json.dumps(out, separators=(",", ":")), flush=True)
        return 1 if self.failures else 0


def main(_, runs, kinds, __):
    pick = kinds.split(",") if kinds else list(KINDS)
    for k in pick:
        if k not in KINDS:
            raise SystemExit("no scenario %r; there are: %s"
                             % (k, " ".join(KINDS)))
    install(lab.NODES[0], lab.NODES[-1])
    b = Bench(int(runs))
    b.run(pick)
    return b.report()
