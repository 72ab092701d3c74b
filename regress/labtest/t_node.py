"""A whole node ends or is cut off. The lease of its server runs out, and the
other site is promoted without a human; where the voter's promise is missing, too,
it is not, and says why, until a human has spoken. Several groups share each
fault."""
import time

import api
import bloodraven as op
import fence
import lab
from api import Failure, holds, wait
from group import DEFAULT_LEASE
from runner import test

VICTIM, OPERATORS = "node2", ("node1", "node3")


def fast_groups(t, *names):
    """Groups whose active site is on the node that will be lost."""
    # Patient enough that a restart is not a failover, on a slow machine too.
    patient = {"failureThreshold": 20}
    gs = [t.group(n, prefer="b", spec=patient if n.endswith("-again") else {})
          for n in names]
    for g in gs:
        g.wait_ready()
        if g.active() != "b" or g.node("b") != VICTIM:
            raise Failure("%s: active %s on %s" % (
                g.name, g.active(), g.node(g.active())))
    return gs


def three_nodes(t):
    if len(lab.NODES) < 3:
        raise Failure("needs a lab of three nodes: operators must survive")
    op.wait_settled()
    where = {p["spec"]["nodeName"] for p in op.pods()}
    if where != set(OPERATORS):
        raise Failure("operators run on %s" % where)


def no_proof(t, g, tail, seconds=40):
    """PromotionBlocked/NoProof in condition, Event and log."""
    wait("PromotionBlocked/NoProof", seconds, lambda: g.blocked("NoProof"),
         g.short)
    wait("Event PromotionBlocked", 20, lambda: [
        e for e in g.events("PromotionBlocked")], lambda: [
        (e["reason"], e["message"]) for e in g.events()])
    tail.wait("NoProof", 10, "NoProof", "promotion blocked")
    c = g.blocked("NoProof")
    if c and "b" not in c.get("message", ""):
        raise Failure("the condition does not name the site: %s" % c)
    return time.monotonic()


def nothing_promoted(g):
    return g.active() in ("b", "") and g.read_only("a")


@test("node-off", alone=True, order=60)
def node_off(t):
    three_nodes(t)
    cut, again, human = fast_groups(t, "off-plain", "off-again", "off-human")
    # Crash and re-grant first: that "terminated" is of an ended epoch and
    # must not count when the node goes afterwards.
    oracles = {g: t.oracle(g) for g in (cut, again, human)}
    epoch = again.epoch()
    again.kill9("b")
    wait("granted again", 60, lambda: again.epoch() > epoch and
         again.active() == "b", again.short)
    oracles[again].wait_acked(30)
    refuse_early(t, human)
    tails = {g: op.Tail(g.fg) for g in oracles}
    t.finally_(lambda: lab.fault("node-on", VICTIM, check=False, timeout=180))
    # Nobody can ask this group's only voter: the promise is missing.
    voter = fence.Cuts(t).site(human, "a", "both", [], fence.LINK_PORT)
    held = {g: g.epoch() for g in (cut, again)}
    off = lab.boot_ns()
    lab.fault("node-off", VICTIM)
    t_off = time.monotonic()
    for g in (cut, again):
        fence.promoted(g, "b")
        oracles[g].wait_acked(30)
        t.fact("%s: promoted within %.1f s" % (g.name,
                                               time.monotonic() - t_off))
    t.ok("promoted without a human")
    for g in held:
        ended_by_lease(tails[g], "b", held[g], off)
    t.ok("crash, re-grant, node off: the old terminated does not count")
    no_proof(t, human, tails[human])
    t.ok("without the voter's promise: NoProof in condition, Event and log")
    # NotReady after 16 s: no proof either.
    wait("the node is NotReady", 60, lambda: node_ready(VICTIM) is False)
    holds("no promotion", 2, lambda: nothing_promoted(human))
    if not human.blocked("NoProof"):
        raise Failure("no longer blocked: " + human.short())
    t.ok("still blocked when the node is NotReady")
    by_hand(t, human, t_off, voter)
    oracles[human].wait_acked(30, "writes after assert-dead")
    t.ok("assert-dead is refused while seen lately, or not current; accepted "
         "after")
    lab.fault("node-on", VICTIM, timeout=180)
    for g in (cut, again, human):
        f = fence.judged(t, g, oracles[g], "b", "a")
        t.fact("%s: %s" % (g.name, fence.described(f)))
    t.ok("the node's return, without overlap")


def ended_by_lease(tail, site, epoch, since):
    """The site's newest epoch ended after that moment, by its lease alone: not by
    the kubelet's word of an earlier container, nor by any other."""
    def ours(r):
        return r.get("msg") == "epoch ended" and r.get("site") == site and \
            r["epoch"] >= epoch
    wait("the end of epoch %d of %s in the log" % (epoch, site), 10,
         lambda: tail.find(ours), lambda: tail.seen[-12:])
    for r in filter(ours, tail.seen):
        if r["proof"] != "lease run out" or fence.boot_of(r) <= since:
            raise Failure("not ended by the lease: %s" % r)


