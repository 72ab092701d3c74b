"""Switching from the reference: what it set and we do not render goes, what
others set stays.
"""
import base64
import http.server
import json
import os
import ssl
import sys
import threading

import __main__ as h
import access
import rolls
from cluster import APPS, CORE, PDBS, Answer, wait_for

sys.path.append(os.path.join(os.path.dirname(__file__), "../labtest/lib"))
import reference  # noqa: E402

REFERENCE = "bloodraven/v0.0.0 (linux/amd64) kubernetes/$Format"
STRATEGIC = "application/strategic-merge-patch+json"


KINDS = {"configmaps": CORE + "/configmaps", "services": CORE + "/services",
         "persistentvolumeclaims": CORE + "/persistentvolumeclaims",
         "poddisruptionbudgets": PDBS, "deployments": APPS}


def with_more(g, kind, o):
    """With what we don't render: labels, in lists, in a template."""
    n, name = g["metadata"]["name"], o["metadata"]["name"]
    o["metadata"]["labels"]["theOld"] = "x"
    if kind == "deployments":
        pod = o["spec"]["template"]["spec"]
        mysql = pod["containers"][0]
        mysql["env"].append({"name": "OLD_ENV", "value": "x"})
        mysql["volumeMounts"].append(reference.mount("old", "/old"))
        pod["volumes"].append({"name": "old", "emptyDir": {}})
    elif name == f"mysql-{n}-iad-config":
        o["data"]["old.cnf"] = "old"
    elif name == f"mysql-{n}-primary":
        o["metadata"]["annotations"] = {"example.net/old": "x"}
        o["spec"]["sessionAffinity"] = "ClientIP"
        o["spec"]["ports"].append({"name": "old", "port": 3307})
    return o


def as_reference(path, obj):
    return h.c.call("POST", path, obj, agent=REFERENCE)


def as_human(path, patch):
    h.c.call("PATCH", f"{path}?fieldManager=kubectl-edit", patch, STRATEGIC)


def first(path, patch):
    """False: somebody else was, and this server tells a human, too."""
    try:
        as_human(path, patch)
        return True
    except Answer as e:
        if e.status != 409:
            raise
        return False


def managers(path):
    return [(e["manager"], e["operation"]) for e in h.c.get(path)["metadata"][
        "managedFields"]]


def made_by_reference(g):
    """All of the group; paths of one object of each kind."""
    for kind, o in reference.everything(g):
        as_reference(KINDS[kind], with_more(g, kind, o))
    return paths(g)


def paths(g):
    n = g["metadata"]["name"]
    return {"deployment": f"{APPS}/mysql-{n}-iad",
            "other": f"{APPS}/mysql-{n}-pdx",
            "config": f"{CORE}/configmaps/mysql-{n}-iad-config",
            "service": f"{CORE}/services/mysql-{n}-primary",
            "pdb": f"{PDBS}/mysql-{n}"}


