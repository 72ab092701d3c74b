"""Every partition of failover.md section 24, in both directions, and what the
runbook of bloodraven-fencing(7) says of it. Fast profile. Packets are dropped at
Pods, so that groups do not disturb each other; whole nodes are t_node.py's."""
import time

import bloodraven as op
import fence
import lab
from api import Failure, holds, wait
from failover import up_again
from oracle import PATIENT
from runner import test


def primary_cut(t, g, direction, peers):
    """Case A: operators and replica do not reach the primary, whose clients
    do. Promoted without a human; the old site has fenced itself by then."""
    cuts = fence.Cuts(t)
    old = g.active()
    who = peers(g, old)
    _, new, f = fence.survives(
        t, g, lambda: cuts.site(g, old, direction, who), cuts.heal)
    t.ok("primary cut off (%s): %s for %s, %s" % (
        direction, new, old, fence.described(f)))


@test("primary-cut", order=40)
def primary_cut_both(t):
    """From all that takes part, while its clients still come through -primary,
    too."""
    primary_cut(t, t.ready(), "both", fence.partners)


@test("primary-cut-oneway", full=True, order=40, sites=4)
def primary_cut_oneway(t):
    for d, g in zip(fence.DIRECTIONS, t.ready("cut-in", "cut-out")):
        primary_cut(t, g, d, fence.partners)


@test("pod-cut", full=True, order=41, sites=4)
def pod_cut(t):
    """From all other nodes, and from everybody."""
    far, all_ = t.ready("cut-far", "cut-all")
    primary_cut(t, far, "both", fence.far_nodes)
    primary_cut(t, all_, "both", lambda g, s: ())


def degraded(g, site):
    return lambda: g.is_true("Degraded") or g.site(site).get(
        "state") == "unreachable" or not g.is_true("Ready")


def silent(g):
    return lambda: g.condition("WriteLease").get("reason") == "GuardSilent"


def total_loss(g):
    """Said from now on, and in an Event."""
    tail = op.Tail(g.fg)
    return lambda: tail.has("total loss") and g.events("TotalLossDetected")


def cases(g):
    """Those that stop no write: (what, site or None for the operators' Pods,
    peers, port, what is told meanwhile)."""
    active = g.active()
    other = g.other(active)
    ip = g.address
    return (
        ("B: the replica isolated", other,
         op.addresses() + [ip(active)], None, degraded(g, other)),
        ("C: the replication link cut", other, [ip(active)],
         fence.MYSQL_PORT, None),
        ("D: the peers cut from each other", other, [ip(active)], None, None),
        ("E: the operators see nothing", None,
         [ip(s) for s in g.sites], None, total_loss(g)),
        ("F: the primary's sidecar loses the operators", active,
         op.addresses(), fence.LINK_PORT, silent(g)),
        ("G: no DNS in the primary's Pod", active, [], fence.DNS_PORT, None),
    )


def quiet_cases(t, directions):
    g = t.ready()
    o = t.oracle(g, timeout=PATIENT)
    hold = 2 * fence.LEASE
    for i in range(6):
        for d in directions:
            what, site, peers, port, told = cases(g)[i]
            cuts = fence.Cuts(t)

            def cut():
                if site is not None:
                    cuts.site(g, site, d, peers, port)
                    return
                for p in op.pods():
                    cuts.pod(op.NS, p["metadata"]["name"], d, peers, port)
            gap = fence.quiet(t, g, o, "%s (%s)" % (what, d), cut, cuts.heal,
                              hold, told)
            t.ok("%s (%s): no write stopped, longest gap %.2f s"
                 % (what, d, gap))
    o.stop()
    o.blame(o.judge(g.active()))


@test("quiet-cuts", order=42)
def quiet_cuts(t):
    quiet_cases(t, ("both",))


@test("quiet-cuts-oneway", full=True, order=42)
def quiet_cuts_oneway(t):
    quiet_cases(t, fence.DIRECTIONS)


