"""The group changes while it is written to: leaseTimeout, sites, the Lease object,
the group itself; and three sites, of which two are lost."""
import api
import bloodraven as op
import fence
import lab
from api import Failure, wait
from failover import up_again
from oracle import PATIENT
from runner import test


@test("lease-timeout", order=52)
def lease_timeout(t):
    """leaseTimeout changed on a live group, up and down: a successor epoch for
    the same process each time, no write stopped."""
    g = t.ready()
    o = t.oracle(g)
    active = g.active()
    start = g.epoch()
    for lease, check in (("20s", "5s"), ("3s", "1s")):
        since, epoch = lab.boot_ns(), g.epoch()
        g.patch(sidecar={"leaseTimeout": lease, "peerCheckInterval": check})
        wait("an epoch with leaseTimeout " + lease, 30,
             lambda: g.epoch() > epoch, g.short)
        fence.not_promoted(g, active, 4)
        gap = o.calm(since)
        t.ok("leaseTimeout %s: epoch %d to %d, longest gap %.2f s" % (
            lease, epoch, g.epoch(), gap))
    # What is in force is the new one: cut off, it is over within that.
    cuts = fence.Cuts(t)
    o.stop()
    o.blame(o.judge(active))
    _, _, f = fence.survives(t, g, lambda: cuts.site(
        g, active, "both", fence.far_nodes(g, active)), cuts.heal)
    t.fact("epochs from %d; %s" % (start, fence.described(f)))


@test("lease-object", full=True, order=53)
def lease_object(t):
    """The operators' Lease deleted, twice: the leader makes it again, nobody is
    fenced, and epochs do not go backwards."""
    g = t.ready()
    o = t.oracle(g)
    active = g.active()
    for _ in range(2):
        since, epoch = lab.boot_ns(), g.epoch()
        api.delete("leases", op.NS, op.LEASE)
        wait("the Lease is there again", 60, op.leader, op.state)
        fence.not_promoted(g, active, 2 * fence.LEASE)
        gap = o.calm(since)
        if g.epoch() < epoch:
            raise Failure("epoch %d after %d" % (g.epoch(), epoch))
        t.log("longest gap %.2f s" % gap)
    o.stop()
    o.blame(o.judge(active))
    epoch = g.epoch()
    t.hold(g, active)
    g.kill9(active)
    fence.promoted(g, active)
    if g.epoch() <= epoch:
        raise Failure("promoted with epoch %d after %d" % (g.epoch(), epoch))


def kept(g, site):
    """Its volume is there and stays: nobody owns it, nobody deletes it."""
    m = api.get("persistentvolumeclaims", g.ns, g.claim(site))["metadata"]
    return not m.get("ownerReferences") and "deletionTimestamp" not in m


def left(g, site):
    """What a removed site should not have any more."""
    sel = {"shipstream.io/failover-group": g.name, "shipstream.io/site": site}
    return [o["metadata"]["name"] for kind in (
        "deployments", "pods", "services", "configmaps", "secrets")
        for o in api.items(kind, g.ns, sel)]


def ids(g):
    return {s: g.sql(s, "SELECT @@server_id, @@server_uuid") for s in g.sites}


def starts(g):
    return {s: g.pod(s)["metadata"]["uid"] for s in g.sites}


@test("recreated", order=54)
def recreated(t):
    """Deleted and made again on its old volumes: the record is empty, the
    voters remember. No epoch is used twice, no promise refuses for ever."""
    g = t.ready()
    old = g.active()
    o = t.oracle(g)
    o.stop()
    o.blame(o.judge(old))
    wait("the replica has it all", 30, g.caught_up)
    t.hold(g, old)
    g.kill9(old)
    fence.promoted(g, old)
    up_again(g, old)
    fence.whole(g)
    epoch = g.epoch()
    rows = int(g.sql(g.active(), "SELECT COUNT(*) FROM oracle.writes"))
    api.delete("mysqlfailovergroups", g.ns, g.name)
    wait("the group is gone", 60, lambda: api.get(
        "mysqlfailovergroups", g.ns, g.name, missing=True) is None)
    wait("its Pods are gone", 120, lambda: not [
        p for s in g.sites for p in g.pods(s)])
    if not all(kept(g, s) for s in g.sites):
        raise Failure("volumes went with the group")
    api.create("mysqlfailovergroups", g.ns, g.manifest())
    fence.whole(g)
    if g.epoch() <= epoch:
        raise Failure("epoch %d, %d was used before" % (g.epoch(), epoch))
    now = int(g.sql(g.active(), "SELECT COUNT(*) FROM oracle.writes"))
    if now < rows:
        raise Failure("%d rows of %d" % (now, rows))
    t.ok("made again: epoch %d after %d, %d rows" % (g.epoch(), epoch, now))
    cuts = fence.Cuts(t)
    old = g.active()
    _, _, f = fence.survives(t, g, lambda: cuts.site(
        g, old, "both", fence.far_nodes(g, old)), cuts.heal)
    t.fact("and cut off: " + fence.described(f))


