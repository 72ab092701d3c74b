"""What a watch tells between a request and its answer is not forgotten: the real
API server, behind a gateway that holds answers back."""
import json
import re
import threading

import __main__ as h
import discovery
import gateway
import hands
import taints
from cluster import CORE, PDBS, b64, key_put, wait_for


class Hold:
    """The next request like this stops, before or after the API server does it,
    until it may go on."""
    def __init__(self, method, path, after=True):
        self.method, self.path, self.after = method, re.compile(path), after
        self.there, self.may_go = threading.Event(), threading.Event()
        Late.holds.append(self)

    def reached(self):
        assert self.there.wait(20), f"no {self.method} {self.path.pattern}"

    def go(self):
        self.may_go.set()


class Late(gateway.Gateway):
    holds, told = [], []
    asked = []          # the paths of requests
    fails = []          # method, part of the path, status of its next answer

    def stop(self, after):
        for x in Late.holds:
            if x.after == after and x.method == self.command and \
                    x.path.search(self.path) and not x.there.is_set():
                x.there.set()
                x.may_go.wait(30)

    def refused(self, body):
        Late.asked.append(self.path)
        for x in Late.fails:
            if x[0] == self.command and x[1] in self.path:
                Late.fails.remove(x)
                self.answer(x[2], b'{"kind":"Status"}')
                return True
        self.stop(False)
        return False

    def answered(self):
        self.stop(True)

    def passed(self, line):
        e = json.loads(line)
        m = e["object"].get("metadata", {})
        Late.told.append((e["type"], m.get("name"), m.get("resourceVersion")))


def begun(**env):
    Late.holds, Late.told, Late.asked, Late.fails = [], [], [], []
    srv = gateway.server(Late)
    return h.leader(API_PORT=srv.server_port, **env), srv


def heard(d, obj):
    """The program knows that somebody made that of an object."""
    m = obj["metadata"]
    wait_for(f"{m['name']} is told", 10, lambda: any(
        x[1:] == (m["name"], m["resourceVersion"]) for x in Late.told))
    dealt_with(d)


def heard_end(d, path, since):
    """Likewise, that it was deleted, or went out of the watch."""
    name = path.rsplit("/", 1)[1]
    wait_for(f"{name} is gone", 10, lambda: any(
        x[:2] == ("DELETED", name) for x in Late.told[since:]))
    dealt_with(d)


def dealt_with(d):
    """What was written to it before: it asks its sockets once a turn."""
    for _ in range(3):
        d.stats()


def end(d, srv):
    h.stop(d)
    srv.shutdown()


def group_of(d, **spec):
    name = h.fresh("l")
    g = h.make(name, **spec)
    d.expect("GROUP_CONF", group=g["metadata"]["uid"])
    wait_for("objects", 20, lambda: len(h.objects(name)) == 14)
    return name, g


def label(path, **labels):
    return h.c.merge(path, {"metadata": {"labels": {
        f"shipstream.io/{k}": v for k, v in labels.items()}}})


@h.test
def test_late_role():
    """Labels that somebody changes while our own patch of them is answered, or
    just before it is done."""
    d, srv = begun()
    name, g = group_of(d)
    path = f"{h.PODS}/{name}-iad"
    h.c.create(h.PODS, h.pod(g, f"{name}-iad", "iad"))
    h.tell_status(d, g, "iad")

    def put_back():
        return hands.labels(f"{name}-iad") == ("primary", "yes")
    for after in True, False:
        wait_for("labels", 20, put_back)
        h.settle(d)
        x = Hold("PATCH", path, after)
        label(path, role="replica")
        x.reached()
        heard(d, label(path, role="replica", healthy="no" if after else "x"))
        x.go()
        wait_for(f"labels again, {after}", 20, put_back)
    h.settle(d)
    rv = h.c.get(path)["metadata"]["resourceVersion"]
    h.settle(d)
    assert h.c.get(path)["metadata"]["resourceVersion"] == rv
    end(d, srv)


