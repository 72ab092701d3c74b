"""From the Go reference to us, under load: what it left goes on, is taken over,
and becomes ours site by site, as the manual has it."""
import http.client
import json
import threading
import time

import api
import attack
import bloodraven as op
import fence
import lab
import reference
import runner
from api import Failure, wait
from failover import up_again
from group import SIDECAR_IMAGE, Group
from oracle import PATIENT
from runner import test
from t_uninstall import back_again, by_manual
from t_update import FIRST, SITE, current, uids, waits, watched

# In place of its sidecar, whose image nobody has here: busybox answers where
# that one would, and what it would do to MySQL is OldSidecar's.
STAND_IN = "busybox:lab"
ANSWERS = ("mkdir -p /tmp/www/peer && cd /tmp/www && echo ok >health && "
           "printf pong >peer/ping && trap 'exit 0' TERM && "
           "{ httpd -f -p 8080 -h /tmp/www & wait; }")
# A follower that restarts is away for longer than this lease.
LEASE = {"leaseTimeout": "6s", "peerCheckInterval": "2s"}


# --- a group of the reference's

def as_reference(method, path, obj, content="application/json"):
    return api.call(method, path + "?fieldManager=" + reference.MANAGER, obj,
                    content)


def merged(kind, g, name, obj, sub=None):
    as_reference("PATCH", api.path(kind, g.ns, name, sub), obj,
                 "application/merge-patch+json")


def no_operator(t):
    # A kubelet whose node just came back takes minutes to end a Pod.
    op.wait_settled()
    t.finally_(back_again)
    op.scale(0)
    wait("no operator of ours", 60, lambda: not api.items("pods", op.NS),
         op.state)


def its_lease():
    """As its leader leaves it, which does not give it back."""
    api.delete("leases", op.NS, op.LEASE)
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    as_reference("POST", api.path("leases", op.NS), {
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": op.LEASE},
        "spec": {"holderIdentity": "bloodraven-5d9c_" + "0" * 36,
                 "leaseDurationSeconds": 15, "leaseTransitions": 1,
                 "acquireTime": now, "renewTime": now}})


def make_objects(g):
    cr = g.cr()
    for kind, obj in reference.everything(cr):
        if kind == "deployments":
            sidecar = obj["spec"]["template"]["spec"]["containers"][1]
            sidecar["command"] = ["sh", "-c", ANSWERS]
        as_reference("POST", api.path(kind, g.ns), obj)
    merged("mysqlfailovergroups", g, g.name, {"metadata": {
        "finalizers": ["shipstream.io/graceful-shutdown"]}})


def started(g):
    return all(lab.container(g.pod(s) or {}, c).get("ready")
               for s in g.sites for c in (fence.GUARD, fence.SIDECAR))


def sums(g, site):
    """Of what is in the database, in one line."""
    return g.sql(site, "SELECT COUNT(*), SUM(CRC32(CONCAT(i, v)))"
                 " FROM kept.rows_of_before").strip()


def replicate(g, active):
    """Accounts, data and a channel, by SQL."""
    more = "INSERT INTO kept.rows_of_before (v) SELECT UUID() FROM " \
        "kept.rows_of_before;"
    g.sql(active, "CREATE USER repl@'%%' IDENTIFIED BY 'repl-%s';"
          "GRANT REPLICATION SLAVE, REPLICATION CLIENT, BACKUP_ADMIN,"
          " CLONE_ADMIN ON *.* TO repl@'%%';"
          "CREATE DATABASE kept;"
          "CREATE TABLE kept.rows_of_before (i INT AUTO_INCREMENT"
          " PRIMARY KEY, v CHAR(36));"
          "INSERT INTO kept.rows_of_before (v) VALUES (UUID());%s" % (
              g.name, more * 12), timeout=60)
    for s in g.others(active):
        g.sql(s, "RESET BINARY LOGS AND GTIDS;"
              "CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s',"
              "SOURCE_USER='repl', SOURCE_PASSWORD='repl-%s',"
              "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1;"
              "START REPLICA; SET GLOBAL super_read_only=ON;" % (
                  reference.internal(g.cr(), active), g.name), timeout=60)
        wait("site %s has the data" % s, 60,
             lambda: sums(g, s) == sums(g, active))


