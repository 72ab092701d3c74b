"""A group's objects against a real API server: drift, other people's fields,
Services that change their type, sites that come, go and change places, volumes.
"""
import time

import __main__ as h
from cluster import APPS, CORE, PDBS, SITE, Answer, eprint, wait_for

ID = "bloodraven.shipstream.io/server-id"
MANAGED = "shipstream.io/managed-service-annotations"


def ready(name, n=14):
    return wait_for(f"{n} objects of {name}", 60, lambda: len(
        o := h.objects(name)) == n and o)


def begun(**spec):
    """A leader, and a group whose objects are all there."""
    d = h.leader()
    name = h.fresh("o")
    g = h.make(name, **spec)
    ready(name)
    h.settle(d)
    return d, name, g


def spec(name, **kw):
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": kw})


def condition(name, kind):
    for x in h.c.get(f"{h.GROUPS}/{name}").get("status", {}).get(
            "conditions", []):
        if x["type"] == kind:
            return x
    return None


def reasons(g):
    return [e["reason"] for e in h.c.get(CORE + "/events")["items"]
            if e["involvedObject"]["uid"] == g["metadata"]["uid"]]


def image(dep):
    return h.c.get(dep)["spec"]["template"]["spec"]["containers"][0]["image"]


def versions(name):
    return {k: o["metadata"]["resourceVersion"]
            for k, o in h.objects(name).items()}


# -------------------------------------------------------------------- drift

