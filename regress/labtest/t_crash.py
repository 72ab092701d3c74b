"""Containers and Pods end in every way that leaves the node alone; t_fence.py has
what happens to single processes in them."""
import api
import bloodraven as op
import lab
from api import Failure, wait
from runner import test


def finish(t, g, o, old):
    """Waits until the old site is back, and judges whatever happened to it."""
    wait("every site has a Pod", 150, lambda: all(
        lab.container(g.pod(s) or {}, "mysql").get("ready")
        for s in g.sites), g.short)

    def writable():
        # The status may still be of before a failover.
        a = g.active()
        return a if a and not g.read_only(a) else None
    active = wait("an active site", 60, writable, g.short)
    if active == old:
        wait("the group is whole again", 120, lambda: g.is_true("Ready"),
             g.short)
        o.stop()
        f = o.blame(o.judge(active))
    else:
        how = g.wait_healthy_follower(old)
        o.stop()
        f = o.blame(o.judge(active, old, active, old_table=old,
                            divergent=g.divergent(old)))
        if f["ackedWritesLost"] == 0 and how == "blocked":
            extra = f["unknown"]
            t.fact("blocked by %d unanswered writes" % extra)
        t.fact("old site %s" % how)
    t.fact("gap %.2f s" % f["writeGapSeconds"])
    t.fact("%d acknowledged, %d lost" % (f["acked"], f["ackedWritesLost"]))
    return f


@test("restart", order=20)
def restart(t):
    """Guard and mysqld killed, restarted by the kubelet: the same site is granted
    again, if it is back before the threshold; here, however slow the machine."""
    g = t.ready(fast=False, spec={"failureThreshold": 100})
    active = g.active()
    epoch = g.status()["authority"]["epoch"]
    o = t.oracle(g)
    g.kill9(active)
    o.wait_acked(120, "writes after the restart")
    if g.active() not in (active, ""):
        raise Failure("failed over to " + g.active())
    wait("the same site active", 20, lambda: g.active() == active, g.short)
    f = finish(t, g, o, active)
    if f["ackedWritesLost"]:
        raise Failure("%d writes lost by a restart" % f["ackedWritesLost"])
    if g.status()["authority"]["epoch"] <= epoch:
        raise Failure("granted again without a new epoch")
    if g.events("FailoverExecuted"):
        raise Failure("Event FailoverExecuted")


@test("held-down", order=21)
def held_down(t):
    """Killed and held down: the other site is promoted."""
    g = t.ready()
    active = g.active()
    other = g.other(active)
    o = t.oracle(g)
    tail = op.Tail(g.fg)
    t.hold(g, active)
    g.kill9(active)
    wait("failover", 60, lambda: g.active() == other, g.short)
    o.wait_acked(60)
    tail.wait("failover complete", 30, "failover complete")
    wait("-primary leads to the new site", 20, lambda: [
        p["metadata"]["labels"].get("shipstream.io/role")
        for p in g.pods(other)] == ["primary"], g.short)
    wait("Event FailoverExecuted", 20, lambda: g.events("FailoverExecuted"))
    g.release(active)
    finish(t, g, o, active)


@test("pod-deleted", order=22)
def pod_deleted(t):
    g = t.ready()
    active = g.active()
    o = t.oracle(g)
    pod = g.pod(active)["metadata"]["name"]
    api.delete("pods", g.ns, pod)
    wait("the Pod is gone", 120, lambda: api.get(
        "pods", g.ns, pod, missing=True) is None,
        lambda: api.get("pods", g.ns, pod)["metadata"])
    o.wait_acked(90, "writes after the Pod was deleted")
    finish(t, g, o, active)


@test("pod-killed", full=True, order=23)
def pod_killed(t):
    """Deleted with the shortest grace while it is written to."""
    g = t.ready()
    active = g.active()
    o = t.oracle(g)
    pod = g.pod(active)["metadata"]["name"]
    api.delete("pods", g.ns, pod, 1)
    wait("the Pod is gone", 60, lambda: api.get(
        "pods", g.ns, pod, missing=True) is None,
        lambda: api.get("pods", g.ns, pod)["metadata"])
    o.wait_acked(90, "writes after the Pod was deleted")
    finish(t, g, o, active)


@test("pod-evicted", full=True, order=24)
def pod_evicted(t):
    """Evicted as by a drain, and back: another Pod, another address, the same
    volume, which in the lab keeps it on its node."""
    g = t.ready()
    active = g.active()
    o = t.oracle(g)
    old = g.pod(active)
    node = old["spec"]["nodeName"]
    wait("the eviction is granted", 30,
         lambda: api.evict(g.ns, old["metadata"]["name"]))
    wait("a new Pod at the site", 120, lambda: (g.pod(active) or old)[
        "metadata"]["uid"] != old["metadata"]["uid"], g.short)
    wait("it runs", 120, lambda: lab.container(
        g.pod(active), "mysql").get("ready"), g.short)
    if g.pod(active)["spec"]["nodeName"] != node:
        raise Failure("on another node than its volume")
    o.wait_acked(60)
    finish(t, g, o, active)


@test("replica-killed", full=True, order=25)
def replica_killed(t):
    g = t.ready()
    active = g.active()
    other = g.other(active)
    o = t.oracle(g)
    t.hold(g, other)
    g.kill9(other)
    wait("the loss is told", 30, lambda: g.is_true("Degraded"), g.short)
    api.holds("no failover", 4, lambda: g.active() == active)
    g.release(other)
    wait("whole again", 120, lambda: g.is_true("Ready"), g.short)
    f = finish(t, g, o, active)
    if f["writeGapSeconds"] > 1:
        raise Failure("writes stopped for %.2f s" % f["writeGapSeconds"])
    if f["ackedWritesLost"] or g.events("FailoverExecuted"):
        raise Failure("a replica's loss did harm: %s" % f)


@test("persisted", full=True, order=26)
def persisted(t):
    """SET PERSIST read_only = OFF by a human beats my.cnf at the next start: it
    is found and taken away, and such a server writes only by a grant."""
    g = t.ready()
    active = g.active()
    other = g.other(active)
    g.sql(other, "SET PERSIST super_read_only = OFF; SET GLOBAL "
          "super_read_only = ON")
    wait("the persisted copy is gone", 30, lambda: g.sql(
        other, "SELECT COUNT(*) FROM performance_schema.persisted_variables "
        "WHERE variable_name IN ('read_only', 'super_read_only')")
        .strip() == "0")
    wait("the other site is read-only", 20, lambda: g.read_only(other))
    if g.active() != active:
        raise Failure("the active site changed")
