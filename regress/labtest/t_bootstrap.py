"""A fresh group; what it costs the API server when nothing happens; a client at a
site that begins with an empty volume."""
import os
import sys
import time

import api
import bloodraven as op
import lab
from api import Failure, holds, wait
from runner import test

sys.path.append(os.path.join(lab.TOP, "regress/footprint"))
import measure                                              # noqa: E402


def endpoints(g, service):
    e = api.get("endpoints", g.ns, g.prefix + service)
    return sorted(a["ip"] for s in e.get("subsets") or []
                  for a in s.get("addresses") or [])


def dns_target(g):
    for e in api.items("dnsendpoints", g.ns):
        for r in e["spec"].get("endpoints") or []:
            if r["dnsName"] == g.name + ".db.example":
                return r["targets"]
    return []


@test("bootstrap", order=10)
def bootstrap(t):
    g = t.ready(made=False)
    t.fact("ready after %.1f s" % (time.monotonic() - g.created))
    active = g.active()
    other = g.other(active)
    if active != g.prefer:
        raise Failure("first primary is %s, not the first of the priorities"
                      % active)
    if g.read_only(active) or not g.read_only(other):
        raise Failure("read_only flags: active %s, other %s"
                      % (g.read_only(active), g.read_only(other)))
    t.ok("one site is writable, the other is super_read_only")
    wait("-primary leads to the active site", 20, lambda: endpoints(
        g, "-primary") == [g.pod(active)["status"]["podIP"]],
        lambda: endpoints(g, "-primary"))
    wait("-replicas leads to the other", 20, lambda: endpoints(
        g, "-replicas") == [g.pod(other)["status"]["podIP"]],
        lambda: endpoints(g, "-replicas"))
    wait("DNS names the active site", 20,
         lambda: dns_target(g) == [g.lb[active]], lambda: dns_target(g))
    t.ok("Services and DNS lead to the active site")
    o = t.oracle(g)
    wait("the replica follows", 60, lambda: int(g.sql(
        other, "SELECT COUNT(*) FROM oracle.writes WHERE seq < 100")) >= 100)
    o.stop()
    f = o.judge(active)
    o.blame(f)
    if f["ackedWritesLost"]:
        raise Failure("writes were lost: %s" % f)
    uuids = {g.sql(s, "SELECT @@server_uuid") for s in g.sites}
    if len(uuids) != 2:
        raise Failure("both sites have one server_uuid")
    auth = g.status().get("authority") or {}
    if not auth.get("unended") or auth.get("activeSite") != active:
        raise Failure("status.authority names no epoch: %s" % auth)
    t.ok("an application creates its tables and writes; the replica has it")
    rights(t, g, active)


def rights(t, g, active):
    """fencing.md section 6: what would let an application break the fence."""
    ip = g.pod(active)["status"]["podIP"]
    refused = [
        "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF",
        "SET PERSIST read_only = OFF", "RESET BINARY LOGS AND GTIDS",
        "SET sql_log_bin = 0", "STOP REPLICA", "SHUTDOWN", "RESTART",
        "CREATE USER u1", "GRANT SELECT ON *.* TO CURRENT_USER()",
        "KILL 1", "SET GLOBAL offline_mode = ON",
        "INSERT INTO mysql.user (host, user) VALUES ('%', 'x')",
        "CLONE LOCAL DATA DIRECTORY = '/tmp/x'",
        "SELECT 1 INTO OUTFILE '/var/lib/mysql-files/x'",
    ]
    held = []
    for s in refused:
        try:
            g.app_sql(ip, s)
            held.append(s)
        except Failure:
            pass
    if held:
        raise Failure("the application may: " + "; ".join(held))
    t.ok("the application can do none of %d things against the fence"
         % len(refused))


# Kinds whose objects an operator could touch.
KINDS = ("mysqlfailovergroups", "pods", "services", "endpoints", "configmaps",
         "secrets", "persistentvolumeclaims", "deployments", "dnsendpoints",
         "poddisruptionbudgets")
IDLE_SECONDS = 25


def requests():
    """Writes to the API so far, as each operator counts them: also those that
    changed nothing."""
    out = {}
    for a in op.addresses():
        try:
            series = measure.scrape("http://%s:8080/metrics" % a)
        except OSError as x:
            raise Failure("/metrics of %s: %s" % (a, x)) from None
        for k, n in measure.writes(measure.counts(series)).items():
            out["request of " + a, k] = n
    return out


def versions(g, counted=False):
    out = requests() if counted else {}
    for kind in KINDS:
        for o in api.items(kind, g.ns):
            out[kind, o["metadata"]["name"]] = o["metadata"]["resourceVersion"]
    for e in api.items("events", g.ns):
        # A kubelet tells of each probe that a busy machine answers late.
        if (e.get("source") or {}).get("component") != "kubelet":
            out["event", e["metadata"]["name"]] = e.get("count")
    return out


def difference(a, b, path=""):
    """Paths of what differs, metadata that each write changes left out."""
    if path in ("metadata.resourceVersion", "metadata.managedFields"):
        return []
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for k in sorted(set(a) | set(b)):
            out += difference(a.get(k), b.get(k), (path + "." + k).strip("."))
        return out
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        out = []
        for i, (x, y) in enumerate(zip(a, b)):
            out += difference(x, y, "%s[%d]" % (path, i))
        return out
    return [] if a == b else ["%s: %r to %r" % (path, a, b)]


