"""--watch-namespace: groups of other namespaces are somebody else's."""
import json
import os

import __main__ as h
import yaml
from cluster import NS, wait_for


@h.test
def test_watch_namespace():
    """One of two groups of one name is seen, made and kept; the other one is
    not told, gets no object and no status."""
    other = h.fresh("ns")
    h.c.create("/api/v1/namespaces", {
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    name = h.fresh("t")
    groups = h.GROUPS.replace(f"/{NS}/", f"/{other}/")
    there = h.group(name)
    there["metadata"]["namespace"] = other
    h.c.create(f"/api/v1/namespaces/{other}/secrets", {
        **h.secret(f"{name}-op", username="op", password="pw",
                   MYSQL_ROOT_PASSWORD="root"),
        "metadata": {"name": f"{name}-op", "namespace": other}})
    uid = h.c.create(groups, there)["metadata"]["uid"]
    d = h.leader(WATCH_NAMESPACE=NS)
    here = h.make(name)
    d.expect("GROUP_CONF", 10, group=here["metadata"]["uid"])
    wait_for("objects", 15, lambda: len(h.objects(name)) >= 13)
    h.settle(d)
    assert d.last("GROUP_CONF", group=uid) is None
    assert "status" not in h.c.get(f"{groups}/{name}")
    for kind in ("/api/v1/%s/services", "/apis/apps/v1/%s/deployments"):
        path = kind % f"namespaces/{other}"
        assert h.c.get(path)["items"] == [], path
    h.stop(d)
    # Without it the other one is seen, too.
    d = h.leader()
    d.expect("GROUP_CONF", 10, group=uid)
    h.stop(d)


def delivered():
    """The rules of the ClusterRole that is delivered, but for nodes; and those
    of the Role beside it."""
    etc = os.path.join(os.path.dirname(__file__), "../../etc/bloodraven.yaml")
    with open(etc) as f:
        by = {(o["kind"], o["metadata"]["name"]): o.get("rules")
              for o in yaml.safe_load_all(f)}
    every = by["ClusterRole", "bloodraven"]
    rules = [r for r in every if r["resources"] != ["nodes"]]
    assert len(rules) == len(every) - 1
    return rules, by["Role", "bloodraven"], \
        [r for r in every if r["resources"] == ["secrets"]]


def limited():
    """A ServiceAccount that has Roles in two namespaces and no ClusterRole."""
    n, token = h.service_account([])
    rules, beside, secrets = delivered()
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/"
    for ns, rs in ((NS, rules), ("br", beside + secrets)):
        h.c.create(rbac % ns + "roles", {"metadata": {"name": n},
                                         "rules": rs})
        h.c.create(rbac % ns + "rolebindings", {
            "metadata": {"name": n}, "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
                "name": n}, "subjects": [{
                    "kind": "ServiceAccount", "name": n, "namespace": "br"}]})
    return token


@h.test
def test_role_of_one_namespace():
    """Limited to a namespace, what is delivered as a ClusterRole is enough as a
    Role there: nothing is asked of the whole cluster but what the API server
    serves, and nodes, which belong to no namespace; without them a group is made
    and kept, and its end waits no longer than for nodes that can't be changed."""
    d = h.drive(IDENTITY=h.fresh("op"), token=limited(), WATCH_NAMESPACE=NS)
    at = len(h.log_of(d))
    d.expect("LEASE", 10, held=True)
    d.expect("SYNCED", 10, synced=True)
    name = h.fresh("t")
    g = h.make(name)
    uid = g["metadata"]["uid"]
    d.expect("CREDS", 20, group=uid, valid=True)
    wait_for("objects", 30, lambda: len(h.objects(name)) == 14)
    h.tell_status(d, g, "iad")
    wait_for("status", 20, lambda: h.c.get(f"{h.GROUPS}/{name}").get(
        "status", {}).get("activeSite") == "iad")
    svc = f"/api/v1/namespaces/{NS}/services/mysql-{name}-primary"
    h.c.delete(svc)
    wait_for("drift", 20, lambda: h.c.get(svc))
    refused = [json.loads(x) for x in h.log_of(d, at).splitlines()
               if '"status":403' in x]
    assert {x.get("resource", x.get("kind")) for x in refused} == {"nodes"}, \
        refused
    assert "watch interrupted" in {x["msg"] for x in refused}, refused
    h.c.delete(f"{h.GROUPS}/{name}")
    d.expect("GROUP_CONF", 10, group=uid, deleting=True)
    d.send("GROUP_RELEASE", group=uid)
    d.expect("GROUP_GONE", 60, group=uid)
    h.stop(d)