@h.test
def test_late_strip():
    """Labels that say whose a Pod is, taken off once more; and what the kubelet
    says while it is read by its name."""
    d, srv = begun()
    name, g = group_of(d)
    uid = g["metadata"]["uid"]
    path = f"{h.PODS}/{name}-iad"
    me = h.c.create(h.PODS, h.pod(g, f"{name}-iad", "iad"))["metadata"]
    d.expect("POD", group=uid, site="iad", pod_uid=me["uid"])
    off = {"failover-group": None}
    h.settle(d)
    for kind in off, {"site": "x"}:
        x = Hold("PATCH", path)
        label(path, **kind)
        x.reached()
        at = len(Late.told)
        o = label(path, **kind)
        if kind is off:
            heard_end(d, path, at)
        else:
            heard(d, o)
        x.go()
        wait_for(f"put back after {kind}", 20, lambda: h.c.get(path)[
            "metadata"]["labels"].get(hands.GROUP) == name and h.c.get(path)[
                "metadata"]["labels"].get(hands.SITE) == "iad")
        h.settle(d)
    x = Hold("GET", path)
    label(path, **off)
    x.reached()
    label(path, **{"failover-group": name})
    hands.running(path, "late")
    d.expect("POD", group=uid, container_id="containerd://late")
    x.go()
    h.settle(d)
    assert d.last("POD", pod_uid=me["uid"])["container_id"] == \
        "containerd://late"
    end(d, srv)


@h.test
def test_late_finalizer():
    """Our finalizer, of a Pod and of a group, taken off once more."""
    d, srv = begun()
    name, g = group_of(d)
    pod = h.pod(g, f"{name}-iad", "iad")
    pod["spec"]["volumes"] = [{"name": "keys", "secret": {
        "secretName": f"mysql-{name}-iad-lease"}}]
    h.c.create(h.PODS, pod)
    d.expect("POD", group=g["metadata"]["uid"], site="iad", finalizer=True)
    none = {"metadata": {"finalizers": None}}
    for path, fin in ((f"{h.PODS}/{name}-iad", h.FENCE),
                      (f"{h.GROUPS}/{name}", h.FIN)):
        h.settle(d)
        x = Hold("PATCH", path + "$")
        h.c.merge(path, none)
        x.reached()
        heard(d, h.c.merge(path, none))
        x.go()
        wait_for(f"{fin} again", 20, lambda: fin in h.c.get(path)[
            "metadata"].get("finalizers", []))
    h.settle(d)
    end(d, srv)


@h.test
def test_late_object():
    """An object of ours that is changed or deleted while our own write of it,
    or, where its name could be another group's, our look at it is answered."""
    d, srv = begun()
    name, _ = group_of(d)
    path = f"{CORE}/configmaps/mysql-{name}-iad-config"

    def spoil(how):
        return h.c.merge(path, {"data": {"bloodraven.cnf": how}})

    def put_back():
        o = h.c.get(path)
        return o and o["data"] == want
    want = h.c.get(path)["data"]
    for delete in False, True:
        h.settle(d)
        x = Hold("PATCH", path)
        spoil("one")
        x.reached()
        at = len(Late.told)
        if delete:
            h.c.delete(path)
            heard_end(d, path, at)
        else:
            heard(d, spoil("two"))
        x.go()
        wait_for(f"put back, deleted: {delete}", 20, put_back)
    h.make(f"{name}-x")
    wait_for("objects", 20, lambda: len(h.objects(f"{name}-x")) == 14)
    h.settle(d)
    before, after = Hold("GET", path, False), Hold("GET", path)
    spoil("one")
    before.reached()
    h.c.merge(path, {"data": want})
    before.go()
    after.reached()
    heard(d, spoil("two"))
    after.go()
    wait_for("put back after a look", 20, put_back)
    h.settle(d)
    end(d, srv)


@h.test
def test_late_taint():
    """A taint that is taken off while its node is read, and was there."""
    taints.clean()
    d, srv = begun()
    name = h.fresh("l")
    g = taints.group_with(name, iad={"zone": "a"}, pdx={"zone": "b"})
    taints.node("late", zone="b")
    d.expect("GROUP_CONF", group=g["metadata"]["uid"], valid=True)
    taints.tell(d, g, iad=taints.OFF, pdx=taints.ON)
    path = f"{taints.NODES}/late"
    wait_for("tainted", 10, lambda: taints.taints("late") == [
        taints.ours(name)])
    h.settle(d)
    spec = {"taints": h.c.get(path)["spec"]["taints"]}
    before, after = Hold("GET", path + "$", False), Hold("GET", path + "$")
    h.c.merge(path, {"spec": {"taints": None}})
    before.reached()
    h.c.merge(path, {"spec": spec})
    before.go()
    after.reached()
    heard(d, h.c.merge(path, {"spec": {"taints": None}}))
    after.go()
    wait_for("tainted again", 20, lambda: taints.taints("late") == [
        taints.ours(name)])
    # The watch told of it, and then it was another one of that name.
    h.settle(d)
    after = Hold("GET", path + "$")
    h.c.merge(path, {"spec": {"taints": None}})
    after.reached()
    at = len(Late.told)
    h.c.delete(path)
    heard_end(d, path, at)
    heard(d, taints.node("late", zone="b"))
    after.go()
    wait_for("the new one is tainted", 20, lambda: taints.taints("late") == [
        taints.ours(name)])
    end(d, srv)
    taints.clean()


