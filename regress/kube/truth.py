"""What a status says while something is wrong, and for how long."""
import time

import __main__ as h
from cluster import APPS, CORE, eprint, wait_for
from objects import condition, spec


def summary(name):
    return h.c.get(f"{h.GROUPS}/{name}").get("status", {}).get("summary", "")


def says(name, begins, seconds=10):
    return wait_for(f"summary {begins}", seconds, lambda: (
        s := summary(name)).startswith(begins) and s)


def is_condition(name, kind, status, reason, text=""):
    def look():
        x = condition(name, kind)
        return x and (x["status"], x["reason"]) == (status, reason) and \
            text in x["message"] and x
    return wait_for(f"{kind} {status} {reason}", 15, look)


FINE = "iad is writable, every other core site replicates from it"


def tell(d, g, rev, **kw):
    """As the parent of a healthy group does."""
    sites, m = h.status(g, "iad", rev=rev)
    for s in sites:
        d.send("SITE_STATUS", **s)
    d.send("GROUP_STATUS", **dict(m, summary=FINE, **kw))


def events(g, reason):
    return [e for e in h.c.get(CORE + "/events")["items"]
            if e["involvedObject"]["uid"] == g["metadata"]["uid"] and
            e["reason"] == reason]


@h.test
def test_summary_begins_with_it():
    """status.summary begins with what is wrong with spec, Secrets or names,
    also of a group that was never valid; and ends with it."""
    d = h.leader()
    bad = {"splitBrainPolicy": {"sitePriorities": ["nowhere"]}}
    never = h.fresh("t")
    h.make(never, **bad)
    s = says(never, "InvalidSpec: ")
    assert "sitePriorities" in s and ";" not in s, s
    # Another process finds it so, and has nothing to write.
    rv = h.c.get(f"{h.GROUPS}/{never}")["metadata"]["resourceVersion"]
    h.stop(d)
    d = h.leader()
    h.settle(d)
    now = h.c.get(f"{h.GROUPS}/{never}")["metadata"]["resourceVersion"]
    assert now == rv, (rv, now)
    name = h.fresh("t")
    g = h.make(name)
    wait_for("objects", 15, lambda: len(h.objects(name)) == 14)
    tell(d, g, 1)
    wait_for("summary", 10, lambda: summary(name) == FINE)
    spec(name, **bad)
    s = says(name, "InvalidSpec: ")
    assert s.endswith("; " + FINE), s
    spec(name, splitBrainPolicy=None)
    wait_for("summary", 10, lambda: summary(name) == FINE)
    sec = f"{CORE}/secrets/{name}-op"
    h.c.delete(sec)
    s = says(name, "SecretProblem: SecretNotFound: ")
    assert s.endswith("; " + FINE), s
    # Of several the first one.
    spec(name, **bad)
    says(name, "InvalidSpec: ")
    spec(name, splitBrainPolicy=None)
    says(name, "SecretProblem: ")
    h.c.create(CORE + "/secrets", h.secret(
        f"{name}-op", username="op", password="pw", MYSQL_ROOT_PASSWORD="r"))
    wait_for("summary", 10, lambda: summary(name) == FINE)
    # One of the parent's as well.
    tell(d, g, 2, conditions=[dict(type="Ready", status=True, reason="R",
                                   message="m"),
                              dict(type="DNSUpdated", status=False,
                                   reason="WriteFailed", message="403")])
    assert says(name, "WriteFailed: 403; ").endswith(FINE)
    h.stop(d)


@h.test
def test_objects_applied():
    """What the API server refuses is a condition as long as it is so; an Event
    says it at most once a minute for each object; then all is quiet."""
    d = h.leader()
    name = h.fresh("t")
    extra = {"name": "more", "image": "more:1", "ports": [
        {"containerPort": 99999}]}
    g = h.make(name, extraContainers=[extra])
    x = is_condition(name, "ObjectsApplied", "False", "Refused", "Port")
    assert f"deployments mysql-{name}-iad: " in x["message"], x
    assert f"deployments mysql-{name}-pdx: " in x["message"], x
    tell(d, g, 1)
    assert says(name, "Refused: deployments ").endswith("; " + FINE)
    t0 = time.monotonic()
    wait_for("several attempts", 20, lambda: h.log_of(d).count(
        f'"kind":"deployments","name":"mysql-{name}-iad","status":422') > 4)
    eprint(f"    5 attempts in {time.monotonic() - t0:.1f} s")
    e = events(g, "ApplyFailed")
    assert sorted(x["count"] for x in e) == [1, 1], e
    # The status isn't written again for each attempt.
    rv = h.c.get(f"{h.GROUPS}/{name}")["metadata"]["resourceVersion"]
    tries = h.log_of(d).count(f'"name":"mysql-{name}-iad","status":422')
    wait_for("another one", 70, lambda: h.log_of(d).count(
        f'"name":"mysql-{name}-iad","status":422') > tries)
    h.settle(d)
    assert h.c.get(f"{h.GROUPS}/{name}")["metadata"][
        "resourceVersion"] == rv
    spec(name, extraContainers=None)
    is_condition(name, "ObjectsApplied", "True", "AsRendered")
    wait_for("summary", 10, lambda: summary(name) == FINE)
    assert h.c.get(f"{APPS}/mysql-{name}-iad")
    h.quiet(d)
    h.stop(d)