@h.test
def test_drift_of_everything():
    """Of each kind: what is ours is put back, what somebody else added stays,
    and what is deleted is made again."""
    d, name, g = begun()
    c = h.c
    dep = f"{APPS}/mysql-{name}-iad"
    svc = f"{CORE}/services/mysql-{name}-iad"
    cm = f"{CORE}/configmaps/mysql-{name}-iad-config"
    pvc = f"{CORE}/persistentvolumeclaims/mysql-{name}-iad-data"
    pdb = f"{PDBS}/mysql-{name}"
    want = {p: c.get(p) for p in (dep, svc, cm, pvc, pdb)}
    mine = {"metadata": {"labels": {"team": "x"}, "annotations": {
        "example.net/mine": "yes"}}}
    for p in want:
        c.merge(p, mine)
    c.merge(cm, {"data": {"theirs": "kept", "bloodraven.cnf": "[mysqld]"}})
    c.merge(svc, {"spec": {"selector": {SITE: "pdx"}}})
    c.merge(pdb, {"spec": {"minAvailable": 0}})
    c.merge(dep, {"spec": {"replicas": 0, "template": {"metadata": {
        "annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}})
    for p in want:
        c.merge(p, {"metadata": {"labels": {
            "app.kubernetes.io/instance": "spoiled"}}})

    def healed():
        for p, w in want.items():
            o = c.get(p)
            for k, v in w["metadata"]["labels"].items():
                if o["metadata"]["labels"].get(k) != v:
                    return False
        return c.get(cm)["data"]["bloodraven.cnf"] == \
            want[cm]["data"]["bloodraven.cnf"] and \
            c.get(svc)["spec"]["selector"] == \
            want[svc]["spec"]["selector"] and \
            c.get(pdb)["spec"]["minAvailable"] == 1 and \
            c.get(dep)["spec"]["replicas"] == 1
    t0 = time.monotonic()
    wait_for("everything as it was", 10, healed)
    eprint(f"    healed after {time.monotonic() - t0:.1f} s")
    h.settle(d)
    for p in want:
        o = c.get(p)["metadata"]
        assert o["labels"]["team"] == "x", p
        assert o["annotations"]["example.net/mine"] == "yes", p
    assert c.get(cm)["data"]["theirs"] == "kept"
    assert "kubectl.kubernetes.io/restartedAt" in c.get(dep)["spec"][
        "template"]["metadata"]["annotations"]
    # A template that somebody edits is put back as well: the spec rules.
    c.merge(dep, {"spec": {"template": {"spec": {
        "terminationGracePeriodSeconds": 7}}}})
    wait_for("template restored", 10, lambda: c.get(dep)["spec"]["template"][
        "spec"]["terminationGracePeriodSeconds"] == 60)
    # By hand, without a label of ours, it is still the same object.
    c.merge(svc, {"metadata": {"labels": {
        "shipstream.io/failover-group": None}}})
    wait_for("label again", 10, lambda: c.get(svc)["metadata"]["labels"].get(
        "shipstream.io/failover-group") == name)
    for p in (dep, svc, cm, pdb):
        c.delete(p)
    for p in (dep, svc, cm, pdb):
        wait_for(f"{p} again", 10, lambda: c.get(p))
    h.settle(d)
    rv = versions(name)
    h.settle(d)
    assert versions(name) == rv, "it goes on writing"
    assert "ApplyFailed" not in reasons(g)
    h.stop(d)


@h.test
def test_template_waits():
    """A newer template is not applied by a pass, whatever else is put right;
    what only an old Pod reads never restarts one."""
    d, name, _ = begun()
    c = h.c
    dep = f"{APPS}/mysql-{name}-iad"
    gen = c.get(dep)["metadata"]["generation"]
    # Another site: the addresses of peers are another one's.
    sites = [h.site("iad", "192.0.2.1"), h.site("pdx", "192.0.2.2"),
             h.site("fra", "192.0.2.3")]
    spec(name, sites=sites, sidecar={"leaseTimeout": "30s"})
    ready(name, 19)
    c.merge(dep, {"metadata": {"labels": {
        "app.kubernetes.io/name": "spoiled"}}})
    wait_for("label restored", 10, lambda: c.get(dep)["metadata"]["labels"][
        "app.kubernetes.io/name"] == "mysql")
    h.settle(d)
    assert c.get(dep)["metadata"]["generation"] == gen
    spec(name, image="mysql:9.7.1")
    wait_for("condition", 10, lambda: (x := condition(
        name, "DeploymentsDiffer")) and x["status"] == "True")
    c.merge(dep, {"spec": {"replicas": 0}})
    wait_for("scaled up again", 10,
             lambda: c.get(dep)["spec"]["replicas"] == 1)
    h.settle(d)
    assert image(dep) == "mysql:9.7"
    # One that is made anew has the newest.
    c.delete(dep)
    wait_for("made anew", 10, lambda: c.get(dep) and
             image(dep) == "mysql:9.7.1")
    h.stop(d)


@h.test
def test_refused_object():
    """What one object is refused for keeps no other from being put right."""
    d, name, g = begun()
    c = h.c
    blocker = h.fresh("blocker")
    c.create(CORE + "/services", {
        "metadata": {"name": blocker}, "spec": {
            "type": "NodePort", "ports": [{"port": 1, "nodePort": 31999}]}})
    sites = [h.site("iad", "192.0.2.1", serviceTemplate={
        "type": "NodePort", "nodePort": 31999}), h.site("pdx", "192.0.2.2")]
    spec(name, sites=sites)
    wait_for("Event", 10, lambda: "ApplyFailed" in reasons(g))
    dep = f"{APPS}/mysql-{name}-pdx"
    c.delete(dep)
    wait_for("Deployment again", 10, lambda: c.get(dep))
    c.delete(f"{CORE}/services/{blocker}")
    svc = f"{CORE}/services/mysql-{name}-iad"
    wait_for("the port is free", 30, lambda: c.get(svc)["spec"]["ports"][0]
             .get("nodePort") == 31999)
    h.stop(d)


# ----------------------------------------------------------------- Services

@h.test
def test_service_types():
    """Every way between the three types, with what others put there."""
    d, name, g = begun()
    c = h.c
    svc = f"{CORE}/services/mysql-{name}-iad"
    primary = f"{CORE}/services/mysql-{name}-primary"

    def sp():
        return c.get(svc)["spec"]

    def template(site=None, **group):
        # Replaced: a merge patch would keep annotations.
        c.replace(f"{h.GROUPS}/{name}", lambda o: o["spec"].update(
            serviceTemplate=group, sites=[
                h.site("iad", "192.0.2.1", **(
                    {"serviceTemplate": site} if site else {})),
                h.site("pdx", "192.0.2.2")]))
    ip = sp()["clusterIP"]
    template(type="LoadBalancer", annotations={"example.net/a": "1",
                                               "example.net/b": "2"})
    wait_for("LoadBalancer", 10, lambda: sp()["type"] == "LoadBalancer")
    s = sp()
    assert s["loadBalancerIP"] == "192.0.2.1" and \
        s["externalTrafficPolicy"] == "Cluster" and s["clusterIP"] == ip, s
    assert "loadBalancerIP" not in c.get(primary)["spec"]
    a = c.get(svc)["metadata"]["annotations"]
    assert a[MANAGED] == '["example.net/a","example.net/b"]', a
    port = s["ports"][0]["nodePort"]
    # Somebody narrows it, and adds an annotation of his own.
    c.merge(svc, {"metadata": {"annotations": {"theirs": "x"}}, "spec": {
        "loadBalancerSourceRanges": ["198.51.100.0/24"]}})
    template(type="LoadBalancer", externalTrafficPolicy="Local",
             annotations={"example.net/b": "3"})
    wait_for("policy", 10, lambda: sp()["externalTrafficPolicy"] == "Local")
    a = wait_for("annotation gone", 10, lambda: (
        a := c.get(svc)["metadata"]["annotations"]) and
        "example.net/a" not in a and a)
    assert a["theirs"] == "x" and a["example.net/b"] == "3" and \
        a[MANAGED] == '["example.net/b"]', a
    s = sp()
    assert s["loadBalancerSourceRanges"] == ["198.51.100.0/24"], s
    assert s["ports"][0]["nodePort"] == port, "the allocated port moved"
    assert s["healthCheckNodePort"] > 0, s
    # To NodePort: what only a load balancer may have goes.
    template(type="NodePort")
    wait_for("NodePort", 10, lambda: sp()["type"] == "NodePort")
    h.settle(d)
    s = sp()
    assert "loadBalancerIP" not in s and "healthCheckNodePort" not in s and \
        "loadBalancerSourceRanges" not in s, s
    assert s["externalTrafficPolicy"] == "Cluster" and \
        s["ports"][0]["nodePort"] == port and s["clusterIP"] == ip, s
    a = c.get(svc)["metadata"]["annotations"]
    assert a.get("theirs") == "x" and MANAGED not in a, a
    # A port that is asked for, and then left to what it was.
    template(site={"type": "NodePort", "nodePort": 31777}, type="NodePort")
    wait_for("asked for", 10, lambda: sp()["ports"][0]["nodePort"] == 31777)
    template(type="NodePort")
    h.settle(d)
    assert sp()["ports"][0]["nodePort"] == 31777
    # The site overrides the group; back to ClusterIP from LoadBalancer with
    # fields that are not ours.
    template(site={"type": "LoadBalancer"}, type="NodePort")
    wait_for("the site's", 10, lambda: sp()["type"] == "LoadBalancer")
    assert c.get(primary)["spec"]["type"] == "NodePort"
    c.merge(svc, {"spec": {"loadBalancerSourceRanges": ["0.0.0.0/0"],
                           "externalTrafficPolicy": "Local"}})
    template()
    wait_for("ClusterIP", 10, lambda: sp()["type"] == "ClusterIP")
    h.settle(d)
    s = sp()
    for k in ("loadBalancerIP", "loadBalancerSourceRanges",
              "externalTrafficPolicy", "healthCheckNodePort"):
        assert k not in s, (k, s)
    assert "nodePort" not in s["ports"][0] and s["clusterIP"] == ip, s
    assert c.get(f"{CORE}/services/mysql-{name}-iad-internal")["spec"][
        "type"] == "ClusterIP"
    # An entry that somebody added to the selector would lead nowhere.
    want = sp()["selector"]
    c.merge(svc, {"spec": {"selector": {"theirs": "x"}}})
    wait_for("selector restored", 10, lambda: sp()["selector"] == want)
    h.settle(d)
    rv = versions(name)
    h.settle(d)
    assert versions(name) == rv, "it goes on writing"
    h.stop(d)


# -------------------------------------------------------------------- sites

def three(*names):
    ips = {"iad": "192.0.2.1", "pdx": "192.0.2.2", "fra": "192.0.2.3"}
    return [h.site(n, ips[n]) for n in names]


def ids(name):
    return {n.rsplit("-", 1)[1]: o["metadata"]["annotations"][ID]
            for n, o in h.objects(name).items() if n.startswith("deploy")}


@h.test
def test_server_ids():
    """They stay with their sites: re-ordered, re-made, and as the reference
    gave them."""
    d = h.leader()
    c = h.c
    name = h.fresh("o")
    h.make(name, sites=three("iad", "pdx", "fra"))
    ready(name, 19)
    h.settle(d)
    was = ids(name)
    assert was == {"iad": "101", "pdx": "102", "fra": "103"}, was
    gens = {k: o["metadata"]["generation"] for k, o in
            h.objects(name).items() if k.startswith("deploy")}
    spec(name, sites=three("fra", "iad", "pdx"))
    h.settle(d)
    assert ids(name) == was
    assert gens == {k: o["metadata"]["generation"] for k, o in
                    h.objects(name).items() if k.startswith("deploy")}
    # Without its Deployment a site has the id of its volume.
    dep = f"{APPS}/mysql-{name}-fra"
    c.delete(dep)
    wait_for("made anew", 10, lambda: c.get(dep))
    assert ids(name) == was
    # Of a removed site nobody gets the id: its volume may come back.
    spec(name, sites=three("iad", "pdx"))
    wait_for("Deployment gone", 20, lambda: c.get(dep) is None)
    spec(name, sites=three("iad", "pdx") + [h.site("ord", "192.0.2.4")])
    wait_for("new site", 10, lambda: "ord" in ids(name))
    assert ids(name)["ord"] == "104", ids(name)
    spec(name, sites=three("fra", "iad", "pdx") + [
        h.site("ord", "192.0.2.4")])
    wait_for("it came back", 10, lambda: "fra" in ids(name))
    assert ids(name) == dict(was, ord="104"), ids(name)
    h.stop(d)


@h.test
def test_reference_ids():
    """A Deployment that the reference made says its id in an argument only."""
    d = h.leader()
    c = h.c
    name = h.fresh("o")
    labels = {"app.kubernetes.io/name": "mysql",
              "app.kubernetes.io/instance": name,
              "app.kubernetes.io/managed-by": "bloodraven",
              "shipstream.io/failover-group": name, SITE: "pdx"}
    sel = {k: labels[k] for k in ("app.kubernetes.io/name",
                                  "app.kubernetes.io/instance", SITE)}
    dep = f"{APPS}/mysql-{name}-pdx"
    c.create(APPS, {
        "metadata": {"name": f"mysql-{name}-pdx", "labels": labels},
        "spec": {"selector": {"matchLabels": sel}, "template": {
            "metadata": {"labels": labels, "annotations": {
                "shipstream.io/spec-hash": "0123456789abcdef"}},
            "spec": {"containers": [{"name": "mysql", "image": "mysql:9.7", "args": [
                "--server-id=101", "--gtid-mode=ON"]}]}}}})
    h.make(name)
    wait_for("the other one", 10,
             lambda: c.get(f"{APPS}/mysql-{name}-iad"))
    h.settle(d)
    # 101 is pdx's, although it is the second.
    assert c.get(f"{APPS}/mysql-{name}-iad")["metadata"]["annotations"][
        ID] == "102"
    assert c.get(f"{CORE}/persistentvolumeclaims/mysql-{name}-pdx-data")[
        "metadata"]["annotations"][ID] == "101"
    # It is another template: reported, not replaced.
    assert c.get(dep)["spec"]["template"]["spec"]["containers"][0][
        "args"][0] == "--server-id=101"
    assert "pdx" in condition(name, "DeploymentsDiffer")["message"]
    h.stop(d)


def epoch_of(site, n=1):
    return dict(epoch=n, site=site, pod_uid="p" * 36,
                container_id="containerd://abc", server_uuid="1" * 36,
                proc_start_ms=7)


@h.test
def test_removed_site():
    """Deployment first, then, without a Pod, the rest; the volume stays. Not
    while the record lists an epoch of it; never what is not ours."""
    d = h.leader()
    c = h.c
    name = h.fresh("o")
    g = h.make(name, sites=three("iad", "pdx", "fra"))
    uid = g["metadata"]["uid"]
    ready(name, 19)
    d.expect("RECORD", group=uid, version=0)
    d.send("RECORD_PUT", **h.record_put(
        g, 0, 2, "iad", 1, promotion=False,
        unended=[epoch_of("fra", 1), epoch_of("iad", 2)]))
    assert d.expect("ACK", seq=1)["ok"]
    c.create(h.PODS, h.pod(g, f"{name}-fra", "fra"))
    d.expect("POD", group=uid, site="fra")
    # Somebody's own, with our labels; and one that is named like ours.
    mine = {"app.kubernetes.io/managed-by": "bloodraven",
            "shipstream.io/failover-group": name, SITE: "fra"}
    c.create(CORE + "/configmaps", {"metadata": {
        "name": f"{name}-mine", "labels": mine}})
    dep = f"{APPS}/mysql-{name}-fra"
    svcs = [f"{CORE}/services/mysql-{name}-fra{s}" for s in ("", "-internal")]
    rest = svcs + [f"{CORE}/configmaps/mysql-{name}-fra-config",
                   h.lease_secret(name, "fra")]
    before = versions(name)
    spec(name, sites=three("iad", "pdx"))
    d.expect("GROUP_CONF", group=uid, generation=2)
    h.settle(d)
    assert c.get(dep) and all(c.get(p) for p in rest), "its epoch is unended"
    d.send("RECORD_PUT", **h.record_put(
        g, 1, 2, "iad", 2, promotion=False, unended=[epoch_of("iad", 2)]))
    assert d.expect("ACK", seq=2)["ok"]
    wait_for("Deployment gone", 10, lambda: c.get(dep) is None)
    h.settle(d)
    assert all(c.get(p) for p in rest), "its Pod is still there"
    c.merge(f"{h.PODS}/{name}-fra", {"metadata": {"finalizers": None}})
    c.call("DELETE", f"{h.PODS}/{name}-fra", {"gracePeriodSeconds": 0})
    wait_for("the rest gone", 10, lambda: not any(c.get(p) for p in rest))
    assert c.get(f"{CORE}/persistentvolumeclaims/mysql-{name}-fra-data")
    assert c.get(f"{CORE}/configmaps/{name}-mine")
    assert "SiteRemoved" in reasons(g)
    h.settle(d)
    after = versions(name)
    for k, v in before.items():
        assert "-fra" in k or after[k] == v, k
    # It is found by another leader, too, also half of it.
    spec(name, sites=three("iad", "pdx", "fra"))
    wait_for("there again", 15, lambda: c.get(dep) and all(
        c.get(p) for p in rest))
    h.settle(d)
    h.stop(d)
    spec(name, sites=three("iad", "pdx"))
    c.delete(dep)
    d = h.leader()
    wait_for("gone again", 10, lambda: not any(c.get(p) for p in rest))
    h.stop(d)


@h.test
def test_restore_wanted():
    """A new group that asks for a restore is refused, and nothing of it is made.
    One that has a record goes on, also under the next leader."""
    ask = {"initFromBackup": {"source": {"pvc": {"claimName": "dumps"}}}}
    d = h.leader()
    name = h.fresh("o")
    g = h.make(name, **ask)
    uid = g["metadata"]["uid"]
    d.expect("GROUP_CONF", group=uid, valid=False)
    x = wait_for("condition", 20, lambda: condition(name, "SpecValid"))
    assert x["status"] == "False", x
    assert x["message"].startswith("spec.initFromBackup: "), x
    wait_for("Event", 20, lambda: "InvalidSpec" in reasons(g))
    h.settle(d)
    assert h.objects(name) == {} and h.c.get(h.lease_secret(name)) is None
    spec(name, initFromBackup=None)
    ready(name)
    d.send("RECORD_PUT", **h.record_put(g, 0, 1, "iad", 1, promotion=False))
    assert d.expect("ACK", seq=1)["ok"]
    spec(name, **ask)

    def goes_on():
        x = condition(name, "FieldsIgnored")
        return x["message"] == "spec.initFromBackup" and condition(
            name, "SpecValid")["status"] == "True"
    wait_for("ignored", 20, goes_on)
    h.stop(d)
    d = h.leader()
    d.expect("GROUP_CONF", group=uid, valid=True)
    h.settle(d)
    assert goes_on()
    h.stop(d)


@h.test
def test_active_site_stays():
    """The active site cannot be taken away or renamed; when another one is
    active, the same spec counts."""
    d, name, g = begun()
    c = h.c
    uid = g["metadata"]["uid"]
    d.send("RECORD_PUT", **h.record_put(g, 0, 1, "iad", 1, promotion=False))
    assert d.expect("ACK", seq=1)["ok"]
    spec(name, sites=three("pdx", "fra"))
    m = d.expect("GROUP_CONF", group=uid, valid=False)
    assert "'iad' is the active site" in m["problem"], m["problem"]
    wait_for("condition", 10, lambda: (x := condition(name, "SpecValid")) and
             x["status"] == "False")
    dep = f"{APPS}/mysql-{name}-iad"
    c.delete(dep)
    wait_for("the last valid one is in force", 10, lambda: c.get(dep))
    assert c.get(f"{APPS}/mysql-{name}-fra") is None
    at = d.mark()
    d.send("RECORD_PUT", **h.record_put(g, 1, 2, "pdx", 2, promotion=False))
    assert d.expect("ACK", seq=2)["ok"]
    d.expect("GROUP_CONF", since=at, group=uid, valid=True)
    wait_for("the new site", 10, lambda: c.get(f"{APPS}/mysql-{name}-fra"))
    wait_for("the old one is gone", 15, lambda: c.get(dep) is None)
    h.stop(d)


# ------------------------------------------------------------------ volumes

def owners(name, site="iad"):
    return [r["uid"] for r in h.c.get(
        f"{CORE}/persistentvolumeclaims/mysql-{name}-{site}-data")[
            "metadata"].get("ownerReferences", [])]


@h.test
def test_deletion_policy():
    """Volumes belong to the group only while it says so; what another one owns
    beside it is left alone."""
    d, name, g = begun()
    c = h.c
    uid = g["metadata"]["uid"]
    pvc = f"{CORE}/persistentvolumeclaims/mysql-{name}-iad-data"
    assert owners(name) == []
    spec(name, deletionPolicy="Delete")
    for s in ("iad", "pdx"):
        wait_for("owned", 10, lambda: owners(name, s) == [uid])
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x",
             "uid": "0" * 36}
    c.merge(pvc, {"metadata": {"ownerReferences": c.get(pvc)["metadata"][
        "ownerReferences"] + [other]}})
    spec(name, deletionPolicy="Retain")
    wait_for("not owned", 10, lambda: owners(name) == ["0" * 36] and
             owners(name, "pdx") == [])
    # As the reference leaves it: taken off before the group may go.
    h.settle(d)
    h.stop(d)
    ref = {"apiVersion": "shipstream.io/v1alpha1",
           "kind": "MysqlFailoverGroup", "name": name, "uid": uid,
           "controller": True}
    c.merge(pvc, {"metadata": {"ownerReferences": [ref]}})
    c.delete(f"{h.GROUPS}/{name}")
    d = h.leader()
    d.expect("GROUP_CONF", group=uid, deleting=True)
    h.settle(d)
    assert owners(name) == [uid] and c.get(f"{h.GROUPS}/{name}"), \
        "nothing before the parent's word"
    d.send("GROUP_RELEASE", group=uid)
    d.expect("GROUP_GONE", group=uid)
    assert owners(name) == []
    assert "GracefulShutdown" in reasons(g)
    # Made again by that name, it has its volumes again.
    g = h.make(name, with_secret=False)
    ready(name)
    h.settle(d)
    assert owners(name) == []
    h.stop(d)


@h.test
def test_deletion_asked_for():
    """deletionPolicy Delete: volumes are the group's when it goes, also when it
    was deleted at once; but not when what it owns shall stay."""
    d = h.leader()
    c = h.c
    for orphan in (False, True):
        name = h.fresh("o")
        g = h.make(name)
        uid = g["metadata"]["uid"]
        ready(name)
        wait_for("finalizer", 10, lambda: h.FIN in c.get(
            f"{h.GROUPS}/{name}")["metadata"].get("finalizers", []))
        c.call("DELETE", f"{h.GROUPS}/{name}", {
            "apiVersion": "v1", "kind": "DeleteOptions",
            "propagationPolicy": "Orphan" if orphan else "Background"})
        spec(name, deletionPolicy="Delete")
        d.expect("GROUP_CONF", group=uid, deleting=True)
        d.send("GROUP_RELEASE", group=uid)
        wait_for("ours is off", 10, lambda: (o := c.get(
            f"{h.GROUPS}/{name}")) is None or h.FIN not in o["metadata"].get(
                "finalizers", []))
        assert owners(name) == ([] if orphan else [uid]), orphan
        if orphan:
            c.merge(f"{h.GROUPS}/{name}", {"metadata": {"finalizers": None}})
        d.expect("GROUP_GONE", group=uid)
    h.stop(d)


@h.test
def test_foreign_volume():
    """A claim that is there is used; one that goes, or is another group's, is
    not built on."""
    d = h.leader()
    c = h.c
    name = h.fresh("o")
    claims = CORE + "/persistentvolumeclaims"

    def claim(site, **meta):
        return c.create(claims, {
            "metadata": dict(meta, name=f"mysql-{name}-{site}-data"),
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {
                "requests": {"storage": "1Gi"}}}})
    claim("iad")
    claim("pdx", labels={"shipstream.io/failover-group": "another"})
    g = h.make(name)
    wait_for("Deployment", 10, lambda: c.get(f"{APPS}/mysql-{name}-iad"))
    m = c.get(f"{claims}/mysql-{name}-iad-data")["metadata"]
    assert m["labels"][SITE] == "iad" and m["annotations"][ID] == "101", m
    wait_for("Event", 10, lambda: "ApplyFailed" in reasons(g))
    h.settle(d)
    assert c.get(f"{APPS}/mysql-{name}-pdx") is None
    assert c.get(f"{claims}/mysql-{name}-pdx-data")["metadata"]["labels"] == {
        "shipstream.io/failover-group": "another"}
    h.stop(d)
    # It was deleted with an earlier group of this name, and is not gone yet.
    name = h.fresh("o")
    ours = {"app.kubernetes.io/managed-by": "bloodraven",
            "shipstream.io/failover-group": name}
    claim("iad", labels=ours, ownerReferences=[{
        "apiVersion": "shipstream.io/v1alpha1", "kind": "MysqlFailoverGroup",
        "name": name, "uid": "0" * 36, "controller": True}])
    claim("pdx", labels=ours, finalizers=["example.net/hold"])
    c.delete(f"{claims}/mysql-{name}-pdx-data")
    d = h.leader()
    h.make(name)
    wait_for("Services", 10, lambda: c.get(
        f"{CORE}/services/mysql-{name}-replicas"))
    h.settle(d)
    for s in ("iad", "pdx"):
        assert c.get(f"{APPS}/mysql-{name}-{s}") is None, s
    c.merge(f"{claims}/mysql-{name}-pdx-data",
            {"metadata": {"finalizers": None}})
    try:
        c.delete(f"{claims}/mysql-{name}-iad-data")
    except Answer as e:
        assert e.status == 404
    # The claims carry a finalizer of the API server's own.
    for s in ("iad", "pdx"):
        try:
            c.merge(f"{claims}/mysql-{name}-{s}-data",
                    {"metadata": {"finalizers": None}})
        except Answer as e:
            assert e.status == 404
    ready(name)
    h.stop(d)


@h.test
def test_legacy_configmap():
    """mysql-<group>-config of an early release goes when nobody mounts it."""
    d, name, g = begun()
    c = h.c
    cm = f"{CORE}/configmaps/mysql-{name}-config"
    c.create(CORE + "/configmaps", {"metadata": {
        "name": f"mysql-{name}-config", "labels": {
            "app.kubernetes.io/managed-by": "bloodraven",
            "shipstream.io/failover-group": name}, "ownerReferences": [{
                "apiVersion": "shipstream.io/v1alpha1",
                "kind": "MysqlFailoverGroup", "name": name,
                "uid": g["metadata"]["uid"], "controller": True}]}})
    wait_for("gone", 10, lambda: c.get(cm) is None)
    h.stop(d)


# ------------------------------------------------------- names of two groups

@h.test
def test_names_of_two_groups():
    """Two groups whose objects would bear one name: whose they are keeps them,
    under another leader too. The other one stays valid, has what else it wants,
    and its condition names field and group until the name is free."""
    d = h.leader()
    c = h.c
    short = h.fresh("n")
    name = short + "-b"
    g = h.make(name, sites=three("iad", "pdx", "fra"))
    ready(name, 19)
    h.settle(d)
    secret = f"{CORE}/secrets/mysql-{name}-fra-lease"
    was, key = versions(name), c.get(secret)["metadata"]["resourceVersion"]
    theirs = [h.site("iad", "192.0.2.1"), h.site("b-fra", "192.0.2.2")]
    other = h.make(short, sites=theirs)
    uid = other["metadata"]["uid"]
    field = "spec.sites[1].name: "

    def taken(status="True"):
        x = condition(short, "NamesTaken")
        return x and x["status"] == status and x

    def kept():
        """All of the one's; the other has its own site and the group's own."""
        h.settle(d)
        mine, now = h.objects(short), versions(name)
        # Services: see test_group_to_objects.
        assert now.keys() == was.keys() and not [
            k for k in was if now[k] != was[k] and "services/" not in k], now
        for k in now:
            if "services/" in k:
                o = h.objects(name)[k]["metadata"]["ownerReferences"]
                assert [x["name"] for x in o] == [name], o
        assert not [k for k in mine if "fra" in k], mine.keys()
        assert c.get(secret)["metadata"]["resourceVersion"] == key
        assert f"deployments/mysql-{short}-iad" in mine, mine.keys()
        assert d.last("GROUP_CONF", group=uid)["valid"]
        assert d.last("GROUP_CONF", group=g["metadata"]["uid"])["valid"]
        assert condition(name, "NamesTaken")["status"] == "False"

    def keys(**kw):
        return d.count("KEYS", group=uid, site="b-fra", **kw)
    m = wait_for("condition", 20, taken)["message"]
    assert m.startswith(field) and m.endswith(f"is group {name}'s"), m
    assert "; " not in m, m
    wait_for("Event", 10, lambda: "NamesTaken" in reasons(other))
    kept()
    h.stop(d)
    # The intruder may be listed first now, and the one has no valid spec.
    spec(name, sites=three("iad", "pdx") + [
        h.site("primary", "192.0.2.9")])
    d = h.leader()
    wait_for("judged again", 20, lambda: d.last("GROUP_CONF", group=uid))
    h.settle(d)
    spec(name, sites=three("iad", "pdx", "fra"))
    wait_for("valid", 10, lambda: (x := d.last("GROUP_CONF", group=g[
        "metadata"]["uid"])) and x["valid"])
    kept()
    assert taken()["message"].startswith(field)
    # Told once, however often it is looked at; else its key would be made.
    n = keys()
    assert keys(taken=True) == 1, n
    # The name becomes free: that site's Pod and epochs there are none.
    spec(name, sites=three("iad", "pdx"))
    svc = f"{CORE}/services/mysql-{name}-fra"
    wait_for("the other's Service", 120, lambda: (o := c.get(svc)) and
             o["metadata"]["labels"]["shipstream.io/failover-group"] == short)
    wait_for("its lease key", 30, lambda: (o := c.get(secret)) and
             o["metadata"]["labels"]["shipstream.io/failover-group"] == short)
    assert keys(taken=True) == 1 and keys() > n
    # The volume is still the one's that had the site, and says so.
    wait_for("the volume", 60, lambda: "persistentvolumeclaims" in taken()[
        "message"])
    assert c.get(f"{APPS}/mysql-{name}-fra") is None
    assert c.get(f"{CORE}/persistentvolumeclaims/mysql-{name}-fra-data")[
        "metadata"]["labels"]["shipstream.io/failover-group"] == name
    # Without that site there is nothing to say.
    spec(short, sites=three("iad", "pdx"))
    wait_for("over", 60, lambda: taken("False"))
    h.stop(d)
