"""Input that is broken, and input that is merely odd: told by field, or acted
on until nothing is left to do; never a crash, never a loop.

SEED and SPECS in the environment: of which random specs, and how many.
"""
import json
import os
import random
import re
import sys
import time

import __main__ as t
from cluster import Answer, b64, eprint, several, wait_for

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.append(os.path.join(TOP, "regress/manifests"))
import cases  # noqa: E402
import specs  # noqa: E402

API = "/apis/shipstream.io/v1alpha1/namespaces/%s/mysqlfailovergroups"
APPS = "/apis/apps/v1/namespaces/%s/deployments"
CORE = "/api/v1/namespaces/%s/"


def namespace(ns):
    t.c.create("/api/v1/namespaces", {"metadata": {"name": ns}})


def told(ns, name, uid):
    """What the conditions say of it, and what its Events do."""
    o = t.c.get(f"{API % ns}/{name}")
    conditions = [" ".join((c["type"], c["status"], c["reason"],
                            c["message"]))
                  for c in (o.get("status") or {}).get("conditions") or []]
    events = [e["reason"] + " " + (e.get("message") or "")
              for e in t.c.get((CORE % ns) + "events")["items"]
              if e["involvedObject"].get("uid") == uid]
    return conditions, events


def is_told(ns, name, uid, regex):
    return all(any(re.search(regex, x) for x in kind)
               for kind in told(ns, name, uid))


def no_crash(d):
    assert d.p.poll() is None, f"the program ended: {d.p.returncode}"


# ---------------------------------------------------------------- manifests

def one_manifest(path, ns):
    import yaml
    base = os.path.basename(path)
    want = cases.expectation(path)
    assert want, f"{base} says not what to expect"
    with open(path) as f:
        obj = yaml.safe_load(f)
    namespace(ns)
    name = obj["metadata"]["name"]
    try:
        made = t.c.create(API % ns, obj)
    except Answer as e:
        for w in want:
            assert cases.names_field(e.message, w), \
                f"{base}: refused, but not by {w!r}: {e.message}"
        return "refused"
    for w in want:
        try:
            wait_for(f"{base}: told {w!r}", 30, lambda w=w: is_told(
                ns, name, made["metadata"]["uid"], w))
        except AssertionError as e:
            raise AssertionError(f"{e}: {told(ns, name, '')}") from None
    assert not t.c.get(APPS % ns)["items"], f"{base}: acted on all the same"
    t.c.force(f"{API % ns}/{name}")
    return "reported"


@t.test
def test_bad_manifests():
    """Every file of regress/manifests/bad: refused by the API server, or told
    in a condition and an Event that name the field."""
    d = t.leader()
    files = cases.files()
    assert len(files) >= 80, len(files)
    count = several([(one_manifest, f, "bad-%d" % i)
                     for i, f in enumerate(files)])
    no_crash(d)
    eprint(f"    {len(files)} files: {count}")
    t.stop(d)


# -------------------------------------------------------------- random specs

OP = {"username": "op", "password": "pw", "MYSQL_ROOT_PASSWORD": "root"}
APP = {"username": "app", "password": "app-pw"}


def crd():
    import yaml
    with open(os.path.join(TOP, "crds/mysqlfailovergroups.yaml")) as f:
        return yaml.safe_load(f)


def make_one(i, spec):
    """Refused for a field that it has, or made."""
    ns = "rnd-%d" % i
    namespace(ns)
    for n, data in (("op", OP), ("some-secret", APP), ("other.secret", dict(
            APP, username="other"))):
        t.c.create((CORE % ns) + "secrets", {
            "metadata": {"name": n},
            "data": {k: b64(v) for k, v in data.items()}})
    try:
        return t.c.create(API % ns, {
            "apiVersion": "shipstream.io/v1alpha1",
            "kind": "MysqlFailoverGroup",
            "metadata": {"name": "g", "namespace": ns}, "spec": spec})
    except Answer as e:
        assert e.status in (400, 422) and "spec." in e.message, \
            f"{i}: {e.message}\n{json.dumps(spec)}"
    return None