def everybody_cut(t, g, direction):
    """Case E at its worst: nobody reaches anybody. The primary fences itself
    (nobody can renew its lease), nobody is promoted, and it goes on by itself
    when the cut heals; nothing is lost."""
    active = g.active()
    o = t.oracle(g)
    cuts = fence.Cuts(t)
    # The active one last: the other would be promoted in between.
    for s in g.others(active) + [active]:
        cuts.site(g, s, direction, fence.partners(g, s))
    wait("the primary fences itself", 20, lambda: g.read_only(active))
    since = lab.boot_ns()
    holds("nobody writes", 4, lambda: all(
        g.read_only(s) for s in g.sites))
    if o.acks_since(since):
        raise Failure("a write was acknowledged without a lease")
    cuts.heal()
    o.wait_acked(60, "writes after the cut")
    fence.whole(g)
    if g.active() != active:
        t.fact("the other site took over")
        f = fence.judged(t, g, o, active, g.active())
    else:
        o.stop()
        f = o.blame(o.judge(active))
        if f["ackedWritesLost"]:
            raise Failure("%d writes lost" % f["ackedWritesLost"])
    t.ok("nobody reaches anybody (%s): gap %.2f s" % (
        direction, f["writeGapSeconds"]))


@test("all-cut", full=True, order=43)
def all_cut(t):
    everybody_cut(t, t.ready(), "both")


@test("all-cut-oneway", full=True, order=43, sites=4)
def all_cut_oneway(t):
    for d, g in zip(fence.DIRECTIONS, t.ready("all-in", "all-out")):
        everybody_cut(t, g, d)


def isolated(g):
    return lambda: g.blocked("ObserverIsolated")


def observer(t, g, o, direction, port):
    active = g.active()
    cuts = fence.Cuts(t)

    def cut():
        for p in op.pods():
            cuts.pod(op.NS, p["metadata"]["name"], direction,
                     [g.address(active)], port)
    what = "operators cut from the primary (%s%s)" % (
        direction, ", port %d" % port if port else "")
    gap = fence.quiet(t, g, o, what, cut, cuts.heal, 2.5 * fence.LEASE,
                      isolated(g))
    t.ok("%s: ObserverIsolated, no write stopped, longest gap %.2f s"
         % (what, gap))


@test("observer-isolated", order=44)
def observer_isolated(t):
    """The operators alone do not reach the primary; replica and voters do: no
    failover, no write stop. When it really dies then, they act."""
    g = t.ready()
    o = t.oracle(g, timeout=PATIENT)
    observer(t, g, o, "both", None)
    observer(t, g, o, "both", fence.MYSQL_PORT)
    if not g.events("PromotionBlocked") and not g.events("ObserverIsolated"):
        raise Failure("no Event tells of it: %s" % [
            e["reason"] for e in g.events()])
    o.stop()
    o.blame(o.judge(g.active()))
    really_dead(t, g)


def really_dead(t, g):
    old = g.active()
    cuts = fence.Cuts(t)

    def fault():
        for p in op.pods():
            cuts.pod(op.NS, p["metadata"]["name"], "both", [g.address(old)])
        wait("ObserverIsolated", 20, isolated(g), g.short)
        t.hold(g, old)
        g.kill9(old)

    def heal():
        cuts.heal()
        up_again(g, old)
    _, _, f = fence.survives(t, g, fault, heal)
    t.ok("isolated, and then the primary died: " + fence.described(f))


