"""One failover or restart, measured; shared by the demo and the bench."""
import fence
import lab
from api import Failure, wait


def decision_ns(tail):
    """When the operator, having its proofs, decided (boot ns)."""
    r = tail.find(lambda r: r.get("msg") == "initiating failover")
    return lab.wall_to_boot(lab.parse_time(r["time"])) if r else None


def kill_and_hold(g, active):
    """The guard, and mysqld with it. Returns when (boot ns)."""
    cid = g.container_id(active)
    g.hold(active)
    t = lab.boot_ns()
    lab.kill9(cid)
    return t


def fail_over(g, o, tail):
    """The guard of the active site killed, mysqld with it, and held down, until
    the other site is active and takes writes. Returns (old, new, kill time, decision time)."""
    old = g.active()
    new = g.other(old)
    killed = kill_and_hold(g, old)
    wait("failover", 90, lambda: g.active() == new, g.short)
    o.wait_acked(30)
    return old, new, killed, decision_ns(tail)


def up_again(g, site):
    """In a new Pod: for the old one its kubelet has a long back-off by now."""
    g.release(site)
    fence.new_pod(g, site)


def rejoin(g, o, old, new):
    """The old site is let up again; the findings, wholly judged."""
    up_again(g, old)
    how = g.wait_healthy_follower(old)
    o.stop()
    f = o.judge(new, old, new, old_table=old, divergent=g.divergent(old))
    f["oldSite"] = how
    return f


def restart_in_place(g, o):
    """mysqld killed, and started again by its guard."""
    active = g.active()
    g.kill_server(active)
    o.wait_acked(60)
    wait("active again", 30, lambda: g.active() == active, g.short)
    o.stop()
    f = o.judge(active)
    if g.active() != active:
        raise Failure("a restart ended in a failover")
    return f


def quantiles(v):
    """min, p50, p90, max: nearest rank, so that each is one that was seen."""
    v = sorted(v)
    if not v:
        return None

    def at(q):
        return round(v[max(0, -(-int(q * len(v)) // 100) - 1)], 3)
    return {"min": round(v[0], 3), "p50": at(50), "p90": at(90),
            "max": round(v[-1], 3)}
