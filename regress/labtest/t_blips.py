"""What happens every week must stop no write: a fence answers each one with an
error, so the longest gap stays what a busy machine needs. Fast profile, which is
the least patient one that is allowed."""
import time

import api
import bloodraven as op
import fence
import lab
from api import Failure, holds, wait
from oracle import PATIENT
from runner import test

OUTAGE = 30


def after(t, g, o, what, since):
    """The group is whole again, and nobody noticed."""
    fence.whole(g)
    if g.events("FailoverExecuted"):
        raise Failure("%s: it failed over" % what)
    try:
        gap = o.calm(since)
    except Failure as x:
        raise Failure("%s: %s" % (what, x)) from None
    t.ok("%s: no write stopped, longest gap %.2f s" % (what, gap))


@test("blip-sidecar", order=50, sites=4)
def blip_sidecar(t):
    """Killed, at the active site and at its voter, at the default lease: a
    kubelet needs one to three seconds for its restart, which the shortest
    lease that is allowed need not outlast. And stopped for a second, at that
    one."""
    default, fast = t.group("sidecar-default", fast=False), t.group(
        "sidecar-fast")
    for g in (default, fast):
        g.wait_ready()
    for g, kill in ((default, True), (fast, False)):
        fence.whole(g)
        o = t.oracle(g, timeout=PATIENT)
        active = g.active()
        for site in (active, g.other(active)):
            since = lab.boot_ns()
            (sidecar_killed if kill else sidecar_stopped)(t, g, site)
            after(t, g, o, "sidecar of %s %s" % (
                "the active site" if site == active else "the other site",
                "restarted" if kill else "stopped for a second"), since)
        o.stop()
        o.blame(o.judge(active))


def sidecar_killed(t, g, site):
    n = g.restarts(site, fence.SIDECAR)
    g.kill9(site, fence.SIDECAR)
    wait("the sidecar is back", 60, lambda: g.restarts(
        site, fence.SIDECAR) > n and lab.container(
            g.pod(site), fence.SIDECAR).get("ready"))
    holds("for a while", fence.LEASE + 1, lambda: True)


def sidecar_stopped(t, g, site):
    # From the signal on: a lease has less than a second more to spare.
    end = time.monotonic() + 1
    c = fence.StoppedContainer(t, g, site, fence.SIDECAR)
    holds("stopped for a second", end - time.monotonic(), lambda: True)
    c.go()
    holds("for a lease", fence.LEASE, lambda: True)


@test("blip-peer", full=True, order=51)
def blip_peer(t):
    """The other site's Pod: evicted, then gone and held down."""
    g = t.ready()
    o = t.oracle(g, timeout=PATIENT)
    active = g.active()
    other = g.other(active)
    since = lab.boot_ns()
    old = g.pod(other)
    wait("the eviction is granted", 30,
         lambda: api.evict(g.ns, old["metadata"]["name"]))
    fence.wait_pod(g, other, old)
    after(t, g, o, "the other site's Pod evicted", since)
    since = lab.boot_ns()
    for name in (fence.GUARD, fence.SIDECAR):
        t.finally_(g.release, other, name)
        g.hold(other, name=name)
        g.kill9(other, name)
    fence.not_promoted(g, active, 2 * fence.LEASE)
    o.calm(since)
    for name in (fence.GUARD, fence.SIDECAR):
        g.release(other, name)
    fence.new_pod(g, other)
    after(t, g, o, "the other site gone", since)
    o.stop()
    o.blame(o.judge(active))


@test("blip-api", alone=True, full=True, order=73)
def blip_api(t):
    """The API server away for 30 s: the operator loses its Lease and renews
    nobody; the peer alone suffices."""
    g = t.ready()
    o = t.oracle(g, timeout=PATIENT)
    active = g.active()
    t.finally_(lambda: lab.fault("api-up", check=False))
    for fault in ("api-down", "api-freeze"):
        since, tail = lab.boot_ns(), op.Tail()
        lab.fault(fault)
        holds("the API server is away", OUTAGE if fault == "api-down" else 15,
              lambda: True)
        lab.fault("api-up")
        # The Lease has the name of before until then.
        tail.wait("an operator leads again", 60, "became leader")
        after(t, g, o, fault, since)
    o.stop()
    o.blame(o.judge(active))


@test("blip-operators", alone=True, full=True, order=74)
def blip_operators(t):
    """Both operators killed; both gone for longer than a lease."""
    g = t.ready()
    o = t.oracle(g, timeout=PATIENT)
    active = g.active()
    since, tail = lab.boot_ns(), op.Tail()
    op.kill()
    tail.wait("an operator leads again", 60, "became leader")
    op.wait_settled()
    holds("for a lease", fence.LEASE, lambda: True)
    after(t, g, o, "operators killed", since)
    n = op.deployment()["spec"]["replicas"]
    t.finally_(op.scale, n)
    since = lab.boot_ns()
    op.scale(0)
    wait("no operator", 60, lambda: not api.items("pods", op.NS), op.state)
    holds("for three leases", 3 * fence.LEASE, lambda: True)
    o.calm(since)
    op.scale(n)
    op.wait_settled()
    op.wait_leader()
    after(t, g, o, "no operator for a while", since)
    o.stop()
    o.blame(o.judge(active))


@test("blip-slow", alone=True, full=True, order=75)
def blip_slow(t):
    """Each packet between nodes 80 ms late, each way."""
    g = t.ready()
    o = t.oracle(g, timeout=PATIENT)
    active = g.active()
    since = lab.boot_ns()
    for n in lab.NODES:
        t.finally_(lambda n=n: lab.fault("undelay", n, check=False))
    for n in lab.NODES:
        lab.fault("delay", n, "80")
    fence.not_promoted(g, active, 15)
    o.calm(since)
    for n in lab.NODES:
        lab.fault("undelay", n)
    after(t, g, o, "slow network", since)
    o.stop()
    o.blame(o.judge(active))


@test("blip-node", alone=True, full=True, order=76)
def blip_node(t):
    """The other site's node without power, and back."""
    g = t.group(prefer="b")
    g.wait_ready()
    active = g.active()
    victim = g.node(g.other(active))
    op.lead_at(lab.NODES[-1])
    if victim == lab.NODES[-1] or g.node(active) == victim:
        raise Failure("the other site is on %s" % victim)
    o = t.oracle(g, timeout=PATIENT)
    since = lab.boot_ns()
    t.finally_(lambda: lab.fault("node-on", victim, check=False,
                                 timeout=180))
    lab.fault("node-off", victim)
    fence.not_promoted(g, active, 4 * fence.LEASE)
    o.calm(since)
    lab.fault("node-on", victim, timeout=180)
    after(t, g, o, "the other site's node off", since)
    o.stop()
    o.blame(o.judge(active))
    op.wait_settled()
