"""regress/bench footprint --real: what the operator costs with one real group and
others beside it whose Pods are never scheduled. What a kubelet would report of
those once their sandboxes stand is patched into them here: an address, at which
the nodes drop everything. Requests are counted by the operator's own metric."""
import os
import sys
import time

import api
import bloodraven as op
import lab
from api import Failure, wait
from benching import install, progress, remove
from group import Group

sys.path.append(os.path.join(lab.TOP, "regress/footprint"))
import measure  # noqa: E402

NS = "bench-pending"
QUIET = 15


def holes():
    """Every node drops what a Pod sends there. Gone with the nodes."""
    for n in lab.NODES:
        lab.lab("in", n, "ip", "route", "replace", "blackhole", measure.HOLE)


def difference(w):
    before, after = measure.counts(w.before), measure.counts(w.after)
    return {k: v - before.get(k, 0) for k, v in after.items()
            if v > before.get(k, 0)}


class Bench:
    def __init__(self):
        self.real = None
        self.pending, self.addresses = [], {}
        self.last = None, 0

    def make(self, n):
        """n groups, the first of them real."""
        if self.real is None:
            self.real = Group("bench-real", "real", fast=False).create()
            self.real.wait_ready(240)
        for i in range(len(self.pending) + 1, n):
            g = Group(NS, "pending-%03d" % i, fast=False,
                      storage="there-is-none")
            self.pending.append(g.create())
        wait("every site has a Pod with an address", 600, self.kubelet,
             interval=1)

    def kubelet(self):
        if not self.pending:
            return True
        for p in api.items("pods", NS, {"app.kubernetes.io/name": "mysql"}):
            name = p["metadata"]["name"]
            if name in self.addresses:
                continue
            ip = measure.address(len(self.addresses))
            api.merge("pods", NS, name, {"status": measure.pending(p, ip)},
                      "status")
            self.addresses[name] = ip
        return len(self.addresses) >= sum(len(g.sites) for g in self.pending)

    def settled(self, url):
        self.kubelet()
        n = sum(measure.writes(measure.counts(measure.scrape(url))).values())
        if n != self.last[0]:
            self.last = n, time.monotonic()
        return time.monotonic() - self.last[1] > QUIET

    def window(self, seconds):
        p = op.wait_leader()
        url = "http://%s:8080/metrics" % p["status"]["podIP"]
        wait("no write for %d s" % QUIET, 900, lambda: self.settled(url),
             interval=1)
        if not self.real.is_true("Ready"):
            raise Failure("the real group: " + self.real.short())
        pids = lab.pids_of(op.container_id(p))
        w = measure.Window(pids[0], url)
        end = time.monotonic() + seconds
        wait("the window's end", seconds + 60,
             lambda: time.monotonic() >= end, interval=0.5)
        w.end()
        return w

    def remove(self):
        for g in self.pending:
            api.delete("mysqlfailovergroups", g.ns, g.name)
        # Nobody's kubelet lets these Pods go.
        for p in api.items("pods", NS) if self.pending else ():
            api.merge("pods", NS, p["metadata"]["name"],
                      {"metadata": {"finalizers": None}})
        if self.pending:
            api.delete("namespaces", None, NS)
        if self.real is not None:
            remove(self.real)


def main(_, groups, seconds):
    holes()
    install(lab.NODES[-1])
    b = Bench()
    pss, cpu, windows, written = {}, {}, [], []
    try:
        for g in sorted(int(x) for x in groups.split(",")):
            progress("%d groups, one of them real" % g)
            b.make(g)
            w = b.window(float(seconds))
            count = difference(w)
            print(w.text("%d groups, MiB" % g) + "\n")
            print(w.requests(count) + "\n", flush=True)
            pss[g], cpu[g] = w.pss(), w.percent()
            windows.append(w)
            written.append(sum(measure.writes(count).values()) / w.minutes)
    finally:
        b.remove()
    print(measure.growth(pss, cpu) + "\n")
    print(measure.result("footprint-real", pss, cpu, windows[0], windows[-1],
                         written), flush=True)
    return 0
