"""What tests of the write lease share: who is cut off from whom, which process is
stopped, and what the clients saw of it."""
import os
import signal
import time

import api
import bloodraven as op
import lab
from api import Failure, holds, wait
from group import COOLDOWN

# The fast profile (group.FAST), and what comes on top of it.
LEASE, CHECK = 3.0, 1.0
SIDECAR, GUARD = "sidecar", "mysql"     # containers
LINK_PORT, HTTP_PORT, MYSQL_PORT, DNS_PORT = 8090, 8080, 3306, 53
DIRECTIONS = ("in", "out")


class Cuts:
    """Packet filters at Pods, taken away together."""

    def __init__(self, t):
        self.ids = []
        t.finally_(self.heal)

    def pod(self, ns, name, direction, peers=(), port=None):
        argv = ["cut-pod", ns, name, direction]
        for p in peers:
            argv += ["--peer", p]
        if port:
            argv += ["--port", str(port)]
        self.ids.append(lab.fault(*argv).strip().splitlines()[-1])
        return self

    def site(self, g, site, direction="both", peers=(), port=None):
        return self.pod(g.ns, g.pod(site)["metadata"]["name"], direction,
                        peers, port)

    def node(self, node, direction):
        """Its cable, for packets of one direction."""
        self.ids.append(lab.fault("cut", node, direction).strip()
                        .splitlines()[-1])
        return self

    def heal(self):
        for i in self.ids:
            lab.fault("undo", i, check=False)
        self.ids = []


def partners(g, site):
    """Who takes part in the decision, and nobody else: clients still come
    through, also by -primary."""
    return op.addresses() + [g.address(s) for s in g.others(site)]


def far_nodes(g, site):
    """All but the Pod's own node, from which its local clients go on; and the
    partners that happen to run there, too."""
    own = g.node(site)
    here = ".".join(g.address(site).split(".")[:3]) + "."
    return [n for n in lab.NODES if n != own] + ["control"] + [
        ip for ip in partners(g, site) if ip.startswith(here)]


class Stopped:
    """Processes of a site's Pod by SIGSTOP, until go()."""

    def __init__(self, t, g, site):
        self.g, self.site = g, site
        self.pids = []
        t.finally_(self.go)

    def find(self, *names, container=GUARD):
        cid = self.g.container_id(self.site, container)
        return [lab.process(cid, n) for n in names]

    def stop(self, *names, container=GUARD):
        return self.stop_pids(self.find(*names, container=container))

    def stop_pids(self, pids):
        self.pids += pids
        lab.stop(pids)
        return self

    def go(self):
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.pids = []


def new_pod(g, site, seconds=120):
    """In place of one that its kubelet would restart after a long back-off, or
    that lacks something."""
    old = g.pod(site)
    if old is not None:
        api.delete("pods", g.ns, old["metadata"]["name"], 1)
    return wait_pod(g, site, old, seconds)


def wait_pod(g, site, old, seconds=120):
    """Another one than old, and ready."""
    def ready():
        p = g.pod(site)
        return p and (old is None or p["metadata"]["uid"] !=
                      old["metadata"]["uid"]) and all(
            lab.container(p, c).get("ready") for c in (GUARD, SIDECAR)) and p
    return wait("a new Pod at " + site, seconds, ready, g.short)


class StoppedContainer:
    """All of a container: by SIGSTOP one after the other (its first process
    first), or all at one moment (freeze)."""

    def __init__(self, t, g, site, container, freeze=False):
        self.argv = (g.ns, g.pod(site)["metadata"]["name"], container)
        self.pids, self.freeze = [], freeze
        t.finally_(self.go)
        if freeze:
            lab.fault("freeze", *self.argv)
            return
        self.pids = lab.pids_of(g.container_id(site, container))
        lab.stop(self.pids)

    def go(self):
        if self.freeze:
            lab.fault("thaw", *self.argv, check=False)
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.pids, self.freeze = [], False


def promoted(g, old, seconds=90):
    """The other site, once it is the active one and writable."""
    def there():
        a = g.active()
        return a if a and a != old and not g.read_only(a) else None
    return wait("a promotion", seconds, there, g.short)


def stays(what, g, site, seconds):
    """Nobody else is active. The status names no active site while the operator
    does not see it."""
    holds(what, seconds, lambda: g.active() in (site, ""))


def not_promoted(g, active, seconds, what="no failover"):
    stays(what, g, active, seconds)
    if g.events("FailoverExecuted"):
        raise Failure("it failed over: " + g.short())


def whole(g, seconds=240):
    """Every site as it should be, and more than one voter: a fault that follows
    at once would otherwise meet a lease that hangs on the operator alone."""
    def state():
        sites = g.status().get("sites") or []
        return g.is_true("Ready") and g.active() and not g.blocked() and \
            g.is_true("WriteLease") and all(
            s["name"] == g.active() or s.get("replicating") for s in sites) \
            and len(sites) == len(g.sites)
    return wait("%s is whole" % g.name, seconds, state, g.short)


def rested(g):
    """The cooldown after the last failover is over: a fault that follows within
    it is answered later, which says nothing of the fault."""
    def over():
        last = g.status().get("lastFailover")
        return not last or \
            time.time() > COOLDOWN + 1 + lab.parse_time(last) / 1e9
    wait("the cooldown's end", 3 * COOLDOWN, over, g.short)


def judged(t, g, o, old, new, divergence_only=False):
    """The old site is back: the oracle's findings. divergence_only: the
    documented exception, in which both sites acknowledged."""
    how = g.wait_healthy_follower(old)
    o.stop()
    f = o.judge(new, old, new, old_table=old, divergent=g.divergent(old))
    if divergence_only:
        f["failures"] = [x for x in f["failures"]
                         if x != "overlappingWrites"]
    o.blame(f)
    f["oldSite"] = how
    return f


def described(f):
    return "gap %.2f s, %d lost, old site %s" % (
        f["writeGapSeconds"], f["ackedWritesLost"], f["oldSite"])


def survives(t, g, fault, heal=None, seconds=90, linger=2):
    """A fault at the active site, the promotion of the other one without a
    human, the return; overlap 0. Returns (old, new, findings)."""
    old = g.active()
    o = t.oracle(g)
    t0 = time.monotonic()
    fault()
    new = promoted(g, old, seconds)
    o.wait_acked(60, "writes at the new site")
    t.log("%s: %s promoted within %.1f s" % (g.name, new,
                                             time.monotonic() - t0))
    # The old site's own clients go on trying meanwhile.
    stays("the new site stays", g, new, linger)
    if heal:
        heal()
    f = judged(t, g, o, old, new)
    return old, new, f


def quiet(t, g, o, what, cut, heal, seconds, check=None):
    """A fault that stops no write and moves nothing. check: what the operator
    must say meanwhile."""
    active = g.active()
    since = lab.boot_ns()
    cut()
    if check:
        wait("%s is told" % what, max(seconds, 20), check, g.short)
    not_promoted(g, active, seconds, "%s: the active site stays" % what)
    try:
        gap = o.calm(since)
    except Failure as x:
        raise Failure("%s: %s; %s" % (what, x, g.short())) from None
    heal()
    o.wait_acked(30)
    whole(g)
    try:
        gap = max(gap, o.calm(since))
    except Failure as x:
        raise Failure("after %s: %s" % (what, x)) from None
    t.log("%s: longest gap %.2f s" % (what, gap))
    return gap


def boot_of(record):
    """A log record's time on the clock of the oracle."""
    return lab.wall_to_boot(lab.parse_time(record["time"]))
