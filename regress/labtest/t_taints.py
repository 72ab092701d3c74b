"""Node taints on real nodes: what writes is evicted where it can't write, what
tolerates stays, a failover moves the taint, and a group's end lifts it."""
import api
from api import Failure, wait
from failover import kill_and_hold, up_again
from runner import test


def key(g):
    return "shipstream.io/db-readonly-" + g.name


def tainted(g):
    """Nodes that have the group's taint, exactly as it shall be."""
    out = set()
    for n in api.items("nodes"):
        for x in n["spec"].get("taints") or []:
            if x["key"] != key(g):
                continue
            if (x.get("value"), x["effect"]) != ("true", "NoExecute"):
                raise Failure("%s: %s" % (n["metadata"]["name"], x))
            out.add(n["metadata"]["name"])
    return out


def taints_of_others(g):
    return {(n["metadata"]["name"], x["key"]) for n in api.items("nodes")
            for x in n["spec"].get("taints") or []
            if x["key"].startswith("shipstream.io/") and x["key"] != key(g)}


def canary(t, g, name, node, tolerations):
    api.create("pods", g.ns, {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 1, "nodeName": node,
                 "tolerations": tolerations,
                 "containers": [{
                     "name": "c", "image": "busybox:lab",
                     "imagePullPolicy": "Never",
                     "command": ["sleep", "3600"]}]}})
    t.finally_(api.delete, "pods", g.ns, name, 1)


def running(g, name):
    p = api.get("pods", g.ns, name, missing=True)
    return p is not None and p["status"].get("phase") == "Running" and \
        "deletionTimestamp" not in p["metadata"]


# Other groups' Pods do not tolerate this group's key.
@test("taints", alone=True, order=40)
def taints(t):
    # In the fast profile a restart in place may be a failover. Patient enough that
    # it is none on a slow machine either.
    g = t.ready(fast=False, spec={
        "pollInterval": "500ms", "failureThreshold": 20})
    where = {s: g.node(s) for s in g.sites}
    if len(set(where.values())) < 2:
        raise Failure("both sites on one node: %s" % where)
    active = g.active()
    other = g.other(active)
    before = taints_of_others(g)
    plain = {s: "plain-" + s for s in g.sites}
    stays = {s: "stays-" + s for s in g.sites}
    for s in g.sites:
        canary(t, g, plain[s], where[s], [])
        canary(t, g, stays[s], where[s], [
            {"key": key(g), "operator": "Exists"}])
    wait("canaries run", 60, lambda: all(
        running(g, n) for d in (plain, stays) for n in d.values()))
    label = "shipstream.io/site.%s" % g.name
    for s in g.sites:
        api.merge("nodes", None, where[s],
                  {"metadata": {"labels": {label: s}}})
        t.finally_(api.merge, "nodes", None, where[s],
                   {"metadata": {"labels": {label: None}}})
    wait("the other site's node is tainted", 30,
         lambda: tainted(g) == {where[other]}, lambda: tainted(g))
    wait("what writes is evicted there", 60,
         lambda: not running(g, plain[other]))
    if not running(g, plain[active]) or not all(
            running(g, n) for n in stays.values()):
        raise Failure("evicted where it may write, or though it tolerates")
    # Somebody takes it off.
    api.merge("nodes", None, where[other], {"spec": {"taints": [
        x for x in api.get("nodes", None, where[other])["spec"].get(
            "taints") or [] if x["key"] != key(g)]}})
    wait("restored", 30, lambda: tainted(g) == {where[other]},
         lambda: tainted(g))
    # The server alone: granted again in place, and nobody is evicted.
    epoch = g.epoch()
    g.kill_server(active)
    wait("granted again", 60, lambda: g.epoch() > epoch and
         g.active() == active, g.short)
    if tainted(g) != {where[other]} or not running(g, plain[active]):
        raise Failure("a restart in place tainted %s" % tainted(g))
    # A failover moves it.
    kill_and_hold(g, active)
    wait("failover", 90, lambda: g.active() == other, g.short)
    wait("the taint moved", 30, lambda: tainted(g) == {where[active]},
         lambda: tainted(g))
    wait("what writes is evicted", 60, lambda: not running(g, plain[active]))
    if not all(running(g, n) for n in stays.values()):
        raise Failure("evicted though it tolerates")
    up_again(g, active)
    g.wait_healthy_follower(active)
    api.delete("mysqlfailovergroups", g.ns, g.name)
    wait("gone", 90, lambda: api.get("mysqlfailovergroups", g.ns, g.name,
                                     missing=True) is None)
    if tainted(g):
        raise Failure("the group is gone, its taint is not: %s" % tainted(g))
    if taints_of_others(g) != before:
        raise Failure("other taints changed: %s, %s" % (
            before, taints_of_others(g)))
    t.fact("nodes %s" % where)