@h.test
def test_late_key():
    """A lease key's Secret that somebody changes before our own write of it is
    answered, or makes before the answer that there is none."""
    d, srv = begun(keys=False)
    name = h.fresh("l")
    uid = h.make(name)["metadata"]["uid"]
    d.expect("KEYS", group=uid, site="iad", generation=0)
    path = h.lease_secret(name)
    h.settle(d)
    x = Hold("POST", f"{CORE}/secrets")
    d.send("KEY_PUT", **key_put(uid, "iad"))
    x.reached()
    heard(d, h.c.merge(path, {"data": {"generation": b64("7")}}))
    x.go()
    h.settle(d)
    assert d.last("KEYS", group=uid, site="iad")["generation"] == 7
    o = h.c.get(path)
    m = o["metadata"]
    o["metadata"] = dict(name=f"mysql-{name}-fra-lease", labels=dict(
        m["labels"], **{hands.SITE: "fra"}))
    x = Hold("GET", "-fra-lease")
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {"sites": [
        h.site(n, f"192.0.2.{i}") for i, n in enumerate(
            ("iad", "pdx", "fra"))]}})
    x.reached()
    heard(d, h.c.create(CORE + "/secrets", o))
    x.go()
    h.settle(d)
    assert d.last("KEYS", group=uid, site="fra")["generation"] == 7
    end(d, srv)


@h.test
def test_late_list():
    """A record of a list that began before our own write of it is none."""
    d, srv = begun(WATCH_S=2)
    name, g = group_of(d)
    uid = g["metadata"]["uid"]
    d.send("RECORD_PUT", **h.record_put(g, 0, 1, "iad", 81))
    assert d.expect("ACK", seq=81)["ok"]
    h.settle(d)
    x = Hold("GET", r"/mysqlfailovergroups\?limit=")
    watch = "/mysqlfailovergroups?watch="
    Late.fails = [("GET", watch, 410)]
    x.reached()
    d.send("RECORD_PUT", **h.record_put(g, 1, 2, "pdx", 82))
    assert d.expect("ACK", seq=82)["ok"]
    d.expect("RECORD", group=uid, version=2)
    at = len(Late.asked)
    x.go()
    wait_for("listed", 10, lambda: any(watch in p for p in Late.asked[at:]))
    h.settle(d)
    assert d.last("RECORD", group=uid)["version"] == 2
    end(d, srv)


@h.test
def test_late_annotation():
    """A request that is made again, while the first one, done, is removed."""
    d, srv = begun()
    name, g = group_of(d)
    path = f"{h.GROUPS}/{name}"
    key = h.ANN + "reclone-site"
    ask = {"metadata": {"annotations": {key: "pdx"}}}
    done = dict(group=g["metadata"]["uid"], key=key, value="pdx")
    h.c.merge(path, ask)
    d.expect("ANNOTATION", **done)
    h.settle(d)
    x = Hold("PATCH", path + "$")
    d.send("ANNOTATION_DEL", **done)
    x.reached()
    at = d.mark()
    h.c.merge(path, ask)
    d.expect("ANNOTATION", since=at, **done)
    d.send("ANNOTATION_DEL", **done)
    dealt_with(d)
    x.go()
    wait_for("removed", 20, lambda: key not in h.c.get(path)["metadata"].get(
        "annotations", {}))
    end(d, srv)


@h.test
def test_late_legacy():
    """The ConfigMap of an early release goes, also when it could not at first."""
    d, srv = begun()
    name, g = group_of(d)
    cm = f"{CORE}/configmaps/mysql-{name}-config"
    # A pass that finds Deployments, none of which mounts it.
    pdb = f"{PDBS}/mysql-{name}"
    h.settle(d)
    discovery.put_back(pdb)
    h.settle(d)
    Late.fails = [("DELETE", cm, 500)]
    h.c.create(CORE + "/configmaps", {"metadata": {
        "name": f"mysql-{name}-config", "labels": {
            "app.kubernetes.io/managed-by": "bloodraven", hands.GROUP: name},
        "ownerReferences": [{
            "apiVersion": "shipstream.io/v1alpha1",
            "kind": "MysqlFailoverGroup", "name": name,
            "uid": g["metadata"]["uid"], "controller": True}]}})
    wait_for("gone", 20, lambda: not Late.fails and h.c.get(cm) is None)
    end(d, srv)
