"""Draining a node, deleting a group, and uninstalling: with the operator, and
without one by the commands of the manual."""
import os
import re
import subprocess

import api
import bloodraven as op
import lab
from api import Failure, wait
from runner import test

MANUALS = [os.path.join(lab.TOP, "man", f)
           for f in ("bloodraven.8", "bloodraven-fencing.7")]


def manual_block(*words):
    """The manuals' literal block that holds all these words, as text."""
    for path in MANUALS:
        with open(path) as f:
            text = f.read()
        for m in re.finditer(r"(?ms)^\.Bd -literal.*?\n(.*?)^\.Ed", text):
            if all(w in m.group(1) for w in words):
                return m.group(1).replace("\\e", "\\").replace(
                    "\\-", "-").replace("\\(aq", "'").replace(
                    "\\(dq", '"').replace("\\&", "")
    raise Failure("the manuals have no commands with %s" % (words,))


def by_manual(t, words, **names):
    """Runs them as a human would, with the lab's kubectl."""
    block = manual_block(*words)
    for k, v in names.items():
        block = re.sub(r"\b%s\b" % k, v, block)
    script = "kubectl() { '%s/lab' kubectl \"$@\"; }\n%s\n" % (
        lab.LAB, block)
    p = subprocess.run(["bash", "-c", script], timeout=180,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, universal_newlines=True)
    t.log("%s\n%s" % (script, p.stdout))
    # One of several Pods may be free already: what counts is the effect.
    if p.returncode != 0 and "no new finalizers" not in p.stdout and \
            "NotFound" not in p.stdout:
        raise Failure("the manual's commands: %s" % p.stdout[-500:])


ANN = "bloodraven.shipstream.io/assert-dead"
FREE_PODS = ("while read", "finalizers")
FREE_GROUP = ("patch mysqlfailovergroup", "finalizers")
ASSERT = ("assert-dead=SITE/POD_UID/EPOCH",)


def gone(g):
    return not [p for s in g.sites for p in g.pods(s)]


@test("delete", order=31)
def delete(t):
    """With the operator there, a group goes without help, its data only when
    that was asked for."""
    g = t.ready()
    g.patch(deletionPolicy="Delete")
    wait("the volumes are the group's", 30, lambda: all(
        api.get("persistentvolumeclaims", g.ns, g.claim(s))["metadata"].get(
            "ownerReferences") for s in g.sites))
    g.patch(deletionPolicy="Retain")
    api.delete("mysqlfailovergroups", g.ns, g.name)
    wait("the group is gone", 60, lambda: api.get(
        "mysqlfailovergroups", g.ns, g.name, missing=True) is None,
        lambda: g.cr()["metadata"])
    wait("its Pods are gone", 120, lambda: gone(g),
         lambda: [p["metadata"]["name"] for s in g.sites for p in g.pods(s)])
    for kind in ("deployments", "services", "poddisruptionbudgets",
                 "dnsendpoints"):
        wait("its %s are gone" % kind, 60, lambda: not api.items(kind, g.ns),
             lambda: [o["metadata"]["name"] for o in api.items(kind, g.ns)])
    for s in g.sites:
        m = api.get("persistentvolumeclaims", g.ns, g.claim(s))["metadata"]
        if m.get("ownerReferences") or "deletionTimestamp" in m:
            raise Failure("the volume of site %s goes with the group" % s)


def said_dead(t, g, site):
    """The Pod is gone for good: the human who freed it says so."""
    e = [x for x in g.status()["authority"]["unended"]
         if x["site"] == site][0]

    def accepted():
        if ANN in (g.cr()["metadata"].get("annotations") or {}):
            return g.is_true("Ready")   # not answered yet
        by_manual(t, ASSERT, NS=g.ns, GROUP=g.name, SITE=site,
                  POD_UID=e["podUID"], EPOCH=str(e["epoch"]))
        return g.is_true("Ready")
    # It is refused until a minute of watching has passed.
    wait("assert-dead makes it whole", 180, accepted, g.short, interval=3)


def back_again():
    op.install()
    op.place(lab.NODES[0], lab.NODES[-1])
    op.wait_settled()
    op.wait_leader()


@test("without-operator", alone=True, full=True, order=80)
def without_operator(t):
    g = t.ready()
    active = g.active()
    # A kubelet whose node just came back takes minutes to end a Pod.
    op.wait_settled()
    t.finally_(back_again)
    op.scale(0)
    wait("no operator", 60, lambda: not api.items("pods", op.NS), op.state)
    pod = g.pod(active)["metadata"]
    api.delete("pods", g.ns, pod["name"], 2)
    old = lambda: api.get("pods", g.ns, pod["name"], missing=True)
    api.holds("our finalizer keeps the Pod", 4, old)
    by_manual(t, FREE_PODS, NS=g.ns, GROUP=g.name)
    wait("the manual's command frees the Pod", 60, lambda: old() is None, old)
    t.ok("drain without an operator, by the manual")
    epoch = g.epoch()
    op.scale(2)
    op.wait_settled()
    # The price that the manual names: nobody has the kubelet's word any more.
    # The status is of before until the server is granted again.
    how = wait("Ready, or NoProof", 150, lambda: (
        g.epoch() > epoch and g.is_true("Ready") and "Ready") or (
        g.blocked("NoProof") and "NoProof"), g.short)
    if how == "NoProof":
        said_dead(t, g, active)
    t.ok("an operator that returns: %s, then whole again" % how)
    op.scale(0)
    wait("no operator", 60, lambda: not api.items("pods", op.NS), op.state)
    api.delete("mysqlfailovergroups", g.ns, g.name)
    by_manual(t, FREE_GROUP, NS=g.ns, GROUP=g.name)
    wait("the group is gone", 60, lambda: api.get(
        "mysqlfailovergroups", g.ns, g.name, missing=True) is None)
    wait("its Pods are being deleted", 60, lambda: all(
        "deletionTimestamp" in p["metadata"]
        for s in g.sites for p in g.pods(s)))
    by_manual(t, FREE_PODS, NS=g.ns, GROUP=g.name)
    wait("its Pods are gone", 120, lambda: gone(g))
    t.ok("uninstall without an operator, by the manual")
    if len(api.items("persistentvolumeclaims", g.ns)) != len(g.sites):
        raise Failure("claims went with the group")