def verdict(d, g):
    """What became of it; None while nothing is known yet."""
    ns, uid = g["metadata"]["namespace"], g["metadata"]["uid"]
    m = d.last("GROUP_CONF", group=uid)
    if m is None:
        return None
    conditions, events = told(ns, "g", uid)
    if not m["valid"]:
        field = r"(spec[.:]|metadata\.)"
        return "invalid" if re.match(field, m["problem"]) and all(
            any(re.search(field, x) for x in kind if "InvalidSpec" in x)
            for kind in (conditions, events)) else None
    if any(x.startswith("CredentialsValid False") for x in conditions):
        return "credentials" if any(x.startswith("Secret")
                                    for x in events) else None
    m = d.last("TLS", group=uid)
    if m is not None and m["wanted"] and m["problem"].startswith("Secret"):
        return "certificates"
    for x in events:
        if x.startswith("ApplyFailed"):
            return "apply" if re.search(r"spec\.|metadata\.", x) else None
    have = len(t.c.get(APPS % ns)["items"])
    return "applied" if have == len(g["spec"]["sites"]) else None


def judge(d, i, g):
    try:
        return wait_for(f"{i}: a verdict", 90, lambda: verdict(d, g))
    except AssertionError:
        raise AssertionError("%d: no verdict: %s\n%s" % (
            i, told(g["metadata"]["namespace"], "g", g["metadata"]["uid"]),
            json.dumps(g["spec"]))) from None


def contents(gs):
    """Everything but what counts writes: API servers forget an empty list that
    was applied, and then take it for new, which restarts nothing."""
    r = {}
    for g in gs:
        ns = g["metadata"]["namespace"]
        for p in ((CORE % ns) + "configmaps", (CORE % ns) +
                  "persistentvolumeclaims", APPS % ns):
            for o in t.c.get(p)["items"]:
                for k in ("resourceVersion", "managedFields"):
                    o["metadata"].pop(k, None)
                r[p + "/" + o["metadata"]["name"]] = o
    return r


@t.test
def test_random_specs():
    """Specs that the schema admits: refused with a field's name, or applied,
    and then applied by a successor without changing anything."""
    seed = int(os.environ.get("SEED", "20261126"))
    n = int(os.environ.get("SPECS", "200"))
    gen = specs.Specs(crd(), random.Random(seed))
    made = [(i, gen.make([0, 0.01, 0.05, 0.3][i % 4])) for i in range(n)]
    d = t.leader(LEASE_MS=60000, RENEW_MS=50000, RETRY_MS=1000)
    applied, count, wrong = [], {}, []
    for at in range(0, n, 20):
        gs = [(i, make_one(i, s)) for i, s in made[at:at + 20]]
        for i, g in gs:
            try:
                how = "refused by the API server" if g is None else \
                    judge(d, i, g)
            except AssertionError as e:
                how = "nobody knows"
                wrong.append(str(e))
            no_crash(d)
            count[how] = count.get(how, 0) + 1
            if how == "applied":
                applied.append(g)
            elif g is not None:
                t.c.force(f"{API % g['metadata']['namespace']}/g")
    eprint(f"    seed {seed}: {count}")
    assert not wrong, "\n".join(wrong)
    assert len(applied) >= n // 5, "too few were valid"
    assert sum(count.values()) - len(applied) >= n // 5, "too few were not"
    # Nothing is left to do, and nothing is done.
    t.settle(d)
    wait_for("quiet", 60, lambda: quiet(d))
    assert writes(d) > len(applied), "writes are not counted"
    before = contents(applied)
    t.stop(d)
    d = t.leader(LEASE_MS=60000, RENEW_MS=50000, RETRY_MS=1000)
    wait_for("quiet", 120, lambda: quiet(d))
    after = contents(applied)
    differ = {k: (v, after.get(k)) for k, v in before.items()
              if after.get(k) != v}
    assert not differ, differ
    w = writes(d)
    assert quiet(d) and writes(d) == w
    no_crash(d)
    for g in applied:
        t.c.force(f"{API % g['metadata']['namespace']}/g")
    t.stop(d)


def writes(d):
    """Requests that change something, the Lease's aside."""
    with d.lock:
        return sum(1 for m in d.msgs if m["type"] == "METRIC" and
                   "worker=" in m["labels"] and "verb=" in m["labels"] and
                   'verb="get"' not in m["labels"].lower() and
                   'resource="leases"' not in m["labels"])


def quiet(d):
    """No write within three seconds."""
    w = writes(d)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        t.settle(d)
        if writes(d) != w:
            return False
    return True
