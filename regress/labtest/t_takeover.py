"""Two operators: the one that does not lead is warm."""
import bloodraven as op
import fence
import lab
import takeover
from api import Failure, holds, wait
from failover import up_again
from oracle import PATIENT
from runner import test


@test("takeover", alone=True, order=77)
def operators(t):
    """A clean handover, a crash, and a leader that is cut off from the API
    server: no write stops, and the new one acts."""
    g = t.ready()
    o = t.oracle(g)
    active = g.active()
    for name, fault in (("clean", takeover.clean), ("crash", takeover.crash)):
        since = lab.boot_ns()
        s = takeover.seconds(fault)
        fence.not_promoted(g, active, fence.LEASE)
        t.ok("%s: the other operator leads after %.2f s, longest gap %.2f s"
             % (name, s, o.calm(since)))
        op.wait_settled()
    since = lab.boot_ns()
    old = op.wait_leader()
    cuts = fence.Cuts(t)
    cuts.pod(op.NS, old["metadata"]["name"], "both", ["control"])
    wait("the other operator leads", 90, lambda: (op.leader() or old)[
        "metadata"]["uid"] != old["metadata"]["uid"], op.state)
    fence.not_promoted(g, active, fence.LEASE)
    t.ok("leader cut off from the API server, longest gap %.2f s"
         % o.calm(since))
    o.stop()
    o.blame(o.judge(active))
    # The old one still reaches every site; it must do nothing there.
    t.hold(g, active)
    o = t.oracle(g)
    epoch = g.epoch()
    g.kill9(active)
    new = fence.promoted(g, active)
    o.wait_acked(30)
    fence.stays("the new site stays", g, new, 2 * fence.LEASE)
    if g.epoch() > epoch + 2:
        raise Failure("%d epochs for one failover" % (g.epoch() - epoch))
    cuts.heal()
    up_again(g, active)
    f = fence.judged(t, g, o, active, new)
    op.wait_settled()
    t.ok("and failed over meanwhile: " + fence.described(f))


@test("leader-cut-oneway", alone=True, full=True, order=77)
def leader_cut_oneway(t):
    """The leader is not heard by the API server, or does not hear it: the other
    operator leads, and no write stops."""
    g = t.ready()
    o = t.oracle(g, timeout=PATIENT)
    active = g.active()
    for d in fence.DIRECTIONS:
        op.wait_settled()
        since = lab.boot_ns()
        name = op.wait_leader()["metadata"]["name"]
        watch = takeover.Watch()
        cuts = fence.Cuts(t)
        cuts.pod(op.NS, name, d, ["control"])
        wait("the other operator leads", 40, watch.first, op.state)
        fence.not_promoted(g, active, 2 * fence.LEASE)
        cuts.heal()
        op.wait_settled()
        fence.whole(g)
        t.ok("leader cut off from the API server (%s), longest gap %.2f s"
             % (d, o.calm(since)))
    o.stop()
    o.blame(o.judge(active))


def led_by_other(lead):
    """The leader's name when it is another one, else nothing."""
    name = (op.leader() or {}).get("metadata", {}).get("name")
    return name if name not in (None, lead) else None


@test("leader-hands-over", alone=True, full=True, order=78)
def hands_over(t):
    """The leader's Pod alone does not reach the primary's mysqld, and no replica
    receives from it: the leader hands over to the operator that does, by
    itself and once, and no write stops. That one acts when the primary dies."""
    g = t.ready()
    op.wait_settled()
    old = g.active()
    ip = g.address(old)
    lead = op.wait_leader()["metadata"]["name"]
    o = t.oracle(g, timeout=PATIENT)
    leader, replica = fence.Cuts(t), fence.Cuts(t)
    watch, log = takeover.Watch(), op.log().skip()
    since = lab.boot_ns()
    # In this order: what the leader has seen there last was received.
    leader.pod(op.NS, lead, "both", [ip], fence.MYSQL_PORT)
    replica.site(g, old, "both", [g.address(s) for s in g.sites if s != old],
                 fence.MYSQL_PORT)
    wait("ObserverIsolated", 20, lambda: g.blocked("ObserverIsolated"),
         g.short)
    # It has to have led for a minute, too.
    took = wait("the other operator leads", 120, watch.first, op.state)
    said = [r for r in log.new_records() if r.get("msg") in (
        "handing over", "giving the Lease up", "leadership lost",
        "leadership acquired")]
    for r in said:
        t.fact("%s %s: %s" % (r["time"], r.get("fg", ""), r["msg"]))
    new_lead = wait("its Lease", 10, lambda: led_by_other(lead), op.state)
    wait("no block any more", 20,
         lambda: not g.blocked("ObserverIsolated"), g.short)
    fence.not_promoted(g, old, 2 * fence.LEASE)
    if not g.events("LeaderHandsOver"):
        raise Failure("no Event tells of it: %s" % [
            e["reason"] for e in g.events()])
    holds("the other operator goes on leading", 20,
          lambda: led_by_other(lead) == new_lead)
    t.ok("handed over %.1f s after the cut, longest gap %.2f s"
         % ((took - since) / 1e9, o.calm(since)))
    replica.heal()
    fence.whole(g)
    t.hold(g, old)
    g.kill9(old)
    new = fence.promoted(g, old)
    o.wait_acked(30, "writes at the new site")
    leader.heal()
    up_again(g, old)
    f = fence.judged(t, g, o, old, new)
    op.wait_settled()
    t.ok("and failed over by that one: " + fence.described(f))


@test("takeover-with-primary", alone=True, full=True, order=78)
def with_primary(t):
    """The leader and the primary die at one moment; the kubelet's word is
    there for the other operator."""
    g = t.ready()
    old = g.active()
    o = t.oracle(g)
    t.hold(g, old, create=True)
    takeover.with_primary(g, old)
    new = fence.promoted(g, old, 60)
    o.wait_acked(30)
    up_again(g, old)
    f = fence.judged(t, g, o, old, new)
    op.wait_settled()
    t.fact(fence.described(f))


@test("takeover-in-partition", alone=True, full=True, order=79)
def in_partition(t):
    """The leader is cut off together with the primary's node: the other operator
    leads when the Lease has run out, and waits for the write lease then."""
    g = t.group(prefer="b")
    g.wait_ready()
    node = g.node("b")
    op.place(node, lab.NODES[-1])
    t.finally_(op.place, lab.NODES[0], lab.NODES[-1])
    op.lead_at(node)
    fence.whole(g)
    o = t.oracle(g)
    t.finally_(lambda: lab.fault("heal", node, check=False))
    lab.fault("partition", node)
    new = fence.promoted(g, "b", 90)
    o.wait_acked(30)
    holds("the old site's clients go on trying", 3,
          lambda: g.active() == new)
    lab.fault("heal", node)
    f = fence.judged(t, g, o, "b", new)
    t.fact(fence.described(f))
    op.place(lab.NODES[0], lab.NODES[-1])
    op.wait_settled()
    op.wait_leader()
