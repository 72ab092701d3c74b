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

MANUAL = os.path.join(lab.TOP, "man/bloodraven.8")


def manual_command(marker):
    """The literal block of the manual that follows the comment "marker"."""
    with open(MANUAL) as f:
        text = f.read()
    m = re.search(r'(?ms)^\.\\" %s\n.*?^\.Bd .*?\n(.*?)^\.Ed' % marker, text)
    if not m:
        raise Failure("bloodraven(8) has no block marked %r" % marker)
    lines = [x for x in m.group(1).splitlines() if not x.startswith(".")]
    return "\n".join(lines).replace("\\e", "\\").replace("\\-", "-") \
        .replace("\\(aq", "'").replace("\\(dq", '"').replace("\\&", "")


def by_manual(t, marker, **names):
    """Runs it as a human would, with the lab's kubectl."""
    script = "kubectl() { '%s/lab' kubectl \"$@\"; }\n%s\n" % (
        lab.LAB, manual_command(marker))
    env = dict(os.environ, **names)
    p = subprocess.run(["bash", "-c", script], env=env, timeout=180,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, universal_newlines=True)
    t.log("%s:\n%s\n%s" % (marker, script, p.stdout))
    if p.returncode != 0:
        raise Failure("the manual's %s: %s" % (marker, p.stdout[-500:]))


def gone(g):
    return not [p for s in g.sites for p in g.pods(s)]


@test("delete", order=31)
def delete(t):
    """With the operator there, a group goes without help."""
    g = t.ready()
    api.delete("mysqlfailovergroups", g.ns, g.name)
    wait("the group is gone", 60, lambda: api.get(
        "mysqlfailovergroups", g.ns, g.name, missing=True) is None,
        lambda: g.cr()["metadata"])
    wait("its Pods are gone", 120, lambda: gone(g),
         lambda: [p["metadata"]["name"] for s in g.sites for p in g.pods(s)])


@test("without-operator", alone=True, order=80)
def without_operator(t):
    g = t.ready()
    active = g.active()
    op.scale(0)
    t.finally_(op.scale, 1)
    wait("no operator", 60, lambda: not api.items("pods", op.NS), op.state)
    pod = g.pod(active)["metadata"]
    api.delete("pods", g.ns, pod["name"], 2)
    old = lambda: api.get("pods", g.ns, pod["name"], missing=True)
    api.holds("our finalizer keeps the Pod", 4, old)
    by_manual(t, "free-pods", NAMESPACE=g.ns, GROUP=g.name)
    wait("the manual's command frees the Pod", 60, lambda: old() is None, old)
    t.ok("drain without an operator, by the manual")
    op.scale(1)
    op.wait_settled()
    wait("whole again", 150, lambda: g.is_true("Ready"), g.short)
    t.ok("an operator that returns makes the group whole")
    op.scale(0)
    wait("no operator", 60, lambda: not api.items("pods", op.NS), op.state)
    by_manual(t, "uninstall", NAMESPACE=g.ns, GROUP=g.name)
    wait("the group is gone", 60, lambda: api.get(
        "mysqlfailovergroups", g.ns, g.name, missing=True) is None)
    wait("its Pods are gone", 120, lambda: gone(g))
    if not api.items("persistentvolumeclaims", g.ns):
        t.fact("the claims went with the group")
    op.install()
    op.place(lab.NODES[-1])
    op.scale(1)
    op.wait_settled()
