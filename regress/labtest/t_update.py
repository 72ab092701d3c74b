"""Updates while the group is written to: one follower after the other, the active
site not at all, a template with which nothing starts, a leader that dies between
two sites, and Recreate."""
import api
import bloodraven as op
import fence
import lab
from api import Failure, holds, wait
from oracle import PATIENT
from runner import test

# An operator waits so long after it began to lead, then for each site's restart.
FIRST, SITE = 75, 90
NOTE = "labtest.example/roll"


def uids(g):
    """Of the Pods that there are: between two there is none for a moment."""
    pods = {s: g.pod(s) for s in g.sites}
    return {s: p["metadata"]["uid"] for s, p in pods.items() if p}


def ready(g, site):
    return site in all_ready(g)


def all_ready(g):
    """The sites that are ready, at one moment: asked for one after the other, a
    site that has come back and the next one that goes would look as if both
    had been away."""
    return {p["metadata"]["labels"]["shipstream.io/site"]
            for p in api.items("pods", g.ns, {
                "app.kubernetes.io/instance": g.name})
            if "deletionTimestamp" not in p["metadata"] and
            lab.container(p, "mysql").get("ready", False)}


def down(g, active):
    there = all_ready(g)
    return [s for s in g.others(active) if s not in there]


def watched(g, active, what, seconds, done):
    """Until done(): never two followers down at once, never another Pod at the
    active site."""
    uid = uids(g)[active]

    def step():
        gone = down(g, active)
        if len(gone) > 1:
            raise SystemError("down at once: %s" % ", ".join(gone))
        if uids(g).get(active) != uid:
            raise SystemError("the active site was restarted")
        return done()
    try:
        return wait(what, seconds, step, g.short, interval=0.3)
    except SystemError as x:
        raise Failure(str(x)) from None


def updating(g, reason):
    return g.condition("Updating").get("reason") == reason


def waits(g):
    return updating(g, "WaitingForFailover")


def current(g):
    """No site's Deployment differs, and none is awaited."""
    return updating(g, "NotUpdating") and \
        g.condition("DeploymentsDiffer").get("status") == "False"


def renewed(g, site, before):
    """It has another Pod, not just none."""
    return uids(g).get(site, before[site]) != before[site]


def annotated(g, site, value):
    p = g.pod(site)
    return p and (p["metadata"].get("annotations") or {}).get(NOTE) == value


def group(t, **kw):
    g = t.ready(sites=("a", "b", "c"), **kw)
    fence.whole(g)
    return g


@test("update", order=57, sites=3)
def update(t):
    """A field that the reference forgets. Both followers get it, one after the
    other; the active site waits, and that is told; no write is stopped."""
    g = group(t, readers="c")
    o = t.oracle(g, timeout=PATIENT)
    active, before, since = g.active(), uids(g), lab.boot_ns()
    g.patch(podAnnotations={NOTE: "1"})
    watched(g, active, "both followers are updated", FIRST + 2 * SITE,
            lambda: waits(g))
    fence.whole(g)
    for s in g.others(active):
        if not annotated(g, s, "1") or uids(g)[s] == before[s]:
            raise Failure("site %s has another Pod" % s)
    if annotated(g, active, "1"):
        raise Failure("the active site was updated")
    c = g.condition("Updating")
    if c["status"] != "False" or active not in c["message"]:
        raise Failure("Updating: %s" % c)
    if g.status().get("updatePhase"):
        raise Failure("updatePhase %s" % g.status()["updatePhase"])
    want = {"SiteUpdating": 2, "SiteUpdated": 2, "UpdateWaiting": 1,
            "UpdateFailed": 0, "FailoverExecuted": 0}

    def told():
        return {r: sum(e.get("count") or 1 for e in g.events(r))
                for r in want}
    # Events and the status are written apart.
    wait("its Events", 20, lambda: told() == want, told)
    gap = o.calm(since)
    t.ok("two followers updated, longest gap %.2f s" % gap)
    # The failover that comes for another reason ends it.
    o.stop()
    o.blame(o.judge(active))
    wait("the others have it all", 60, g.caught_up)
    t.hold(g, active)
    g.kill9(active)
    new = fence.promoted(g, active)
    g.release(active)
    wait("the former active site is updated, too", FIRST + 2 * SITE,
         lambda: annotated(g, active, "1") and updating(g, "NotUpdating"),
         g.short)
    fence.whole(g)
    t.fact("%s was updated after %s took over" % (active, new))


@test("update-bad", order=58, sites=3)
def update_bad(t):
    """An image that is not there: one follower is down, and no other one is
    touched. The corrected spec mends it, without a human at the Pods."""
    g = group(t)
    o = t.oracle(g, timeout=PATIENT)
    active, before, since = g.active(), uids(g), lab.boot_ns()
    good = g.manifest()["spec"]["sidecarImage"]
    g.patch(sidecarImage="bloodraven-lab/nowhere:0")
    first = watched(g, active, "a follower is down", FIRST + SITE,
                    lambda: down(g, active))[0]
    second = [s for s in g.others(active) if s != first][0]
    holds("the other two are left alone", 60, lambda: uids(g)[active] ==
          before[active] and uids(g)[second] == before[second])
    if g.condition("Updating").get("status") != "True":
        raise Failure("Updating: %s" % g.condition("Updating"))
    g.patch(sidecarImage=good)
    watched(g, active, "it is back", 60 + SITE, lambda: ready(g, first))
    fence.whole(g)
    # It receives what it missed, beside what goes on.
    wait("nothing differs", 180, lambda: updating(g, "NotUpdating"), g.short)
    now = uids(g)
    if now[second] != before[second] or now[active] != before[active]:
        raise Failure("restarted for nothing: %s, %s" % (before, now))
    gap = o.calm(since)
    o.stop()
    o.blame(o.judge(active))
    t.fact("%s was down, longest gap %.2f s" % (first, gap))