def node_ready(name):
    n = api.get("nodes", None, name)
    for c in n["status"]["conditions"]:
        if c["type"] == "Ready":
            return c["status"] == "True"
    return None


def epoch_of(g, site):
    for e in g.status()["authority"]["unended"]:
        if e["site"] == site:
            return e
    raise Failure("no unended epoch of %s" % site)


def assert_dead(g, site, uid, epoch):
    g.annotate("assert-dead", "%s/%s/%s" % (site, uid, epoch))


def answered(g):
    return "bloodraven.shipstream.io/assert-dead" not in (
        g.cr()["metadata"].get("annotations") or {})


def count(g, reason):
    """Of Events, which are folded together when they repeat."""
    return sum(e.get("count") or 1 for e in g.events(reason))


def refused(g, site, uid, epoch, why):
    before = count(g, "AssertDeadRefused")
    assert_dead(g, site, uid, epoch)
    wait("assert-dead refused (%s)" % why, 30, lambda: count(
        g, "AssertDeadRefused") > before and answered(g),
        lambda: [(e["reason"], e["message"]) for e in g.events()])


def refuse_early(t, g):
    """The server runs: whoever says that it is dead is wrong."""
    e = epoch_of(g, "b")
    refused(g, "b", e["podUID"], e["epoch"], "seen lately")
    refused(g, "b", e["podUID"], e["epoch"] + 7, "another epoch")
    refused(g, "b", "0" * 8 + e["podUID"][8:], e["epoch"], "another Pod")


def by_hand(t, g, t_off, voter):
    e = epoch_of(g, "b")
    refused(g, "b", e["podUID"], e["epoch"] + 1, "another epoch")
    # A minute must have passed without anybody having seen the process.
    wait("a quiet minute", 90, lambda: time.monotonic() - t_off > 66)
    before = count(g, "AssertDeadAccepted")
    assert_dead(g, "b", e["podUID"], e["epoch"])
    wait("assert-dead accepted", 60, lambda: count(
        g, "AssertDeadAccepted") > before, lambda: (g.short(), [
            (x["reason"], x["message"]) for x in g.events()][-4:]))
    # The new site's own guard gets its lease over the same port.
    voter.heal()
    fence.promoted(g, "b", 60)


@test("partition", alone=True, full=True, order=61)
def partition(t):
    """The node's cable: its own clients go on writing until the lease is over,
    and the other site is promoted after that."""
    three_nodes(t)
    fast, = fast_groups(t, "part")
    t.finally_(lambda: lab.fault("heal", VICTIM, check=False))
    _, _, f = fence.survives(
        t, fast, lambda: lab.fault("partition", VICTIM),
        lambda: lab.fault("heal", VICTIM))
    t.fact(fence.described(f))


@test("partition-oneway", alone=True, full=True, order=61)
def partition_oneway(t):
    """Its cable carries packets in one direction only."""
    three_nodes(t)
    for d in fence.DIRECTIONS:
        g, = fast_groups(t, "part-" + d)
        cuts = fence.Cuts(t)
        _, _, f = fence.survives(t, g, lambda: cuts.node(VICTIM, d),
                                 cuts.heal)
        t.ok("node cut off (%s): %s" % (d, fence.described(f)))
        wait("the node is Ready", 60, lambda: node_ready(VICTIM))


@test("partition-default", alone=True, full=True, order=62)
def partition_default(t):
    """The same with the default lease of 20 s."""
    three_nodes(t)
    g = t.group("part-default", prefer="b", fast=False)
    g.wait_ready()
    t.finally_(lambda: lab.fault("heal", VICTIM, check=False))
    _, _, f = fence.survives(
        t, g, lambda: lab.fault("partition", VICTIM),
        lambda: lab.fault("heal", VICTIM), seconds=60)
    t.fact(fence.described(f))


@test("control", alone=True, full=True, order=90)
def control(t):
    """The same partition with the proof gate off: if the oracle found nothing
    here, what it finds elsewhere would mean nothing."""
    three_nodes(t)
    # Its guard fences by itself when the lease is over: a long one.
    g = t.group("control", prefer="b", spec={"sidecar": DEFAULT_LEASE})
    g.wait_ready()
    t.finally_(op.set_image, op.IMAGE)
    op.set_image(op.UNSAFE_IMAGE)
    op.wait_settled(op.UNSAFE_IMAGE)
    op.wait_leader()
    wait("the test build observes the group", 60,
         lambda: g.active() == "b" and g.is_true("Ready"), g.short)
    o = t.oracle(g)
    t.finally_(lambda: lab.fault("heal", VICTIM, check=False))
    lab.fault("partition", VICTIM)
    wait("promotion without proof", 60, lambda: not g.read_only("a"),
         g.short)
    o.wait_acked(30, "writes at the new site")
    holds("both go on", 2, lambda: True)
    o.stop()
    lab.fault("heal", VICTIM)
    f = o.judge("a", "b", "a")
    if not f["overlappingWrites"]:
        raise Failure("the control shows no overlap: %s" % f)
    t.fact("%d overlapping writes" % f["overlappingWrites"])
    op.set_image(op.IMAGE)
    op.wait_settled(op.IMAGE)