@test("sites-changed", full=True, order=55, sites=3)
def sites_changed(t):
    """A site joins and leaves under load: its sidecar becomes a voter, and stops
    being one."""
    g = t.ready()
    o = t.oracle(g, timeout=PATIENT)
    active = g.active()
    since = lab.boot_ns()
    two = list(g.sites)
    g.sites = two + ["c"]
    g.patch(sites=[g.site_spec(s) for s in g.sites])
    fence.whole(g, 240)
    fence.not_promoted(g, active, 2 * fence.LEASE)
    t.ok("a site joined, longest gap %.2f s" % o.calm(since))
    third = ids(g)["c"]
    since = lab.boot_ns()
    g.sites = two
    g.patch(sites=[g.site_spec(s) for s in g.sites])
    wait("the site is gone", 60, lambda: len(
        g.status().get("sites") or []) == 2, g.short)
    wait("and all that it had", 120, lambda: not left(g, "c"),
         lambda: left(g, "c"))
    if not kept(g, "c"):
        raise Failure("the volume of the removed site went with it")
    fence.not_promoted(g, active, 2 * fence.LEASE)
    fence.whole(g)
    t.ok("and left, longest gap %.2f s" % o.calm(since))
    # It comes back on its volume, and first in the list: nobody restarts, and
    # every server is who it was.
    since, was, pods = lab.boot_ns(), ids(g), starts(g)
    g.sites = ["c"] + two[::-1]
    g.patch(sites=[g.site_spec(s) for s in g.sites])
    fence.whole(g, 240)
    now = ids(g)
    if {s: now[s] for s in two} != was or third != now["c"]:
        raise Failure("%s and %s became %s" % (was, third, now))
    if {s: starts(g)[s] for s in two} != pods:
        raise Failure("re-ordering the sites restarted one")
    fence.not_promoted(g, active, 2 * fence.LEASE)
    t.ok("and came back, re-ordered, longest gap %.2f s" % o.calm(since))
    o.stop()
    o.blame(o.judge(active))


@test("three-sites", order=56, sites=3)
def three_sites(t):
    """Two peers down: writes go on. The primary and one peer dead: the third is
    promoted."""
    g = t.ready(sites=("a", "b", "c"))
    fence.whole(g)
    active = g.active()
    one, two = g.others(active)
    o = t.oracle(g)
    since = lab.boot_ns()
    cuts = fence.Cuts(t)
    for s in (one, two):
        cuts.site(g, s, "both")
    fence.not_promoted(g, active, 3 * fence.LEASE)
    t.ok("two peers down, longest gap %.2f s" % o.calm(since))
    cuts.heal()
    fence.whole(g)
    o.calm(since)
    o.stop()
    o.blame(o.judge(active))
    o = t.oracle(g)
    t.finally_(g.release, one)
    for name in (fence.GUARD, fence.SIDECAR):
        t.finally_(g.release, one, name)
        g.hold(one, name=name)
    g.kill9(one)
    g.kill9(one, fence.SIDECAR)
    cuts.site(g, active, "both", fence.far_nodes(g, active))
    new = fence.promoted(g, active, 60)
    if new != two:
        raise Failure("%s was promoted" % new)
    o.wait_acked(30)
    cuts.heal()
    for name in (fence.GUARD, fence.SIDECAR):
        g.release(one, name)
    fence.new_pod(g, one)
    f = fence.judged(t, g, o, active, new)
    t.ok("primary and one peer lost: " + fence.described(f))


def voters(g):
    """How many the newest epoch has."""
    auth = g.status()["authority"]
    return max([len(e["voters"]) for e in auth["unended"]
                if e["epoch"] == auth["epoch"]] or [0])


@test("three-sites-peers", full=True, order=56, sites=3)
def three_sites_peers(t):
    """Of three voters two must renew, and the primary reaches neither of the
    sites, which the operators do: an epoch leaves out as many as must be, for
    the operators' yes to be enough, before the lease is over, and takes them in
    again. At the default lease, which leaves the time to see it."""
    g = t.ready(sites=("a", "b", "c"), fast=False)
    fence.whole(g)
    active = g.active()
    o = t.oracle(g, timeout=PATIENT)
    for d in fence.DIRECTIONS:
        wait("all three vote", 120, lambda: voters(g) == 3, g.short)
        since, epoch = lab.boot_ns(), g.epoch()
        cuts = fence.Cuts(t)
        cuts.site(g, active, d, [g.address(s) for s in g.others(active)],
                  fence.LINK_PORT)
        wait("an epoch of fewer voters", 25, lambda: voters(g) < 3, g.short)
        # The lease of before would be over by then.
        fence.not_promoted(g, active, 30)
        o.calm(since)
        cuts.heal()
        fence.whole(g)
        t.ok("the other sites cut from the primary (%s): epoch %d to %d, "
             "longest gap %.2f s" % (d, epoch, g.epoch(), o.calm(since)))
    o.stop()
    o.blame(o.judge(active))
