"""Manifests that must not be acted on: refused by the API server, or told in a
condition and an Event that name the field."""
import concurrent.futures
import json
import os
import queue
import re
import sys

import api
import lab
from api import Failure, wait
from runner import RUN, Skip, test

SPACES = ["lab-manifests-%d-%s" % (i, RUN) for i in range(4)]
sys.path.append(os.path.join(lab.TOP, "regress/manifests"))
from cases import expectation, files as bad_files, names_field  # noqa: E402


def told(ns, name, uid):
    """What the conditions say about the object, and what its Events do."""
    o = api.get("mysqlfailovergroups", ns, name)
    conditions = [" ".join((c["type"], c["status"], c["reason"],
                            c["message"]))
                  for c in (o.get("status") or {}).get("conditions") or []
                  if c["message"]]
    events = [e["reason"] + " " + (e.get("message") or "")
              for e in api.items("events", ns)
              if e["involvedObject"].get("uid") == uid]
    return conditions, events


def is_told(ns, name, uid, regex):
    return all(any(re.search(regex, x) for x in kind)
               for kind in told(ns, name, uid))


def one(t, path, ns):
    want = expectation(path)
    base = os.path.basename(path)
    if not want:
        raise Failure("%s says not what to expect" % base)
    try:
        out = lab.kubectl("-n", ns, "create", "--validate=false", "-o",
                          "json", "-f", path)
    except Failure as x:
        refusal = str(x)
        for w in want:
            if not names_field(refusal, w):
                raise Failure("%s: refused, but not by %r: %s"
                              % (base, w, refusal)) from None
        return "refused"
    made = json.loads(out)["metadata"]
    name, uid = made["name"], made["uid"]
    try:
        for w in want:
            wait("%s: told %r" % (base, w), 60,
                 lambda w=w: is_told(ns, name, uid, w),
                 lambda: told(ns, name, uid), interval=0.3)
        if api.items("deployments", ns, {
                "app.kubernetes.io/instance": name}):
            raise Failure("%s: acted on all the same" % base)
    finally:
        api.delete("mysqlfailovergroups", ns, name)
        wait("%s is gone" % base, 90, lambda: api.get(
            "mysqlfailovergroups", ns, name, missing=True) is None)
    return "reported"


@test("manifests", order=30)
def manifests(t):
    files = bad_files()
    if not files:
        raise Skip("regress/manifests/bad has no manifest")
    for ns in SPACES:
        api.create("namespaces", None, {
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": ns}})
        t.finally_(api.delete, "namespaces", None, ns)
    wrong, count = [], {}
    # All carry one name: a namespace for each of those under way.
    with concurrent.futures.ThreadPoolExecutor(len(SPACES)) as pool:
        free = queue.Queue()
        for ns in SPACES:
            free.put(ns)

        def run(f):
            ns = free.get()
            try:
                return one(t, f, ns), None
            except Failure as x:
                return None, str(x)
            finally:
                free.put(ns)
        for how, problem in pool.map(run, files):
            if problem:
                wrong.append(problem)
                t.log(problem)
            else:
                count[how] = count.get(how, 0) + 1
    if wrong:
        raise Failure("%d of %d: %s" % (len(wrong), len(files),
                                        " | ".join(wrong)[:1500]))
    t.fact("%d files: %s" % (len(files), count))
