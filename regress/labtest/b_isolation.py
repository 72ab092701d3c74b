"""regress/bench isolation: how long nobody writes after the primary hangs, or is
silent in one way or another; two groups share each fault, one at the default
settings, one with the fast profile. The last line is JSON; the one before it has
each scenario, and those in which the leading operator is lost together with the
primary, which have to wait for the operators' Lease on top."""
import json
import os
import time

import api
import bloodraven as op
import failover as fo
import fence
import lab
from api import Failure, wait
from benching import OUT, clear, install, keep, progress, remove
from group import Group
from oracle import Oracle

PROFILES = ("default", "fast")
OPERATORS = lab.NODES[-1:]


class Undo:
    """The part of a test's context that fence.py asks for."""

    def __init__(self):
        self.steps = []

    def finally_(self, f, *args):
        self.steps.append((f, args))

    def go(self):
        for f, args in reversed(self.steps):
            f(*args)
        self.steps = []


# Each takes the groups and their (one) active site; what undoes it is noted.

def hung(u, gs, site):
    for g in gs:
        fence.Stopped(u, g, site).stop("mysqld")


def pod(u, gs, site):
    for g in gs:
        fence.Cuts(u).site(g, site, "both", fence.far_nodes(g, site))


def partition(u, gs, site):
    n = gs[0].node(site)
    u.finally_(lab.fault, "heal", n)
    lab.fault("partition", n)


def power(u, gs, site):
    n = gs[0].node(site)
    u.finally_(lambda: lab.fault("node-on", n, timeout=180))
    lab.fault("node-off", n)


def sidecar(u, gs, site):
    for g in gs:
        fence.StoppedContainer(u, g, site, fence.SIDECAR)


def stopped(u, gs, site):
    for g in gs:
        fence.StoppedContainer(u, g, site, fence.GUARD)


SCENARIOS = {"hung": hung, "pod": pod, "node": partition, "power": power,
             "sidecar": sidecar, "stopped": stopped,
             "leader-node": partition}
SILENT = ("pod", "node", "power", "sidecar", "stopped")


class Bench:
    def __init__(self, runs, scenarios, profiles):
        self.runs, self.scenarios, self.profiles = runs, scenarios, profiles
        self.seconds = {s: {p: [] for p in profiles} for s in scenarios}
        self.overlapping = 0
        self.failures = []
        self.groups, self.made = [], 0

    def fresh(self):
        """New groups, which lead at one site."""
        for g in self.groups:
            remove(g)
        self.made += 1
        progress("fresh groups")
        self.groups = [Group("bench-%s-%d" % (p, self.made), p,
                             fast=p == "fast") for p in self.profiles]
        for g in self.groups:
            g.create()
        for g in self.groups:
            g.wait_ready(240)

    def drop(self):
        for g in self.groups:
            try:
                remove(g)
            except Failure as x:
                progress(str(x))
        self.groups = []

    def leader(self, name, site):
        """Where the scenario wants it."""
        if name != "leader-node":
            if [p["spec"]["nodeName"] for p in op.pods()] != list(OPERATORS):
                op.place(*OPERATORS)
                op.wait_settled()
            op.wait_leader()
            return
        node = self.groups[0].node(site)
        op.place(node, *OPERATORS)
        op.lead_at(node)

    def one(self, name, i):
        if not self.groups:
            self.fresh()
        site = self.groups[0].active()
        if {g.active() for g in self.groups} != {site}:
            raise Failure("the groups lead at different sites")
        self.leader(name, site)
        for g in self.groups:
            fence.whole(g)
            fence.rested(g)
        u, oracles = Undo(), []
        t0 = time.monotonic()
        try:
            for g in self.groups:
                oracles.append(Oracle(g, os.path.join(
                    OUT, "%s-%d-%s" % (name, i, g.name)), OPERATORS[0]))
                oracles[-1].start()
            SCENARIOS[name](u, self.groups, site)
            for g, o in zip(self.groups, oracles):
                fence.promoted(g, site, 120)
                o.wait_acked(30)
            u.go()
            for g, o in zip(self.groups, oracles):
                self.judge(name, i, g, o, site)
        finally:
            for o in oracles:
                o.kill()
            try:
                u.go()
            finally:
                clear()
        progress("%s %d of %d: done in %d s" % (
            name, i + 1, self.runs, time.monotonic() - t0))

    def judge(self, name, i, g, o, site):
        new = g.active()
        how = g.wait_healthy_follower(site, 180)
        o.stop()
        f = o.judge(new, site, new, old_table=site,
                    divergent=g.divergent(site))
        self.seconds[name][g.name].append(f["writeGapSeconds"])
        self.overlapping += f["overlappingWrites"]
        for x in f["failures"]:
            self.failures.append("%s %d %s: %s" % (name, i + 1, g.name, x))
        progress("%s %d of %d, %s: gap %.3f s, %d overlapping, %d lost, old "
                 "site %s%s" % (
                     name, i + 1, self.runs, g.name, f["writeGapSeconds"],
                     f["overlappingWrites"], f["ackedWritesLost"], how,
                     " " + ",".join(f["failures"])))
        # A site with a history of its own is no candidate for the next run.
        if how == "blocked":
            self.groups = [x for x in self.groups if x is not g]
            remove(g)

    def run(self):
        for name in self.scenarios:
            for i in range(self.runs):
                try:
                    if len(self.groups) != len(self.profiles):
                        self.drop()
                    self.one(name, i)
                except (Failure, api.ApiError, api.Unreachable) as x:
                    self.failures.append("%s %d: %s" % (name, i + 1, x))
                    progress("FAILURE %s %d: %s" % (name, i + 1, x))
                    keep("failed-%s-%d" % (name, i + 1))
                    self.drop()
        keep("log")

    def report(self):
        for x in self.failures:
            progress("FAILURE " + x)
        print(json.dumps({"bench": "isolation-scenarios", "seconds": {
            s: {p: fo.quantiles(v) for p, v in by.items()}
            for s, by in self.seconds.items()}}), flush=True)
        hung_ = self.seconds.get("hung") or {}
        silent = {p: [x for s in SILENT if s in self.seconds
                      for x in self.seconds[s][p]] for p in self.profiles}
        print(json.dumps({
            "bench": "isolation", "runs": self.runs,
            "overlappingWrites": self.overlapping,
            "hungSeconds": {p: fo.quantiles(hung_.get(p, []))
                            for p in self.profiles},
            "silentSeconds": {p: {"max": round(max(v), 3) if v else None}
                              for p, v in silent.items()}},
            separators=(",", ":")), flush=True)
        return 1 if self.failures else 0


def main(_, runs, scenarios, profiles):
    pick = scenarios.split(",") if scenarios else list(SCENARIOS)
    for s in pick:
        if s not in SCENARIOS:
            raise SystemExit("no scenario %r; there are: %s"
                             % (s, " ".join(SCENARIOS)))
    install(*OPERATORS)
    b = Bench(int(runs), pick, profiles.split(",") if profiles
              else list(PROFILES))
    wait("an operator leads", 60, op.leader, op.state)
    b.run()
    return b.report()
