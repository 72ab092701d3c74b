"""The operator and its API server fail while a promotion is under way."""
import os
import signal
import threading
import time

import api
import bloodraven as op
import lab
from api import Failure, wait
from failover import up_again
from runner import test


def sent(kind):
    return lambda r: r.get("msg") == "sql action sent" and \
        r.get("kind") == kind


def done(kind):
    return lambda r: r.get("msg") == "sql action" and r.get("kind") == kind


def said(msg):
    return lambda r: r.get("msg") == msg


# In the order in which a promotion goes through them.
STEPS = (
    ("the decision", said("initiating failover")),
    ("the receiver's stop", done("stop-receiver")),
    ("the record's write", said("record write")),
    ("the grant's sending", sent("grant")),
    ("the end", said("failover complete")),
)
MORE_STEPS = (
    ("the receiver's stop is asked for", sent("stop-receiver")),
    ("the replica's reset", done("reset-replica")),
    ("the record's answer", said("promotion record written")),
    ("the epoch", said("epoch minted")),
    ("the grant's answer", done("grant")),
)


def kill_at(tail, match, pids, hit):
    """Spins, with the processes known before: a whole promotion takes less
    than a tenth of a second."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        r = tail.find(match)
        if r:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            hit.append((time.time_ns() - lab.parse_time(r["time"])) / 1e6)
            return
        time.sleep(0.001)


def promote_and_kill(t, g, what, match):
    active = g.active()
    other = g.other(active)
    o = t.oracle(g)
    op.wait_leader()
    pids = [lab.pids_of(c)[0] for c in op.container_ids()]
    pods = [p["metadata"]["name"] for p in op.pods()]
    hit = []
    tail = op.Tail(g.fg)
    th = threading.Thread(target=kill_at, args=(tail, match, pids, hit))
    th.start()
    # A word that the operator read but had not recorded when it died must be
    # there for its successor; what is lost with the next container is lost.
    t.hold(g, active, create=True)
    g.kill9(active)
    th.join()
    if not hit:
        raise Failure("the promotion never came to %s; it said %s" % (
            what, [r.get("msg") for r in tail.seen][-15:]))
    # Its kubelet would wait longer with each kill: a new Pod does not.
    for p in pods:
        api.delete("pods", op.NS, p, 1)
    try:
        o.wait_acked(50, "writes after the operator was killed at " + what)
    except Failure:
        # It took the kubelet's word with it, and the held-down container has
        # ended again since: nobody can prove anything any more. That is safe,
        # and a human's turn.
        if not g.blocked("NoProof") or not g.read_only(other):
            raise
        o.stop()
        t.ok("killed %.0f ms after %s: the only proof went with it, NoProof"
             % (hit[0], what))
        return
    up_again(g, active)
    o.wait_acked(150, "writes once the site is back")
    now = wait("an active site", 60, g.active, g.short)
    how = g.wait_healthy_follower(g.other(now))
    o.stop()
    f = o.blame(o.judge(now) if now == active else o.judge(
        now, active, now, old_table=active, divergent=g.divergent(active)))
    t.ok("killed %.0f ms after %s: writes after %.1f s at %s site, %d lost, "
         "the other is %s" % (
             hit[0], what, f["writeGapSeconds"],
             "the same" if now == active else "the other",
             f["ackedWritesLost"], how))


def kill_steps(t, prefix, steps):
    """One group a step, two more being made meanwhile: each promotion runs
    alone."""
    names = ["%s-%d" % (prefix, i) for i in range(len(steps))]
    made = [t.group(n) for n in names[:3]]
    op.renew()
    for i, (what, match) in enumerate(steps):
        g = made[i]
        g.wait_ready()
        promote_and_kill(t, g, what, match)
        if i + 3 < len(steps):
            made.append(t.group(names[i + 3]))
        api.delete("mysqlfailovergroups", g.ns, g.name)


@test("operator-killed", alone=True, full=True, order=70)
def operator_killed(t):
    kill_steps(t, "kill", STEPS)


@test("operator-killed-more", alone=True, full=True, order=75)
def operator_killed_more(t):
    kill_steps(t, "more", MORE_STEPS)


@test("operator-restart", alone=True, full=True, order=69)
def operator_restart(t):
    """Its death alone disturbs nobody; then it watches again."""
    g = t.ready()
    active = g.active()
    o = t.oracle(g)
    t0 = time.monotonic()
    op.kill()
    api.holds("the group stays", 2, lambda: g.active() == active)
    op.wait_settled()
    op.wait_leader()
    t.fact("leads again after %.1f s" % (time.monotonic() - t0))
    wait("Ready", 60, lambda: g.is_true("Ready"), g.short)
    o.stop()
    f = o.blame(o.judge(active))
    if f["writeGapSeconds"] > 1 or f["ackedWritesLost"]:
        raise Failure("the operator's death stopped writes: %s" % f)
    if g.events("FailoverExecuted"):
        raise Failure("it failed over")


@test("api-away", alone=True, full=True, order=71)
def api_away(t):
    """Gone before the primary dies: nothing is granted meanwhile. Gone in the
    middle of a promotion: it is finished or waits. Never two writers."""
    before, during, loop = t.ready("api-before", "api-during", "api-loop")
    away_before(t, before)
    away_during(t, during)
    away_loop(t, loop)


def away_before(t, g):
    """mysqld is killed and comes back while no record can be written: nobody
    grants anything, and the first to be heard of after it is the same site."""
    active = g.active()
    other = g.other(active)
    o = t.oracle(g)
    cid = g.container_id(active)
    ips = {s: g.pod(s)["status"]["podIP"] for s in g.sites}

    def granted(site):
        try:
            return g.mysql(ips[site], lab.NODES[-1], "root", g.root_password,
                           "SELECT @@read_only").strip() == "0"
        except Failure:
            return False

    t.finally_(lambda: lab.fault("api-up", check=False))
    lab.fault("api-down")
    lab.kill9(cid)
    api.holds("no site is granted", 10, lambda: not granted(active) and
              not granted(other))
    lab.fault("api-up")
    o.wait_acked(90, "writes once the API server is back")
    wait("whole again", 120, lambda: g.is_true("Ready"), g.short)
    now = g.active()
    o.stop()
    f = o.blame(o.judge(now) if now == active else o.judge(
        now, active, now, old_table=active, divergent=g.divergent(active)))
    t.ok("API server away before: nobody granted, then site %s again; gap "
         "%.1f s, %d lost" % (now, f["writeGapSeconds"],
                              f["ackedWritesLost"]))


def away_loop(t, g):
    """The kubelet goes on starting the server while nobody hears it: its word
    about the granted container may be gone. Then there is no proof, until the
    site itself is back."""
    active = g.active()
    o = t.oracle(g)
    cid = g.container_id(active)
    t.hold(g, active)
    lab.fault("api-down")
    lab.kill9(cid)
    api.holds("for a while", 12, lambda: True)
    lab.fault("api-up")
    how = wait("failover or NoProof", 90, lambda: (
        g.active() == g.other(active) and "failed over") or (
        g.blocked("NoProof") and "NoProof"), g.short)
    g.release(active)
    if how == "NoProof":
        wait("writes again, or still NoProof", 60, lambda: o.acks_since(
            lab.boot_ns() - 10**9) or g.site(active).get("state") ==
            "read-only", g.short)
        if g.blocked("NoProof"):
            o.stop()
            t.ok("API server away, crash loop meanwhile: NoProof, nobody "
                 "granted")
            return
        o.wait_acked(90, "writes once the site is back")
    now = wait("an active site", 30, g.active, g.short)
    back = g.wait_healthy_follower(g.other(now))
    o.stop()
    f = o.blame(o.judge(now) if now == active else o.judge(
        now, active, now, old_table=active, divergent=g.divergent(active)))
    t.ok("API server away, crash loop meanwhile: %s; then site %s, other site "
         "%s, %d lost" % (how, now, back, f["ackedWritesLost"]))


def away_during(t, g):
    active = g.active()
    other = g.other(active)
    o = t.oracle(g)
    tail = op.Tail(g.fg)
    t.hold(g, active)
    t.finally_(lambda: lab.fault("api-up", check=False))
    g.kill9(active)
    tail.wait("a promotion", 60, "initiating failover", interval=0.005)
    lab.fault("api-down")
    api.holds("for a while", 8, lambda: True)
    lab.fault("api-up")
    how = wait("failover or NoProof", 90, lambda: (
        g.active() == other and "failed over") or (
        g.blocked("NoProof") and "NoProof"), g.short)
    if how == "NoProof":
        # The kubelet's word was not yet recorded, and is gone by now.
        if not g.read_only(other):
            raise Failure("NoProof, and the other site is writable")
        o.stop()
        t.ok("API server away during: NoProof, nobody granted")
        return
    o.wait_acked(60)
    up_again(g, active)
    g.wait_healthy_follower(active)
    o.stop()
    f = o.blame(o.judge(other, active, other, old_table=active,
                        divergent=g.divergent(active)))
    t.ok("API server away during: gap %.1f s, %d lost"
         % (f["writeGapSeconds"], f["ackedWritesLost"]))


def dns_bindings():
    """What gives dns-writer its rights."""
    out = []
    for kind, ns in (("clusterrolebindings", None),
                     ("rolebindings", op.NS)):
        for b in api.items(kind, ns):
            if any("dns" in s.get("name", "")
                   for s in b.get("subjects") or []):
                out.append((kind, ns, b))
    return out


def strip(b):
    m = b["metadata"]
    return dict({k: v for k, v in b.items() if k != "metadata"},
                metadata={"name": m["name"],
                          "labels": m.get("labels") or {}})


def restore(bindings):
    for kind, ns, b in bindings:
        try:
            api.create(kind, ns, dict(
                strip(b), apiVersion="rbac.authorization.k8s.io/v1",
                kind={"clusterrolebindings": "ClusterRoleBinding",
                      "rolebindings": "RoleBinding"}[kind]))
        except api.ApiError as x:
            if x.status != 409:
                raise


@test("dns-denied", alone=True, full=True, order=72)
def dns_denied(t):
    """The promotion does not wait for DNS; DNS follows once it is allowed."""
    from t_bootstrap import dns_target
    g = t.ready()
    active = g.active()
    other = g.other(active)
    wait("DNS names the active site", 20,
         lambda: dns_target(g) == [g.lb[active]])
    bindings = dns_bindings()
    if not bindings:
        raise Failure("no binding of a dns-writer's account was found")
    o = t.oracle(g)
    tail = op.Tail(g.fg)
    t.finally_(restore, bindings)
    for kind, ns, b in bindings:
        api.delete(kind, ns, b["metadata"]["name"])
    t.hold(g, active)
    g.kill9(active)
    wait("failover", 60, lambda: g.active() == other, g.short)
    o.wait_acked(20)
    tail.wait("of the denial", 30, "DNS reconcile failed",
              "DNS flip failed after successful promotion")
    if dns_target(g) != [g.lb[active]]:
        raise Failure("DNS changed although it was denied")
    restore(bindings)
    wait("DNS follows", 90, lambda: dns_target(g) == [g.lb[other]],
         lambda: dns_target(g))
    up_again(g, active)
    g.wait_healthy_follower(active)
    n = sum(e.get("count") or 1 for e in g.events("FailoverExecuted"))
    if n > 1:
        raise Failure("%d failovers" % n)
    o.stop()
    f = o.blame(o.judge(other, active, other, old_table=active,
                        divergent=g.divergent(active)))
    t.fact("gap %.2f s" % f["writeGapSeconds"])
