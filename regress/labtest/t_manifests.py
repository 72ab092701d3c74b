"""Manifests that must not be acted on: refused by the API server, or told in a
condition and an Event that name the field."""
import glob
import json
import os
import re

import api
import lab
from api import Failure, wait
from runner import Skip, test

BAD = os.path.join(lab.TOP, "regress/manifests/bad")


def expectation(path):
    """The file's own words: "# expect: regular expression"."""
    with open(path) as f:
        return [m.group(1).strip() for m in
                re.finditer(r"(?m)^#\s*expect:\s*(.+)$", f.read())]


def told(ns, name):
    """Everything that the operator says about the object."""
    o = api.get("mysqlfailovergroups", ns, name)
    text = [json.dumps(c) for c in (o.get("status") or {}).get(
        "conditions") or [] if c["type"] in ("SpecValid", "CredentialsValid",
                                             "FieldsIgnored")
            and c["message"]]
    text += [e["reason"] + ": " + (e.get("message") or "")
             for e in api.items("events", ns)
             if e["involvedObject"].get("name") == name]
    return text


def one(t, path, ns):
    want = expectation(path)
    base = os.path.basename(path)
    if not want:
        raise Failure("%s says not what to expect" % base)
    try:
        out = lab.kubectl("-n", ns, "apply", "-o", "json", "-f", path)
    except Failure as x:
        refusal = str(x)
        for w in want:
            if not re.search(w, refusal):
                raise Failure("%s: refused, but not by %r: %s"
                              % (base, w, refusal)) from None
        return "refused"
    name = json.loads(out)["metadata"]["name"]
    try:
        for w in want:
            wait("%s: told %r" % (base, w), 30,
                 lambda w=w: any(re.search(w, x) for x in told(ns, name)),
                 lambda: told(ns, name))
        if api.items("deployments", ns, {
                "app.kubernetes.io/instance": name}):
            raise Failure("%s: acted on all the same" % base)
    finally:
        api.delete("mysqlfailovergroups", ns, name)
    return "reported"


@test("manifests", order=30)
def manifests(t):
    files = sorted(glob.glob(BAD + "/*.yaml"))
    if not files:
        raise Skip("regress/manifests/bad has no manifest")
    ns = "lab-manifests"
    api.create("namespaces", None, {"apiVersion": "v1", "kind": "Namespace",
                                    "metadata": {"name": ns}})
    t.finally_(lambda: api.delete("namespaces", None, ns))
    wrong, count = [], {}
    for f in files:
        try:
            how = one(t, f, ns)
            count[how] = count.get(how, 0) + 1
        except Failure as x:
            wrong.append(str(x))
            t.log(str(x))
    if wrong:
        raise Failure("%d of %d: %s" % (len(wrong), len(files),
                                        " | ".join(wrong)[:1500]))
    t.fact("%d files: %s" % (len(files), count))