@h.test
def test_switch_from_reference():
    """Its fields go, a Deployment's with the first template and no sooner;
    those of others stay, and nothing is written any more afterwards."""
    c = h.c
    name = h.fresh("ref")
    g = h.make(name)
    uid = g["metadata"]["uid"]
    p = made_by_reference(g)
    for path in p.values():
        as_human(path, {"metadata": {"labels": {"team": "x"},
                                     "annotations": {"example.net/a": "b"}}})
        assert ("bloodraven", "Update") in managers(path), managers(path)
    as_human(p["config"], {"data": {"theirs": "kept"}})
    as_human(p["deployment"], {"spec": {"template": {"spec": {"containers": [
        {"name": "mysql", "env": [{"name": "THEIRS", "value": "x"}]}]}}}})
    before = c.get(p["deployment"])
    d = h.leader()
    d.expect("ROLLOUT", 15, group=uid)
    now = rolls.differ(d, uid, "iad", "pdx")
    wait_for("Service", 15, lambda: ("bloodraven", "Update") not in managers(
        p["service"]))
    h.settle(d)
    o = c.get(p["deployment"])
    assert o["spec"] == before["spec"], "restarted"
    assert o["metadata"]["generation"] == before["metadata"]["generation"]
    # The word of the core.
    a = rolls.roll(d, uid, 1, "iad", now["iad"]["want"])
    assert a["ok"], a
    h.settle(d)
    for k in p:
        m = managers(p[k])
        taken = ("bloodraven", "Update") not in m and \
            ("bloodraven", "Apply") in m
        assert taken == (k != "other"), (k, m)
        assert ("kubectl-edit", "Update") in m, (k, m)
        o = c.get(p[k])["metadata"]
        assert o["labels"]["team"] == "x", k
        assert o["annotations"]["example.net/a"] == "b", k
        assert ("theOld" in o["labels"]) == (k == "other"), k
    assert set(c.get(p["config"])["data"]) == {"bloodraven.cnf", "theirs"}
    s = c.get(p["service"])
    assert [x["name"] for x in s["spec"]["ports"]] == ["mysql"], s
    assert s["spec"]["sessionAffinity"] == "None", s
    assert "example.net/old" not in s["metadata"]["annotations"]
    o = c.get(p["deployment"])
    assert o["metadata"]["generation"] == \
        before["metadata"]["generation"] + 1, "restarted more than once"
    t = o["spec"]["template"]["spec"]
    by = {x["name"]: x for x in t["containers"]}
    env = [e["name"] for e in by["mysql"].get("env", [])]
    assert "THEIRS" in env and "OLD_ENV" not in env, env
    assert "old" not in [v["name"] for v in t["volumes"]], t["volumes"]
    assert "MYSQL_PASSWORD" not in [e["name"] for e in by["sidecar"].get(
        "env", [])]
    assert "mysql_clone" not in str(by["mysql"]["args"]), by["mysql"]["args"]
    assert "--server-id=101" in by["mysql"]["args"], by["mysql"]["args"]
    assert "/old" not in [m["mountPath"] for m in by["mysql"][
        "volumeMounts"]]
    h.stop(d)
    # Volumes are created and patched, by us as by the reference.
    log = open(d.log).read()
    assert f'"name":"mysql-{name}-iad-config"' in log
    assert not [x for x in log.splitlines() if "taken over" in x and
                "persistentvolumeclaims" in x]
    # Another leader finds nothing to take over, and changes nothing.
    rv = {k: c.get(p[k])["metadata"]["resourceVersion"] for k in p}
    at, d = len(open(d.log).read()), h.leader()
    h.settle(d)
    assert "fields" not in open(d.log).read()[at:]
    del rv["service"]		# see test_group_to_objects
    assert rv == {k: c.get(p[k])["metadata"]["resourceVersion"] for k in rv}
    h.stop(d)


def ours_with_leftover(name, site):
    """As an operator that took nothing over left it: our template, and beside
    it what the reference had set in it."""
    path = f"{APPS}/mysql-{name}-{site}"
    h.c.call("PATCH", path, {"spec": {"template": {"spec": {"containers": [
        {"name": "mysql", "env": [{"name": "OLD_ENV", "value": "x"}]}]}}}},
        STRATEGIC, agent=REFERENCE)
    assert ("bloodraven", "Update") in managers(path)
    return path


def env(path):
    by = {x["name"]: x for x in h.c.get(path)["spec"]["template"]["spec"][
        "containers"]}
    return [e["name"] for e in by["mysql"].get("env", [])]


@h.test
def test_encrypted_stays():
    """A group whose data the reference encrypts is refused before anything of it
    is changed: no server could read them from our template."""
    name = h.fresh("ref")
    g = h.make(name, tls={**access.TLS, "secretName": f"{name}-tls"},
               encryptionAtRest={"enabled": True})
    group = f"{h.GROUPS}/{name}"
    h.c.merge(f"{group}/status", {"status": {"activeSite": "iad"}})
    p = made_by_reference(g)
    before = {k: h.c.get(path) for k, path in p.items()}
    d = h.leader()
    x = wait_for("condition", 20, lambda: access.condition(name, "SpecValid"))
    assert x["status"] == "False", x
    assert x["message"].startswith("spec.encryptionAtRest.enabled: "), x
    assert not d.last("GROUP_CONF", group=g["metadata"]["uid"])["valid"]
    h.settle(d)
    for k, path in p.items():
        assert h.c.get(path) == before[k], k
    o = h.c.get(group)
    assert "finalizers" not in o["metadata"], o["metadata"]
    assert o["status"]["activeSite"] == "iad", o["status"]
    assert h.c.get(h.lease_secret(name)) is None
    h.stop(d)


