"""Switching from the reference: what it set and we do not render goes, what
others set stays.

Part of test_api.py, which runs it and lends it its helpers (h).
"""
from cluster import wait_for

import rolls

h = None
NS = "db"
CORE = f"/api/v1/namespaces/{NS}"
APPS = f"/apis/apps/v1/namespaces/{NS}/deployments"
PDBS = f"/apis/policy/v1beta1/namespaces/{NS}/poddisruptionbudgets"
SITE = "shipstream.io/site"
REFERENCE = "bloodraven/v0.0.0 (linux/amd64) kubernetes/$Format"
STRATEGIC = "application/strategic-merge-patch+json"
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


def labels(name, site=None):
    kv = {"app.kubernetes.io/name": "mysql",
          "app.kubernetes.io/instance": name,
          "app.kubernetes.io/managed-by": "bloodraven",
          "shipstream.io/failover-group": name}
    return dict(kv, **{SITE: site}) if site else kv


def meta(g, name, site=None, **kw):
    n = g["metadata"]["name"]
    return dict(name=name, labels=dict(labels(n, site), theOld="x"),
                ownerReferences=[{
                    "apiVersion": "shipstream.io/v1alpha1",
                    "kind": "MysqlFailoverGroup", "name": n,
                    "uid": g["metadata"]["uid"], "controller": True,
                    "blockOwnerDeletion": True}], **kw)


def deployment(g, site, sid):
    """In the reference's shape (resources.md 3)."""
    n = g["metadata"]["name"]
    lab = labels(n, site)
    sel = {k: lab[k] for k in ("app.kubernetes.io/name",
                               "app.kubernetes.io/instance", SITE)}
    sh = ["sh", "-c", "true"]
    tcp = {"tcpSocket": {"port": 3306}, "periodSeconds": 10}
    http = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10}
    return {"metadata": meta(g, f"mysql-{n}-{site}", site, annotations={
                "shipstream.io/spec-hash": "0123456789abcdef"}),
            "spec": {
                "replicas": 1, "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": sel},
                "template": {
                    "metadata": {"labels": lab, "annotations": {
                        "shipstream.io/spec-hash": "0123456789abcdef"}},
                    "spec": {
                        "nodeSelector": {
                            "topology.kubernetes.io/zone": site},
                        "initContainers": [{
                            "name": "init", "image": "mysql:9.7",
                            "command": sh, "resources": {"requests": {
                                "cpu": "100m", "memory": "128Mi"}},
                            "volumeMounts": [
                                {"name": "config",
                                 "mountPath": "/etc/mysql/config-map"},
                                {"name": "conf",
                                 "mountPath": "/etc/mysql/conf.d"}]}],
                        "containers": [
                            {"name": "mysql", "image": "mysql:9.7",
                             "args": [f"--server-id={sid}"],
                             "env": [{"name": "OLD_ENV", "value": "x"}],
                             "ports": [{"name": "mysql",
                                        "containerPort": 3306}],
                             "livenessProbe": tcp, "readinessProbe": tcp,
                             "lifecycle": {"preStop": {"exec": {
                                 "command": sh}}},
                             "volumeMounts": [
                                 {"name": "data",
                                  "mountPath": "/var/lib/mysql"},
                                 {"name": "old", "mountPath": "/old"}]},
                            {"name": "sidecar", "image": "sidecar:1",
                             "env": [{"name": "MYSQL_DSN", "value": "x"}],
                             "livenessProbe": http, "readinessProbe": http}],
                        "volumes": [
                            {"name": "data", "persistentVolumeClaim": {
                                "claimName": f"mysql-{n}-{site}-data"}},
                            {"name": "conf", "emptyDir": {}},
                            {"name": "old", "emptyDir": {}},
                            {"name": "config", "configMap": {
                                "name": f"mysql-{n}-{site}-config"}}]}}}}


def as_reference(path, obj):
    return h.c.call("POST", path, obj, agent=REFERENCE)


def as_human(path, patch):
    h.c.call("PATCH", f"{path}?fieldManager=kubectl-edit", patch, STRATEGIC)


def managers(path):
    return [(e["manager"], e["operation"]) for e in h.c.get(path)["metadata"][
        "managedFields"]]


def made_by_reference(g):
    """One object of each kind; their paths."""
    n = g["metadata"]["name"]
    for i, s in enumerate(("iad", "pdx")):
        as_reference(APPS, deployment(g, s, 101 + i))
    as_reference(CORE + "/configmaps", {
        "metadata": meta(g, f"mysql-{n}-iad-config", "iad"),
        "data": {"bloodraven.cnf": "[mysqld]\n", "old.cnf": "old"}})
    as_reference(CORE + "/services", {
        "metadata": meta(g, f"mysql-{n}-primary", annotations={
            "example.net/old": "x"}),
        "spec": {"selector": {"app.kubernetes.io/instance": n,
                              "shipstream.io/role": "primary"},
                 "sessionAffinity": "ClientIP",
                 "ports": [{"name": "mysql", "port": 3306},
                           {"name": "old", "port": 3307}]}})
    as_reference(PDBS, {
        "metadata": meta(g, f"mysql-{n}"),
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {
            "app.kubernetes.io/name": "mysql",
            "app.kubernetes.io/instance": n}}}})
    return {"deployment": f"{APPS}/mysql-{n}-iad",
            "other": f"{APPS}/mysql-{n}-pdx",
            "config": f"{CORE}/configmaps/mysql-{n}-iad-config",
            "service": f"{CORE}/services/mysql-{n}-primary",
            "pdb": f"{PDBS}/mysql-{n}"}


@test
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
        assert ("bloodraven", "Update") not in m and \
            ("bloodraven", "Apply") in m and \
            ("kubectl-edit", "Update") in m, (k, m)
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
    assert "MYSQL_DSN" not in [e["name"] for e in by["sidecar"].get(
        "env", [])]
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
    assert "taken over" not in open(d.log).read()[at:]
    del rv["service"]		# see test_group_to_objects
    assert rv == {k: c.get(p[k])["metadata"]["resourceVersion"] for k in rv}
    h.stop(d)


@test
def test_switch_meets_change():
    """Somebody changes a Deployment while its fields are taken over: nothing
    of that is lost."""
    c = h.c
    name = h.fresh("ref")
    g = h.make(name)
    p = made_by_reference(g)
    d = h.drive(IDENTITY=h.fresh("op"))
    for n in range(50):
        as_human(p["deployment"], {"metadata": {"annotations": {
            f"example.net/n{n}": "x"}}})
    wait_for("taken over", 30, lambda: ("bloodraven", "Update") not in
             managers(p["deployment"]))
    ann = c.get(p["deployment"])["metadata"]["annotations"]
    assert sum(k.startswith("example.net/n") for k in ann) == 50
    assert ("kubectl-edit", "Update") in managers(p["deployment"])
    h.stop(d)