def leader_cut(t, g, direction):
    """The leader's Pod alone does not reach the primary's mysqld, and no replica
    receives from it: the other operator sees it, and nothing moves. When that
    one does not reach it either, the other site is promoted."""
    old = g.active()
    ip = g.address(old)
    lead = wait("a leader and a standby",
                30, lambda: op.standby() and op.leader())["metadata"]["name"]
    o = t.oracle(g)
    cuts = fence.Cuts(t)
    since = lab.boot_ns()

    def leads():
        now = (op.leader() or {}).get("metadata", {}).get("name")
        if now != lead:
            raise Failure("%s leads, not %s" % (now, lead))
    # In this order: what the leader has seen there last was received.
    cuts.pod(op.NS, lead, direction, [ip], fence.MYSQL_PORT)
    # At the primary: a replica's own packets go to a Service's address.
    cuts.site(g, old, "both", [g.address(s) for s in g.sites if s != old],
              fence.MYSQL_PORT)
    wait("ObserverIsolated", 20, isolated(g), g.short)
    # Not for 15 s: it would hand over then, which is hands_over()'s.
    fence.not_promoted(g, old, fence.LEASE + 1, "the standby sees it")
    if not isolated(g)():
        raise Failure("no more ObserverIsolated: %s" % g.short())
    gap = o.calm(since)
    leads()
    for p in op.pods():
        if p["metadata"]["name"] != lead:
            cuts.pod(op.NS, p["metadata"]["name"], "both", [ip],
                     fence.MYSQL_PORT)
    new = fence.promoted(g, old)
    o.wait_acked(30, "writes at the new site")
    leads()
    cuts.heal()
    f = fence.judged(t, g, o, old, new)
    t.ok("leader alone cut from the primary (%s): longest gap %.2f s; both: %s"
         % (direction, gap, fence.described(f)))


@test("leader-isolated", order=44)
def leader_isolated(t):
    leader_cut(t, t.ready(), "both")


@test("observer-isolated-oneway", full=True, order=44)
def observer_isolated_oneway(t):
    g = t.ready()
    o = t.oracle(g)
    for d in fence.DIRECTIONS:
        for port in (None, fence.MYSQL_PORT):
            observer(t, g, o, d, port)
    o.stop()
    o.blame(o.judge(g.active()))


@test("http-cut", full=True, order=45)
def http_cut(t):
    """The sidecar's HTTP port carries nothing that a lease needs."""
    g = t.ready()
    o = t.oracle(g)
    active = g.active()
    for d in ("both",) + fence.DIRECTIONS:
        cuts = fence.Cuts(t)
        fence.quiet(t, g, o, "port 8080 (%s)" % d, lambda: cuts.site(
            g, active, d, [], fence.HTTP_PORT), cuts.heal, 2 * fence.LEASE)
    o.stop()
    o.blame(o.judge(active))


def voter_cut(t, g, direction):
    """The primary is silent, and its only other voter, too: the promise is
    missing, so nobody is promoted; the voter's return is the proof."""
    old = g.active()
    other = g.other(old)
    o = t.oracle(g)
    tail = op.Tail(g.fg)
    cuts = fence.Cuts(t)
    voter = fence.Cuts(t)
    voter.site(g, other, direction, [], fence.LINK_PORT)
    cuts.site(g, old, direction, fence.far_nodes(g, old))
    how = wait("NoProof, or a promotion", 30, lambda: (
        g.blocked("NoProof") and "NoProof") or (
        g.active() == other and "promoted"), g.short)
    if how == "promoted":
        raise Failure("promoted without the voter's promise: %s" % (
            tail.seen[-5:],))
    wait("Event PromotionBlocked", 20, lambda: g.events("PromotionBlocked"))
    holds("nobody is promoted", fence.LEASE + 3,
          lambda: g.active() != other and g.read_only(other))
    t0 = time.monotonic()
    voter.heal()
    new = fence.promoted(g, old)
    o.wait_acked(30)
    returned = time.monotonic() - t0
    cuts.heal()
    f = fence.judged(t, g, o, old, new)
    t.ok("no proof (%s), promoted %.1f s after the voter's return: %s" % (
        direction, returned, fence.described(f)))


@test("no-proof", order=46)
def no_proof(t):
    voter_cut(t, t.ready(), "both")


@test("no-proof-oneway", full=True, order=46, sites=4)
def no_proof_oneway(t):
    for d, g in zip(fence.DIRECTIONS, t.ready("proof-in", "proof-out")):
        voter_cut(t, g, d)