def say_active(g, active):
    """Labels, status and DNS."""
    host = reference.internal(g.cr(), active)
    for s in g.sites:
        merged("pods", g, g.the_pod(s)["metadata"]["name"], {"metadata": {
            "labels": {"shipstream.io/healthy": "yes", "shipstream.io/role":
                       "primary" if s == active else "replica"}}})
    merged("mysqlfailovergroups", g, g.name, {"status": {
        "activeSite": active, "sites": [
            {"name": s, "state": "writable"} if s == active else
            {"name": s, "state": "read-only", "replicating": True,
             "secondsBehindSource": 0, "sourceHost": host,
             "sourceConvergenceState": "Converged",
             "sourceConvergenceReason": "DirectSource"}
            for s in g.sites]}}, "status")
    api.apply("dnsendpoints", g.ns, reference.endpoint(g.cr(), active),
              reference.MANAGER)


def of_reference(t, sites, active):
    g = Group("lab-%s-%s" % (t.name, runner.RUN), "switch", sites=sites,
              spec={"sidecarImage": STAND_IN, "sidecar": LEASE})
    t.groups.append(g)
    g.create()
    make_objects(g)
    wait("the reference's Pods are ready", 180, lambda: started(g),
         lambda: {s: (g.pod(s) or {}).get("status", {}).get(
             "containerStatuses") for s in g.sites})
    replicate(g, active)
    say_active(g, active)
    return g


def service_of(address):
    """(address, port) of a "NAME.NAMESPACE.svc...:PORT"; None: no such."""
    host, port = address.rsplit(":", 1)
    name, ns = host.split(".")[:2]
    o = api.get("services", ns, name, missing=True)
    return o and (o["spec"]["clusterIP"], int(port))


def answer(where, path):
    """The body of a 200; None."""
    if where is None:
        return None
    try:
        c = http.client.HTTPConnection(*where, timeout=2)
        c.request("GET", path)
        r = c.getresponse()
        body = r.read()
        c.close()
        return body.decode() if r.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None


class OldSidecar:
    """What the reference's sidecar of a writable site asks, in its Pod's network
    and by its environment there: it would fence when the operator or a peer
    names another site, or when all of them are silent for its lease."""

    def __init__(self, t, g, site):
        pod = g.the_pod(site)
        c = [c for c in pod["spec"]["containers"]
             if c["name"] == fence.SIDECAR][0]
        env = {e["name"]: e.get("value") for e in c["env"]}
        self.pid = lab.pids_of(g.container_id(site, fence.SIDECAR))[0]
        self.site, self.log = site, t.log
        self.operator = env["BLOODRAVEN_ADDRESS"]
        self.peers = env["PEER_ADDRESSES"].split(",")
        self.lease = int(env["LEASE_TIMEOUT"].rstrip("s"))
        self.every = int(env["PEER_CHECK_INTERVAL"].rstrip("s"))
        self.where = "?namespace=%s&group=%s" % (g.ns, g.name)
        self.heard = {a: time.monotonic() for a in [self.operator] +
                      self.peers}
        self.view, self.view_ns, self.fences, self.rounds = "", 0, [], 0
        self.end = threading.Event()
        t.finally_(self.end.set)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.end.wait(self.every):
            try:
                services = {a: service_of(a) for a in self.heard}
            except (api.ApiError, api.Unreachable) as x:
                self.log("old sidecar: names are not resolved: %s" % x)
                continue
            attack.in_network(self.pid, self._check, services)
            self._evaluate()
            self.rounds += 1

    def _check(self, services):
        where = services[self.operator]
        if answer(where, "/healthz") is not None:
            self.heard[self.operator] = time.monotonic()
        body = answer(where, "/active-site" + self.where)
        if body is not None:
            self.view = json.loads(body).get("activeSite") or ""
            self.view_ns = time.time_ns()
        for p in self.peers:
            if answer(services[p], "/peer/ping") is not None:
                self.heard[p] = time.monotonic()
            self._adopt(answer(services[p], "/peer/active-site"))

    def _adopt(self, body):
        """Only what is newer."""
        said = json.loads(body) if body else {}
        if not said.get("activeSite") or not said.get("observedAt"):
            return
        at = lab.parse_time(said["observedAt"])
        if at > self.view_ns:
            self.view, self.view_ns = said["activeSite"], at

    def _evaluate(self):
        now = time.monotonic()
        if self.view not in ("", self.site):
            self.fences.append("it heard of %s as the active site" % self.view)
        elif all(now - at > self.lease for at in self.heard.values()):
            self.fences.append("silent: %s" % {
                a: round(now - at, 1) for a, at in self.heard.items()})

    def stop(self):
        """Never to have fenced, and to have looked all the time."""
        self.end.set()
        self.thread.join(60)
        if self.rounds == 0:
            raise Failure("the reference's sidecar never looked")
        if self.fences:
            raise Failure("the reference's sidecar of the active site would "
                          "have fenced: %s" % self.fences[:3])