@test("update-stuck", full=True, order=59, sites=3)
def update_stuck(t):
    """The same for longer than an update takes: it is said that it failed."""
    g = group(t)
    active = g.active()
    g.patch(sidecarImage="bloodraven-lab/nowhere:0")
    watched(g, active, "it has failed", FIRST + 700,
            lambda: g.events("UpdateFailed"))
    # Events and the status are written apart.
    wait("the condition says so", 10, lambda: updating(g, "Failed"), g.short)
    c = g.condition("Updating")
    if c["status"] != "True":
        raise Failure("Updating: %s" % c)
    if g.status().get("updatePhase"):
        raise Failure("updatePhase %s" % g.status()["updatePhase"])
    t.fact(c["message"])


@test("update-new-leader", alone=True, full=True, order=76)
def update_new_leader(t):
    """Both operators die when the first follower goes down: their successor
    waits for that one, and goes on. No site is restarted twice. At the default
    lease: two of three voters are away for as long as a takeover takes."""
    g = group(t, fast=False)
    o = t.oracle(g, timeout=PATIENT)
    active, before, since = g.active(), uids(g), lab.boot_ns()
    seen = {s: {before[s]} for s in g.sites}

    def note():
        for s, u in uids(g).items():
            seen[s].add(u)
    g.patch(podAnnotations={NOTE: "2"})
    watched(g, active, "the first one goes down", FIRST + SITE,
            lambda: down(g, active))
    op.kill()
    op.wait_settled()
    op.wait_leader()

    def done():
        note()
        return waits(g)
    watched(g, active, "the next leader goes on", FIRST + 3 * SITE, done)
    fence.whole(g)
    twice = {s: len(u) - 1 for s, u in seen.items()}
    if twice != {s: int(s != active) for s in g.sites}:
        raise Failure("restarts: %s, active %s" % (twice, active))
    gap = o.calm(since)
    o.stop()
    o.blame(o.judge(active))
    t.fact("longest gap %.2f s" % gap)


@test("update-recreate", full=True, order=60, sites=3)
def update_recreate(t):
    """All sites at once, as it was asked for: every Pod is another one, and one
    primary is left with all that was acknowledged and received. Another site
    that comes back first may be that one."""
    g = group(t)
    o = t.oracle(g)
    active, before = g.active(), uids(g)
    g.patch(updateStrategy="Recreate", podAnnotations={NOTE: "3"})
    wait("all Pods are others", FIRST + SITE, lambda: all(
        renewed(g, s, before) for s in g.sites), g.short)
    wait("nothing differs", 60, lambda: g.condition("DeploymentsDiffer").get(
        "status") == "False", g.short)
    o.wait_acked(180, "writes after it")
    new = wait("an active site", 60, g.active, g.short)
    for s in g.others(new):
        how = g.wait_healthy_follower(s, 240)
        if how == "blocked" and s != active:
            raise Failure("site %s had received what %s lacks" % (s, new))
    if not all(annotated(g, s, "3") for s in g.sites):
        raise Failure("not every Pod is of the new template")
    if new == active:
        fence.whole(g)
        wait("the update is over", 60, lambda: current(g), g.short)
        o.stop()
        o.blame(o.judge(active))
        t.fact("%s was granted again" % active)
    else:
        f = fence.judged(t, g, o, active, new)
        t.fact("%s took over; %s" % (new, fence.described(f)))


def labels(g):
    return sorted(p["metadata"]["labels"].get("shipstream.io/role", "")
                  for s in g.sites for p in g.pods(s))


@test("roles-changed", full=True, order=61, sites=3)
def roles_changed(t):
    """Roles and the order of the sites change under load: nobody else is
    disturbed, and a reader is no candidate. What a candidate's my.cnf has more
    restarts the site itself, as an update does."""
    g = group(t)
    o = t.oracle(g, timeout=PATIENT)
    active, since = g.active(), lab.boot_ns()
    one = g.others(active)[-1]
    start = before = uids(g)
    for role, restarts in (("dr-only", True), ("read-only", False),
                           ("primary-candidate", True)):
        sites = [dict(g.site_spec(s), role=role if s == one else
                      "primary-candidate") for s in g.sites]
        # Its own priorities may name candidates only.
        g.patch(sites=sites[::-1], splitBrainPolicy=None)
        wait("role %s" % role, 30, lambda: g.site(one).get("role") == role,
             g.short)
        if restarts:
            wait("site %s has another Pod" % one, FIRST + SITE,
                 lambda: renewed(g, one, before), g.short)
        fence.not_promoted(g, active, 2 * fence.LEASE)
        wait("nothing differs", SITE, lambda: current(g), g.short)
        fence.whole(g)
        if labels(g) != ["primary", "replica", "replica"]:
            raise Failure("labels: %s" % labels(g))
        now = uids(g)
        for s in g.sites:
            if (now[s] != before[s]) != (restarts and s == one):
                raise Failure("role %s: site %s %s" % (
                    role, s, "was restarted" if now[s] != before[s] else
                    "was not"))
        before = now
        t.ok("%s: %s, longest gap %.2f s" % (one, role, o.calm(since)))
    if any(before[s] != start[s] for s in g.sites if s != one):
        raise Failure("somebody else was restarted")
    o.stop()
    o.blame(o.judge(active))
    ids = {s: g.sql(s, "SELECT @@server_id").strip() for s in g.sites}
    if len(set(ids.values())) != len(g.sites):
        raise Failure("server ids: %s" % ids)
    t.fact("roles and order changed three times")