@h.test
def test_switch_equal_hash():
    """A live template of our hash with fields of the reference is left alone;
    they go with a template that the core asks for."""
    c = h.c
    d, name, uid = rolls.begun()
    p = {s: ours_with_leftover(name, s) for s in ("iad", "pdx")}
    gen = {s: c.get(x)["metadata"]["generation"] for s, x in p.items()}

    def still():
        h.settle(d)
        return all(c.get(x)["metadata"]["generation"] == gen[s] and
                   "OLD_ENV" in env(x) for s, x in p.items())
    assert still()
    h.stop(d)
    d = h.leader()
    # Drift beside the template is put back.
    c.merge(p["iad"], {"metadata": {"labels": {
        "app.kubernetes.io/instance": "spoiled"}}})
    wait_for("label", 15, lambda: c.get(p["iad"])["metadata"]["labels"][
        "app.kubernetes.io/instance"] == name)
    assert still()
    c.merge(f"{h.GROUPS}/{name}", {"spec": {"image": "mysql:9.7.1"}})
    now = rolls.differ(d, uid, "iad", "pdx")
    assert still()
    a = rolls.roll(d, uid, 1, "iad", now["iad"]["want"])
    assert a["ok"], a
    h.settle(d)
    assert "OLD_ENV" not in env(p["iad"]) and "OLD_ENV" in env(p["pdx"])
    assert c.get(p["iad"])["metadata"]["generation"] == gen["iad"] + 1
    h.stop(d)


def hands_over(o):
    """Is what the reference set in this Deployment somebody else's now? (1.20
    does not show the entries of the object as it was.)"""
    has = any(e["manager"] == "bloodraven" and e["operation"] == "Update"
              for e in o["metadata"].get("managedFields", []))
    return not has and "OLD_ENV" in json.dumps(o["spec"])


class Policy(http.server.BaseHTTPRequestHandler):
    """An admission webhook that refuses just that."""
    refused = 0

    def do_POST(self):
        o = json.loads(self.rfile.read(int(self.headers["Content-Length"])))[
            "request"]
        bad = hands_over(o["object"])
        Policy.refused += bad
        body = json.dumps({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "response": {"uid": o["uid"], "allowed": not bad, "status": {
                "code": 403, "message": "fields stay"}}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *a):
        pass


HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


def policy():
    """It runs, and the API server asks it."""
    srv = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Policy)
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(f"{h.c.work}/api.crt", f"{h.c.work}/api.key")
    srv.socket = ctx.wrap_socket(srv.socket, server_side=True)
    threading.Thread(target=srv.serve_forever, daemon=True).start()
    with open(h.c.ca, "rb") as f:
        ca = base64.b64encode(f.read()).decode()
    h.c.create(HOOKS, {
        "metadata": {"name": "policy"}, "webhooks": [{
            "name": "policy.example.net", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "clientConfig": {
                "url": f"https://127.0.0.1:{srv.server_port}/",
                "caBundle": ca},
            "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"],
                       "operations": ["UPDATE"],
                       "resources": ["deployments"]}]}]})
    return srv


def refuses(path):
    """Is the policy in force? Asked without writing."""
    o = h.c.get(path)
    fields = [e for e in o["metadata"]["managedFields"]
              if (e["manager"], e["operation"]) != ("bloodraven", "Update")]
    try:
        h.c.call("PATCH", path + "?dryRun=All", {"metadata": {
            "managedFields": fields}}, "application/merge-patch+json")
    except Answer as e:
        assert e.status == 403, e.status
        return True
    return False


@h.test
def test_switch_refused():
    """A server that does not let the fields be ours holds up no template and
    nothing else; when it does, they go with the next one."""
    c = h.c
    d, name, uid = rolls.begun()
    p = ours_with_leftover(name, "iad")
    srv = policy()
    try:
        c.merge(f"{h.GROUPS}/{name}", {"spec": {"image": "mysql:9.7.1"}})
        wait_for("the policy", 20, lambda: refuses(p))
        n = Policy.refused
        now = rolls.differ(d, uid, "iad", "pdx")
        a = rolls.roll(d, uid, 1, "iad", now["iad"]["want"])
        assert a["ok"], a
        assert Policy.refused > n
        assert rolls.image(name, "iad") == "mysql:9.7.1"
        wait_for("Event", 10, lambda: any(
            e["reason"] == "ApplyFailed" and "fields stay" in e["message"]
            for e in c.get(CORE + "/events")["items"]
            if e["involvedObject"]["uid"] == uid))
        h.settle(d)
        gen = c.get(p)["metadata"]["generation"]
        assert "OLD_ENV" in env(p)
        # The rest of the group is looked after.
        svc = f"{CORE}/services/mysql-{name}-iad"
        c.delete(svc)
        wait_for("Service again", 20, lambda: c.get(svc))
    finally:
        c.delete(f"{HOOKS}/policy")
        srv.shutdown()
    h.settle(d)
    assert c.get(p)["metadata"]["generation"] == gen, "restarted"
    c.merge(f"{h.GROUPS}/{name}", {"spec": {"image": "mysql:9.7.2"}})
    wait_for("another", 10, lambda: rolls.sites(d, uid)["iad"]["want"] !=
             now["iad"]["want"])
    now = rolls.differ(d, uid, "iad", "pdx")
    # The API server forgets the policy some time after its end.
    wait_for("forgotten", 20, lambda: not refuses(p))
    a = rolls.roll(d, uid, 2, "iad", now["iad"]["want"])
    assert a["ok"], a
    h.settle(d)
    assert "OLD_ENV" not in env(p)
    assert c.get(p)["metadata"]["generation"] == gen + 1
    h.stop(d)