# --- what becomes of it

def identity(g):
    return {s: g.sql(s, "SELECT @@server_id, @@server_uuid").strip()
            for s in g.sites}


def left_to_reference(g, site):
    """Does what it set in the Deployment belong to it?"""
    o = api.get("deployments", g.ns, "%s-%s" % (g.prefix, site))
    return (reference.MANAGER, "Update") in [
        (e["manager"], e["operation"])
        for e in o["metadata"].get("managedFields") or []]


def is_ours(g, site):
    """Its Pod, wholly: nothing of the former template is in it."""
    pod = g.the_pod(site)
    init = [c["name"] for c in pod["spec"]["initContainers"]]
    args = [c for c in pod["spec"]["containers"]
            if c["name"] == fence.GUARD][0]["args"]
    return "guard" in init and pod["metadata"].get("finalizers") and \
        not [a for a in args if "plugin-load" in a] and \
        not left_to_reference(g, site)


def steered_away(tail, active):
    """Did -primary leave the active site? By the operator's own word about the
    labels that it set; a connection that is open does not notice."""
    return tail.find(lambda r: r.get("msg") == "pod labels set" and
                     r.get("site") == active and r.get("role") != "primary")


class Before:
    """What must be there at the end."""

    def __init__(self, g, active):
        self.who, self.sums = identity(g), sums(g, active)
        self.gtids = g.sql(active, "SELECT @@gtid_executed").replace(
            "\\n", "").strip()
        ids = {s: who.split()[0] for s, who in self.who.items()}
        if ids != {s: str(reference.FIRST_ID + i)
                   for i, s in enumerate(g.sites)}:
            raise Failure("the reference's server ids: %s" % ids)

    def kept(self, g):
        if identity(g) != self.who:
            raise Failure("%s became %s" % (self.who, identity(g)))
        for s in g.sites:
            if sums(g, s) != self.sums:
                raise Failure("rows at %s: %s, not %s" % (
                    s, sums(g, s), self.sums))
            if g.sql(s, "SELECT GTID_SUBSET('%s', @@gtid_executed)" %
                     self.gtids).strip() != "1":
                raise Failure("site %s lacks some of %s" % (s, self.gtids))


def taken_over(g, active):
    """Seen by our operator, nothing restarted, and told that it has no guard."""
    wait("the group is taken over", 90, lambda: g.epoch() > 0 and
         g.active() == active and g.is_true("Ready"), g.short)
    wait("it is said that it has no guard", 10, lambda: g.condition(
        "WriteLease").get("reason") == "NoGuard", g.short)
    wait("Event PrimaryAdopted", 10, lambda: g.events("PrimaryAdopted"),
         lambda: sorted({e["reason"] for e in g.events()}))


def followers_ours(g, active, before):
    """All but the active site, which is as it was, and waits."""
    c = g.condition("Updating")
    if active not in c["message"]:
        raise Failure("Updating: %s" % c)
    if uids(g)[active] != before[active] or not left_to_reference(g, active):
        raise Failure("the active site is not as the reference left it")
    for s in g.others(active):
        if not is_ours(g, s):
            raise Failure("site %s is not wholly ours" % s)


