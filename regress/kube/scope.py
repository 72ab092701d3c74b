"""--watch-namespace: groups of other namespaces are somebody else's."""
import __main__ as h
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