def recorded(g):
    """The record has all that the active site wrote; it is written at most twice
    a minute, so one more may be owing when all else is at rest."""
    sets = [(g.status().get("authority") or {}).get("seenGtid") or "",
            g.sql(g.active(), "SELECT @@gtid_executed")]
    return len({"".join(x.replace("\\n", "").split()) for x in sets}) == 1


def at_rest(t, g, seconds, counted=False):
    """No write to any object of the group for that long. counted: no operator
    makes a request that would be one; there must be no other group."""
    last, quiet = versions(g, counted), time.monotonic()

    def settled():
        nonlocal last, quiet
        # First: the write by which it is recorded is in the versions then.
        done = recorded(g)
        v = versions(g, counted)
        if v != last:
            last, quiet = v, time.monotonic()
        return done and time.monotonic() - quiet > 6

    wait("the group's objects come to rest", 180 if counted else 120, settled,
         interval=0.5)
    before, object_before = last, g.cr()
    # What is measured is a span of time in which nothing may happen.
    t1 = time.monotonic()
    while time.monotonic() - t1 < seconds:
        time.sleep(0.5)
    after = versions(g, counted)
    changed = sorted("%s/%s" % k for k in set(before) | set(after)
                     if before.get(k) != after.get(k))
    if changed:
        raise Failure("written within %d s of rest: %s; of the group: %s" % (
            seconds, ", ".join(changed),
            ", ".join(difference(object_before, g.cr())) or "nothing"))
    t.fact("no write in %d s" % seconds)


@test("idle", order=11)
def idle(t):
    at_rest(t, t.ready(), IDLE_SECONDS)


@test("idle-long", alone=True, full=True, order=58)
def idle_long(t):
    """Five minutes, three sites, and an update of the active site that waits: not
    even a write that changes nothing. Alone, for the operator counts requests of
    all groups."""
    g = t.ready(sites=("a", "b", "c"))
    one = g.active()
    sites = [g.site_spec(s) for s in g.sites]
    for s in sites:
        if s["name"] == one:
            s["resources"] = {"requests": {"cpu": "11m"}}
    g.patch(sites=sites)
    wait("its update waits", 120, lambda: g.condition("Updating").get(
        "reason") == "WaitingForFailover", g.short)
    at_rest(t, g, 300, counted=True)


@test("new-volume", order=12)
def new_volume(t):
    """A site of a live group begins anew while clients with every right hammer
    it: before, in and after its first start nobody gets an acknowledgement."""
    g = t.ready(made=False)
    active = g.active()
    other = g.other(active)
    o = t.oracle(g)
    old_uuid = g.sql(other, "SELECT @@server_uuid")
    o.hammer(other, "CREATE DATABASE IF NOT EXISTS hammered")
    api.delete("persistentvolumeclaims", g.ns, g.claim(other))
    api.delete("pods", g.ns, g.pod(other)["metadata"]["name"], 1)

    def anew():
        uuid = g.sql(other, "SELECT @@server_uuid")
        return uuid != old_uuid and uuid
    def cloned():
        try:
            return anew()
        except Failure:
            return None
    # A Pod that the scheduler saw before its volume waits up to 90 s.
    wait("a server on the new volume", 240, cloned, g.short, interval=0.5)
    wait("the site is a replica again", 150, lambda: g.site(other).get(
        "replicating") and g.is_true("Ready"), g.short)
    o.stop()
    f = o.blame(o.judge(active))
    acks = o.hammer_acks(other)
    if acks:
        raise Failure("%d acknowledgements at a site that never had a grant"
                      % acks)
    names = g.sql(active, "SHOW DATABASES")
    if "hammered" in names:
        raise Failure("a hammered schema reached the group")
    t.fact("%d attempts, none acknowledged; gap %.2f s"
           % (o.hammer_attempts(other), f["writeGapSeconds"]))


@test("empty-volume", full=True, order=13)
def empty_volume(t):
    """The active site comes back with nothing: it is never a primary."""
    g = t.ready()
    active = g.active()
    other = g.other(active)
    o = t.oracle(g)
    tail = op.Tail(g.fg)
    t.hold(g, other)
    t.hold(g, active)
    g.kill9(other)
    g.kill9(active)
    o.stop()
    for d in lab.lab("volume", g.ns, g.claim(active)).split():
        lab.run("find", d, "-mindepth", "1", "-delete")
    g.release(active)
    wait("PromotionBlocked/DataMissing", 120,
         lambda: g.blocked("DataMissing"), g.short)
    holds("the empty site stays read-only", 5,
          lambda: g.read_only(active))
    if not g.events("PromotionBlocked"):
        raise Failure("no Event PromotionBlocked")
    t.ok("PromotionBlocked/DataMissing in condition and Event")
    g.release(other)
    wait("the site with the data is back", 150, lambda: g.site(other).get(
        "state") == "read-only", g.short)
    # A human decides: the empty site goes, the other one takes over.
    g.hold(active)
    g.kill9(active)
    wait("the site with the data is promoted", 60,
         lambda: g.active() == other, g.short)
    rows = int(g.sql(other, "SELECT COUNT(*) FROM oracle.writes"))
    if rows == 0:
        raise Failure("the data is gone")
    t.fact("%d records of the log, %d rows kept" % (len(tail.seen), rows))
