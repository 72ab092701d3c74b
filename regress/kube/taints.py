"""Node taints against a real API server: Nodes need no kubelet there."""
import __main__ as t
from cluster import MERGE, Answer, eprint, wait_for

NODES = "/api/v1/nodes"
ON, OFF, KEEP = 1, 2, 0
# The API server gives it to every Node that is made.
NOT_READY = "node.kubernetes.io/not-ready"


def node(name, taints=(), **labels):
    """A Node with these labels: "_" stands for what Python does not take."""
    labels = {k.replace("__", "/").replace("_", "."): v
              for k, v in labels.items()}
    return t.c.create(NODES, {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": list(taints)}})


def taints(name):
    n = t.c.get(f"{NODES}/{name}")
    return sorted(((x["key"], x.get("value", ""), x["effect"])
                   for x in n["spec"].get("taints") or []
                   if x["key"] != NOT_READY))


def ours(group):
    return f"shipstream.io/db-readonly-{group}", "true", "NoExecute"


def group_with(name, **selectors):
    sites = [t.site(s, f"192.0.2.{i + 1}") for i, s in enumerate(selectors)]
    for s in sites:
        s["taintNodeSelector"] = selectors[s["name"]]
    return t.make(name, sites=sites)


def tell(d, g, rev=1, **want):
    """What the parent wants of each site's nodes."""
    d.send("GROUP_STATUS", group=g["metadata"]["uid"], ns=t.NS,
           name=g["metadata"]["name"], rev=rev, active_site="iad",
           effective_site="iad", poll_time_ms=rev,
           sites=[dict(name=s, state=1, role_label=0, healthy=True, taint=w)
                  for s, w in want.items()], conditions=[])


def clean():
    for n in t.c.get(NODES)["items"]:
        t.c.delete(f"{NODES}/{n['metadata']['name']}")


def merge_node(name, obj):
    t.c.call("PATCH", f"{NODES}/{name}", obj, MERGE)


def patches(d):
    with d.lock:
        return sum(1 for m in d.msgs if m["type"] == "METRIC" and
                   'resource="nodes"' in m["labels"] and
                   "patch" in m["labels"].lower())


def counted(d, group, site, action):
    """Taint operations that were reported as metric."""
    with d.lock:
        return sum(1 for m in d.msgs if m["type"] == "METRIC" and all(
            x in m["labels"] for x in (
                f'group="{group}"', f'site="{site}"',
                f'action="{action}"')))


@t.test
def test_taints():
    """Set and lifted as the parent wants; other taints stay; nodes that come,
    go and are relabelled; drift; nothing is written when all is as wanted."""
    clean()
    d = t.leader()
    name = t.fresh("g")
    other = {"key": "other/key", "value": "x", "effect": "NoSchedule"}
    plain = ("other/key", "x", "NoSchedule")
    node("n1", [other], zone="a")
    node("n2", zone="b")
    node("n3", [other], zone="c")
    g = group_with(name, iad={"zone": "a"}, pdx={"zone": "b"})
    d.expect("GROUP_CONF", group=g["metadata"]["uid"], valid=True)
    t.settle(d)
    assert taints("n2") == [], "nothing was told yet"
    tell(d, g, iad=OFF, pdx=ON)
    wait_for("n2 tainted", 10, lambda: taints("n2") == [ours(name)])
    assert taints("n1") == [plain] and taints("n3") == [plain]
    assert counted(d, name, "pdx", "taint") == 1
    # Failover: both move, and n1 keeps what others put there.
    tell(d, g, 2, iad=ON, pdx=OFF)
    wait_for("moved", 10, lambda: taints("n2") == [] and
             taints("n1") == sorted([plain, ours(name)]))
    # Not known: whatever is there stays.
    tell(d, g, 3, iad=KEEP, pdx=KEEP)
    t.settle(d)
    assert taints("n1") == sorted([plain, ours(name)])
    tell(d, g, 4, iad=OFF, pdx=ON)
    wait_for("moved back", 10, lambda: taints("n1") == [plain] and
             taints("n2") == [ours(name)])
    # A node comes; one is relabelled; one is taken out.
    node("n4", zone="b")
    wait_for("n4 tainted", 10, lambda: taints("n4") == [ours(name)])
    merge_node("n3", {"metadata": {"labels": {"zone": "b"}}})
    wait_for("n3 tainted", 10, lambda: ours(name) in taints("n3"))
    merge_node("n3", {"metadata": {"labels": {"zone": "x"}}})
    wait_for("n3 lifted", 10, lambda: taints("n3") == [plain])
    merge_node("n2", {"metadata": {"labels": {"zone": None}}})
    wait_for("n2 lifted", 10, lambda: taints("n2") == [])
    t.c.delete(f"{NODES}/n2")
    # Drift: lifted by somebody, another value, another effect beside it.
    merge_node("n4", {"spec": {"taints": [other]}})
    wait_for("restored", 10, lambda: taints("n4") ==
             sorted([plain, ours(name)]))
    merge_node("n4", {"spec": {"taints": [
        dict(key=ours(name)[0], value="no", effect="NoSchedule"),
        dict(key=ours(name)[0], value="no", effect="NoExecute")]}})
    wait_for("restored", 20, lambda: taints("n4") == [ours(name)])
    # Steady: not one write more, heartbeats or not.
    t.settle(d)
    w, n = d.stats()["writes"], patches(d)
    for i in range(5):
        t.c.call("PATCH", f"{NODES}/n4/status", {"status": {
            "nodeInfo": {"kernelVersion": str(i)}}}, MERGE)
    tell(d, g, 9, iad=OFF, pdx=ON)
    t.settle(d)
    assert patches(d) == n, "a node was written that is as wanted"
    eprint(f"    patches of nodes: {n}; writes while steady, Lease included: "
           f"{d.stats()['writes'] - w}")
    # Deleted: lifted before the finalizer goes.
    t.c.delete(f"{t.GROUPS}/{name}")
    d.expect("GROUP_CONF", group=g["metadata"]["uid"], deleting=True)
    wait_for("lifted", 10, lambda: taints("n4") == [])
    d.send("GROUP_RELEASE", group=g["metadata"]["uid"])
    wait_for("gone", 10, lambda: t.c.get(f"{t.GROUPS}/{name}") is None)
    t.stop(d)


@t.test
def test_taints_of_many():
    """Several groups on one node, several sites on one node, two groups of
    one name: only what nobody objects to is tainted."""
    clean()
    d = t.leader()
    a, b = t.fresh("g"), t.fresh("g")
    node("one", pool="db", zone="a")
    node("two", pool="db", zone="b")
    ga = group_with(a, iad={"zone": "a"}, pdx={"zone": "b"})
    gb = group_with(b, iad={"pool": "db", "zone": "a"}, pdx={"pool": "db"})
    for g in (ga, gb):
        d.expect("GROUP_CONF", group=g["metadata"]["uid"], valid=True)
    tell(d, ga, iad=OFF, pdx=ON)
    wait_for("a", 10, lambda: taints("two") == [ours(a)])
    assert taints("one") == []
    # Both of b's sites choose "one", only pdx chooses "two".
    tell(d, gb, iad=OFF, pdx=ON)
    wait_for("b", 10, lambda: taints("two") == sorted([ours(a), ours(b)]))
    t.settle(d)
    assert taints("one") == [], "its active site is there"
    tell(d, gb, 2, iad=ON, pdx=ON)
    wait_for("none is writable", 10, lambda: taints("one") == [ours(b)])
    tell(d, gb, 3, iad=KEEP, pdx=ON)
    t.settle(d)
    assert taints("one") == [ours(b)], "kept while one is not known"
    tell(d, gb, 4, iad=ON, pdx=OFF)
    wait_for("lifted", 10, lambda: taints("one") == [] and
             taints("two") == [ours(a)])
    # The same name elsewhere has the same key.
    ns = "db2"
    t.c.create("/api/v1/namespaces", {"metadata": {"name": ns}})
    path = t.GROUPS.replace(f"/{t.NS}/", f"/{ns}/")
    o = t.group(a, sites=[dict(t.site("iad", "192.0.2.1"),
                               taintNodeSelector={"pool": "db"}),
                          dict(t.site("pdx", "192.0.2.2"),
                               taintNodeSelector={"zone": "nowhere"})])
    o["metadata"]["namespace"] = ns
    g2 = t.c.create(path, o)
    uid = g2["metadata"]["uid"]
    d.expect("GROUP_CONF", group=uid, valid=True)
    t.settle(d)
    assert taints("two") == [ours(a)], "what that one wants is not known"
    d.send("GROUP_STATUS", group=uid, ns=ns, name=a, rev=1, sites=[
        dict(name="iad", state=1, taint=OFF),
        dict(name="pdx", state=1, taint=ON)], conditions=[])
    wait_for("one objects", 10, lambda: taints("two") == [])
    t.c.force(f"{path}/{a}")
    wait_for("tainted again", 20, lambda: taints("two") == [ours(a)])
    # A reader's nodes are left alone, and so are those of a removed site.
    c = t.c.get(f"{t.GROUPS}/{a}")
    sites = c["spec"]["sites"]
    sites.append(dict(t.site("lax", "192.0.2.3"),
                      taintNodeSelector={"zone": "c"}))
    node("three", zone="c")
    t.c.merge(f"{t.GROUPS}/{a}", {"spec": {"sites": sites}})
    tell(d, ga, 2, iad=OFF, pdx=ON, lax=ON)
    wait_for("a third", 20, lambda: taints("three") == [ours(a)])
    sites[2]["role"] = "read-only"
    t.c.merge(f"{t.GROUPS}/{a}", {"spec": {"sites": sites}})
    wait_for("a reader's", 20, lambda: taints("three") == [])
    sites[2]["role"] = "dr-only"
    t.c.merge(f"{t.GROUPS}/{a}", {"spec": {"sites": sites}})
    wait_for("dr-only", 20, lambda: taints("three") == [ours(a)])
    t.c.merge(f"{t.GROUPS}/{a}", {"spec": {"sites": sites[:2]}})
    wait_for("removed", 20, lambda: taints("three") == [])
    # The finalizer is taken off by force: the taint goes all the same.
    t.c.force(f"{t.GROUPS}/{a}")
    d.expect("GROUP_GONE", group=ga["metadata"]["uid"])
    wait_for("lifted", 20, lambda: taints("two") == [])
    t.stop(d)


@t.test
def test_taints_successor():
    """A new leader finds what was left: by a predecessor that died, by nodes
    that were relabelled while nobody looked; also where one label is common
    to all selectors, and the watch has but such nodes."""
    clean()
    d = t.leader(**t.SHORT)
    name = t.fresh("g")
    pool = {"pool": name}
    node("m1", pool=name, zone="a")
    node("m2", pool=name, zone="b")
    node("m3", pool=name, zone="b")
    node("far", pool="else", zone="b")
    for g in t.c.get(t.GROUPS)["items"]:
        t.c.force(f"{t.GROUPS}/{g['metadata']['name']}")
    g = group_with(name, iad=dict(pool, zone="a"), pdx=dict(pool, zone="b"))
    uid = g["metadata"]["uid"]
    d.expect("GROUP_CONF", group=uid, valid=True)
    tell(d, g, iad=OFF, pdx=ON)
    wait_for("tainted", 10, lambda: taints("m2") == taints("m3") ==
             [ours(name)])
    t.settle(d)
    # Out of the watch's selector: read, and lifted.
    merge_node("m3", {"metadata": {"labels": {"pool": None}}})
    wait_for("m3 lifted", 10, lambda: taints("m3") == [])
    merge_node("m3", {"metadata": {"labels": {"pool": name}}})
    wait_for("m3 again", 10, lambda: taints("m3") == [ours(name)])
    d.kill()
    merge_node("m3", {"metadata": {"labels": {"pool": None}}})
    merge_node("m2", {"spec": {"taints": []}})
    d = t.leader()
    d.expect("GROUP_CONF", group=uid, valid=True)
    t.settle(d)
    tell(d, g, 2, iad=OFF, pdx=ON)
    wait_for("m2 again, m3 not", 10, lambda: taints("m2") == [ours(name)] and
             taints("m3") == [])
    assert taints("far") == [] and taints("m1") == []
    # A standby writes nothing; the leader of before it writes no more.
    s = t.drive(IDENTITY=t.fresh("op"))
    s.expect("SYNCED", 10, synced=True)
    tell(s, g, 3, iad=ON, pdx=OFF)
    t.settle(s)
    assert taints("m1") == [] and s.stats()["writes"] == 0
    t.stop(d)
    s.expect("LEASE", 10, held=True)
    wait_for("by the successor", 10, lambda: taints("m1") == [ours(name)] and
             taints("m2") == [])
    t.stop(s)
    # Deleted while no operator runs: the next one lifts, then lets it go.
    t.c.delete(f"{t.GROUPS}/{name}")
    d = t.leader()
    d.expect("GROUP_CONF", group=uid, deleting=True)
    d.send("GROUP_RELEASE", group=uid)
    wait_for("gone", 15, lambda: t.c.get(f"{t.GROUPS}/{name}") is None)
    assert taints("m1") == []
    t.stop(d)


RULES = [
    {"apiGroups": ["*"], "resources": ["*"],
     "verbs": ["get", "list", "watch", "create", "patch", "update",
               "delete"]}]


def may_patch(token, name):
    """Asked without changing anything."""
    try:
        t.c.call("PATCH", f"{NODES}/{name}?dryRun=All", {"metadata": {}}, MERGE,
                 token=token)
    except Answer as e:
        assert e.status == 403, e
        return False
    return True


@t.test
def test_taints_refused():
    """Nodes may not be patched: told in an Event, tried again, and a group's
    end waits for it no longer than half a minute."""
    clean()
    role, token = t.service_account([
        dict(RULES[0], apiGroups=["shipstream.io", "coordination.k8s.io",
                                  "apps", "policy"]),
        dict(RULES[0], apiGroups=[""], resources=[
            "configmaps", "services", "persistentvolumeclaims", "secrets",
            "events", "pods"]),
        dict(RULES[0], apiGroups=[""], resources=["nodes"],
             verbs=["get", "list", "watch"])])
    d = t.leader(token=token)
    name = t.fresh("g")
    node("r1", zone="r1")
    node("r2", zone="r2")
    g = group_with(name, iad={"zone": "r1"}, pdx={"zone": "r2"})
    uid = g["metadata"]["uid"]
    d.expect("GROUP_CONF", group=uid, valid=True)
    tell(d, g, iad=OFF, pdx=ON)

    def event():
        return [e for e in t.c.get(f"/api/v1/namespaces/{t.NS}/events")[
            "items"] if e["involvedObject"]["uid"] == uid and
            e["reason"] == "NodeTaintFailed"]
    assert "r2" in wait_for("Event", 10, event)[0]["message"]
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/" + role
    rules = t.c.get(path)["rules"]
    rules[2]["verbs"].append("patch")
    t.c.merge(path, {"rules": rules})
    wait_for("tainted", 20, lambda: taints("r2") == [ours(name)])
    rules[2]["verbs"].remove("patch")
    t.c.merge(path, {"rules": rules})
    # The API server acts on it some time after that.
    wait_for("not allowed", 10, lambda: not may_patch(token, "r2"))
    t.c.delete(f"{t.GROUPS}/{name}")
    d.expect("GROUP_CONF", group=uid, deleting=True)
    d.send("GROUP_RELEASE", group=uid)
    t.settle(d)
    assert t.c.get(f"{t.GROUPS}/{name}") is not None, "not lifted yet"
    wait_for("gone all the same", 45, lambda: t.c.get(
        f"{t.GROUPS}/{name}") is None)
    assert taints("r2") == [ours(name)]
    # Remembered, and lifted as soon as that is allowed.
    rules[2]["verbs"].append("patch")
    t.c.merge(path, {"rules": rules})
    wait_for("lifted", 90, lambda: taints("r2") == [])
    t.stop(d)


@t.test
def test_taints_memory():
    """Other people's nodes do not grow memory, however large they are."""
    clean()
    # A size that Node objects have: images and conditions.
    images = [{"names": [f"registry.example/{i}@sha256:" + "a" * 64,
                         f"registry.example/{i}:v1.2.3"], "sizeBytes": 10**8}
              for i in range(50)]

    def start():
        d = t.leader()
        g = group_with(t.fresh("g"), iad={"zone": "q1"}, pdx={"zone": "q2"})
        d.expect("GROUP_CONF", group=g["metadata"]["uid"], valid=True)
        tell(d, g, iad=OFF, pdx=ON)
        t.settle(d)
        wait_for("tainted", 10, lambda: taints("q2") != [])
        s = d.stats()
        t.c.delete(f"{t.GROUPS}/{g['metadata']['name']}")
        d.send("GROUP_RELEASE", group=g["metadata"]["uid"])
        d.expect("GROUP_GONE", 10, group=g["metadata"]["uid"])
        t.stop(d)
        return s
    node("q1", zone="q1")
    node("q2", zone="q2")
    few = start()
    for i in range(400):
        node(f"big{i}", zone=f"other{i}", **{f"l{j}": "v" * 20
                                             for j in range(20)})
        t.c.call("PATCH", f"{NODES}/big{i}/status", {"status": {
            "images": images}}, MERGE)
    many = start()
    eprint(f"    2 nodes: anonymous {few['anonKiB']} KiB, heap "
           f"{few['heapBytes'] // 1024} KiB; with 400 more: "
           f"{many['anonKiB']} KiB, heap {many['heapBytes'] // 1024} KiB")
    # Half a kilobyte a node; what else is held just then differs by 130 KB.
    assert many["heapBytes"] < few["heapBytes"] + 200000, (few, many)
    clean()