def restart_active(t, g, active, before):
    """By the manual: Recreate for the one site that is left. Another one takes
    over, and nobody else is restarted."""
    names = {"NS": g.ns, "GROUP": g.name}
    by_manual(t, ("patch mysqlfailovergroup", ":\"Recreate\""), **names)
    new = fence.promoted(g, active, SITE)
    wait("the former active site has our template", SITE,
         lambda: uids(g).get(active, before[active]) != before[active] and
         is_ours(g, active), g.short)
    by_manual(t, ("patch mysqlfailovergroup", ":\"OrderedUpdate\""), **names)
    return new


def renamed_app(g):
    """The reference gave the application's account all rights. By the manual:
    another user name, and the former one dropped."""
    old, g.app_user = g.app_user, g.app_user + "2"
    secret = g.secret(g.name + "-app", username=g.app_user,
                      password=g.app_password)
    api.merge("secrets", g.ns, secret["metadata"]["name"],
              {"data": secret["data"]})
    site = g.active()
    wait("the new account may log in", 60, lambda: g.app_sql(
        g.address(site), "SELECT 1").strip() == "1", g.short)
    g.sql(site, "DROP USER %s@'%%'" % old)
    try:
        g.app_sql(g.address(site), "SET GLOBAL super_read_only=OFF")
    except Failure as x:
        if "Access denied" not in str(x):
            raise
    else:
        raise Failure("the application's account can clear the fence")


def fails_over(t, g):
    fence.rested(g)
    old = g.active()
    o = t.oracle(g)
    t.hold(g, old)
    g.kill9(old)
    new = fence.promoted(g, old)
    o.wait_acked(30)
    up_again(g, old)
    return fence.judged(t, g, o, old, new)


def switch(t, sites):
    """What the reference left, written to all the time: taken over without a
    write stopped, the followers replaced, the active site left alone until a
    human says so; then all is ours, and fails over."""
    active = sites[0]
    no_operator(t)
    its_lease()
    g = of_reference(t, sites, active)
    pods, kept = uids(g), Before(g, active)
    o = t.oracle(g, timeout=PATIENT)
    since, old = lab.boot_ns(), OldSidecar(t, g, active)
    t.ok("the reference's group writes")
    # What brings the guard, before an operator of ours sees the group.
    g.patch(sidecarImage=SIDECAR_IMAGE)
    tail = op.Tail(g.fg)
    back_again()
    taken_over(g, active)
    if uids(g) != pods:
        raise Failure("restarted when it was taken over")
    t.ok("taken over, longest gap %.2f s" % o.calm(since))
    watched(g, active, "the followers are replaced",
            FIRST + len(sites) * SITE, lambda: waits(g))
    wait("the group is whole but for its lease", SITE, lambda: g.is_true(
        "Ready"), g.short)
    followers_ours(g, active, pods)
    gap = o.calm(since)
    o.stop()
    o.blame(o.judge(active))
    old.stop()
    if steered_away(tail, active):
        raise Failure("new connections did not come to the active site while "
                      "it was taken over: %s" % steered_away(tail, active))
    t.ok("the followers are ours, longest gap %.2f s" % gap)
    o = t.oracle(g)
    new = restart_active(t, g, active, pods)
    o.wait_acked(30, "writes at the new site")
    f = fence.judged(t, g, o, active, new)
    fence.whole(g)
    wait("nothing differs", SITE, lambda: current(g), g.short)
    kept.kept(g)
    t.ok("all is ours: " + fence.described(f))
    renamed_app(g)
    wait("the accounts are as they should be", 60,
         lambda: g.is_true("CredentialsValid"), g.short)
    f = fails_over(t, g)
    fence.whole(g)
    kept.kept(g)
    if g.events("UpdateFailed"):
        raise Failure("Event UpdateFailed")
    t.fact("and fails over: " + fence.described(f))


@test("switch-from-reference", alone=True, full=True, order=81)
def switch_from_reference(t):
    switch(t, ("a", "b"))


@test("switch-three-sites", alone=True, full=True, order=81)
def switch_three_sites(t):
    switch(t, ("a", "b", "c"))