@h.test
def test_applied_generation():
    """ObjectsApplied and NamesTaken are of the spec that a pass went through:
    not of one that is invalid, and soon of one that changes no object."""
    d = h.leader()
    name = h.fresh("t")
    h.make(name)

    def generations():
        g = h.c.get(f"{h.GROUPS}/{name}")
        return g["metadata"]["generation"], {
            x["type"]: x["observedGeneration"]
            for x in g.get("status", {}).get("conditions", [])}

    def is_of(applied, seen):
        n, of = generations()
        return n == of.get("SpecValid") == seen and \
            of["ObjectsApplied"] == of["NamesTaken"] == applied
    is_condition(name, "ObjectsApplied", "True", "AsRendered")
    first = generations()[0]
    wait_for("the first", 10, lambda: is_of(first, first))
    spec(name, splitBrainPolicy={"sitePriorities": ["nowhere"]})
    is_condition(name, "SpecValid", "False", "InvalidSpec")
    h.settle(d)
    assert is_of(first, first + 1), generations()
    spec(name, splitBrainPolicy=None, failureThreshold=5)
    wait_for("the third", 10, lambda: is_of(first + 2, first + 2))
    h.stop(d)


def without_secrets():
    """A ServiceAccount that may do all but read Secrets of one namespace; and
    the way to let it."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    every = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    core = ["configmaps", "services", "persistentvolumeclaims", "pods",
            "events", "nodes", "serviceaccounts", "serviceaccounts/token"]
    rules = [dict(every, apiGroups=["apps", "policy", "shipstream.io",
                                    "coordination.k8s.io"]),
             dict(every, apiGroups=[""], resources=core),
             dict(every, apiGroups=[""], resources=["secrets"],
                  verbs=["create", "list", "watch", "patch"])]
    n, token = h.service_account(rules)
    return token, lambda: h.c.merge(
        f"{rbac}/clusterroles/{n}", {"rules": [every]})


@h.test
def test_secret_unreadable():
    """A Secret that may not be read is no missing one: condition, Event and
    log name it, once, and it heals by itself."""
    token, allow = without_secrets()
    d = h.drive(IDENTITY=h.fresh("op"), token=token)
    d.expect("LEASE", 10, held=True)
    name = h.fresh("t")
    g = h.make(name)
    x = is_condition(name, "CredentialsValid", "False", "SecretUnreadable",
                     f"Secret {name}-op: 403 ")
    assert "forbidden" in x["message"], x
    tell(d, g, 1)
    assert says(name, "SecretUnreadable: ").endswith("; " + FINE)
    e = wait_for("Event", 5, lambda: events(g, "SecretUnreadable"))
    assert f"{name}-op" in e[0]["message"], e
    h.settle(d)
    rv = h.c.get(f"{h.GROUPS}/{name}")["metadata"]["resourceVersion"]
    reads = d.stats()["reads"]
    wait_for("more attempts", 10, lambda: d.stats()["reads"] > reads + 2)
    assert h.c.get(f"{h.GROUPS}/{name}")["metadata"][
        "resourceVersion"] == rv
    assert [x["count"] for x in events(g, "SecretUnreadable")] == [1]
    lines = [x for x in h.log_of(d).splitlines()
             if "Secret can't be read" in x and f"/{name}\"" in x]
    assert len(lines) == 1 and '"status":403' in lines[0], lines
    allow()
    is_condition(name, "CredentialsValid", "True", "Valid")
    wait_for("objects", 15, lambda: len(h.objects(name)) == 14)
    wait_for("summary", 10, lambda: summary(name) == FINE)
    h.stop(d)