@h.test
def test_labels_before_adoption():
    """Nobody is recorded yet: labels steer as the reference left them, also
    on a Pod that has none of them; afterwards they are ours."""
    c = h.c
    d = h.leader()
    name = h.fresh("ref")
    g = h.make(name)
    uid = g["metadata"]["uid"]
    d.expect("GROUP_CONF", group=uid)
    pods = {s: f"{h.PODS}/{name}-{s}" for s in ("iad", "pdx")}
    c.create(h.PODS, h.pod(g, f"{name}-iad", "iad", "primary", "yes"))
    c.create(h.PODS, h.pod(g, f"{name}-pdx", "pdx"))
    c.merge(pods["pdx"], {"metadata": {"labels": {
        "shipstream.io/role": None, "shipstream.io/healthy": None}}})
    for s in pods:
        d.expect("POD", group=uid, site=s)

    def labels():
        return {s: {k: v for k, v in c.get(p)["metadata"]["labels"].items()
                    if k in ("shipstream.io/role", "shipstream.io/healthy")}
                for s, p in pods.items()}
    was = labels()
    assert was["pdx"] == {}, was
    sites, gs = h.status(g, "iad")
    for view in gs["sites"]:
        view.update(role_label=h.ROLE_KEEP)
    for s in sites:
        d.send("SITE_STATUS", **s)
    d.send("GROUP_STATUS", **gs)
    # What is told after the labels is seen.
    wait_for("status", 10, lambda: c.get(f"{h.GROUPS}/{name}").get(
        "status", {}).get("activeSite") == "iad")
    h.settle(d)
    assert labels() == was, labels()
    h.tell_status(d, g, "iad", rev=2)
    wait_for("labels", 10, lambda: labels() == {
        "iad": was["iad"], "pdx": {"shipstream.io/role": "replica",
                                   "shipstream.io/healthy": "yes"}})
    h.stop(d)
    with open(d.log) as f:
        mine = [x for x in f if "pod labels set" in x and name in x]
    assert len(mine) == 1 and "pdx" in mine[0], mine


@h.test
def test_fresh_takes_nothing():
    """A new group has nothing to take over, volumes neither."""
    d, name, _ = rolls.begun()
    h.settle(d)
    with open(d.log) as f:
        mine = [x for x in f if name in x and "fields" in x]
    assert not mine, mine
    for s in ("iad", "pdx"):
        m = managers(f"{CORE}/persistentvolumeclaims/mysql-{name}-{s}-data")
        assert m == [("bloodraven", "Update")], m
    h.stop(d)


@h.test
def test_switch_meets_change():
    """Somebody changes a Service while its fields are taken over: nothing of
    that is lost, and it is no failure."""
    c = h.c
    name = h.fresh("ref")
    g = h.make(name)
    p = paths(g)
    as_reference(CORE + "/services", with_more(
        g, "services", reference.role_service(g, "primary")))
    d = h.drive(IDENTITY=h.fresh("op"))
    for n in range(50):
        wait_for("a change by hand", 10, lambda: first(p["service"], {
            "metadata": {"annotations": {f"example.net/n{n}": "x"}}}))
    wait_for("taken over", 90, lambda: ("bloodraven", "Update") not in
             managers(p["service"]))
    ann = c.get(p["service"])["metadata"]["annotations"]
    assert sum(k.startswith("example.net/n") for k in ann) == 50
    assert ("kubectl-edit", "Update") in managers(p["service"])
    assert "ApplyFailed" not in [
        e["reason"] for e in c.get(CORE + "/events")["items"]
        if e["involvedObject"]["uid"] == g["metadata"]["uid"]]
    h.stop(d)
