"""What a hand changes of Pods, of the group itself and of its status."""
import __main__ as h
from cluster import wait_for


def labels(pod):
    m = h.c.get(f"{h.PODS}/{pod}")["metadata"]["labels"]
    return m.get("shipstream.io/role"), m.get("shipstream.io/healthy")


@h.test
def test_fence_put_back():
    """Our finalizer, taken off a Pod of ours that stays, is put back: at once by
    whoever leads, later by whoever begins to. Not where it never was; and a Pod
    that goes, or whose group goes, is let go."""
    d = h.leader()
    name = h.fresh("h")
    g = h.make(name)
    uid = g["metadata"]["uid"]
    d.expect("GROUP_CONF", group=uid)
    ours = h.pod(g, f"{name}-iad", "iad")
    ours["spec"]["volumes"] = [{"name": "keys", "secret": {
        "secretName": f"mysql-{name}-iad-lease"}}]
    pod = h.c.create(h.PODS, ours)["metadata"]
    other = f"{name}-pdx"	# of the reference's
    h.c.create(h.PODS, h.pod(g, other, "pdx", finalizer=False))
    path = f"{h.PODS}/{name}-iad"
    off = {"metadata": {"finalizers": None}}
    d.expect("POD", group=uid, site="iad", finalizer=True)
    h.settle(d)
    h.c.merge(path, off)
    wait_for("put back", 20, lambda: h.fenced(f"{name}-iad"))
    h.c.merge(path, {"metadata": {"finalizers": ["x.example/y"]}})
    wait_for("put back beside another", 20, lambda: h.fenced(f"{name}-iad"))
    assert "x.example/y" in h.c.get(path)["metadata"]["finalizers"]
    h.c.merge(path, {"metadata": {"finalizers": [h.FENCE]}})
    h.stop(d)
    # Nobody leads: what the manual has for that works, and is undone later.
    h.c.merge(path, off)
    assert not h.fenced(f"{name}-iad")
    d = h.leader()
    wait_for("put back", 20, lambda: h.fenced(f"{name}-iad"))
    h.settle(d)
    assert not h.fenced(other)
    # The operator itself lets a Pod go.
    h.c.delete(path)
    d.expect("POD", group=uid, site="iad", deleting=True)
    d.send("POD_RELEASE", group=uid, seq=5, valid_for_ms=5000,
           pod_name=f"{name}-iad", pod_uid=pod["uid"])
    assert d.expect("ACK", seq=5)["ok"]
    h.settle(d)
    assert not h.fenced(f"{name}-iad")
    h.stop(d)
    for p in (f"{name}-iad", other):
        if h.c.get(f"{h.PODS}/{p}"):
            h.c.merge(f"{h.PODS}/{p}", off)
            h.c.call("DELETE", f"{h.PODS}/{p}", {"gracePeriodSeconds": 0})


@h.test
def test_hands():
    """Role and health of a Pod, the group's finalizer and an overwritten status
    are put back; then nothing is written any more."""
    d = h.leader()
    name = h.fresh("h")
    g = h.make(name)
    path = f"{h.GROUPS}/{name}"
    d.expect("GROUP_CONF", group=g["metadata"]["uid"])
    for st in ("iad", "pdx"):
        h.c.create(h.PODS, h.pod(g, f"{name}-{st}", st))
    h.tell_status(d, g, "iad")
    want = {"iad": ("primary", "yes"), "pdx": ("replica", "yes")}

    def all_set():
        return all(labels(f"{name}-{st}") == w for st, w in want.items())
    wait_for("labels", 20, all_set)
    for role, healthy in (("replica", "no"), ("x", None), (None, "yes")):
        for st in want:
            h.c.merge(f"{h.PODS}/{name}-{st}", {"metadata": {"labels": {
                "shipstream.io/role": role, "shipstream.io/healthy":
                healthy}}})
        wait_for(f"labels after {role} {healthy}", 20, all_set)
    # A second primary, by hand.
    h.c.merge(f"{h.PODS}/{name}-pdx", {"metadata": {"labels": {
        "shipstream.io/role": "primary"}}})
    wait_for("one primary", 20, all_set)
    fin = lambda: h.c.get(path)["metadata"].get(  # noqa: E731
        "finalizers", [])
    wait_for("finalizer", 20, lambda: h.FIN in fin())
    h.c.merge(path, {"metadata": {"finalizers": None}})
    wait_for("finalizer again", 20, lambda: h.FIN in fin())
    h.c.merge(path, {"metadata": {"finalizers": ["x.example/y"]}})
    wait_for("finalizer beside another", 20, lambda: sorted(fin()) == sorted(
        [h.FIN, "x.example/y"]))
    h.c.merge(path, {"metadata": {"finalizers": [h.FIN]}})
    status = lambda: h.c.get(path)["status"]  # noqa: E731
    wait_for("status", 20, lambda: status().get("activeSite") == "iad")
    h.settle(d)
    was = status()
    h.c.merge(path + "/status", {"status": {
        "activeSite": "pdx", "siteSummary": "nothing", "conditions": [],
        "sites": []}})

    def as_before():
        s = status()
        return s.get("activeSite") == "iad" and s["siteSummary"] == was[
            "siteSummary"] and [x["name"] for x in s["sites"]] == [
                "iad", "pdx"] and {x["type"]: x["status"] for x in s[
                    "conditions"]} == {x["type"]: x["status"] for x in was[
                        "conditions"]}
    wait_for("status again", 20, as_before)
    h.settle(d)
    rv = h.c.get(path)["metadata"]["resourceVersion"]
    h.tell_status(d, g, "iad", rev=2)
    h.settle(d)
    assert h.c.get(path)["metadata"]["resourceVersion"] == rv
    h.stop(d)
    for st in want:
        h.c.merge(f"{h.PODS}/{name}-{st}", {"metadata": {
            "finalizers": None}})
        h.c.call("DELETE", f"{h.PODS}/{name}-{st}", {
            "gracePeriodSeconds": 0})


OURS = {"app.kubernetes.io/name": "mysql",
        "app.kubernetes.io/managed-by": "bloodraven"}
GROUP = "shipstream.io/failover-group"
SITE = "shipstream.io/site"


def running(path, cid, **last):
    h.c.merge(path + "/status", {"status": {"containerStatuses": [dict(
        name="mysql", image="x", imageID="", ready=True, restartCount=0,
        containerID=f"containerd://{cid}",
        state={"running": {"startedAt": "2026-11-26T12:00:00Z"}}, **last)]}})


@h.test
def test_labels_are_no_death():
    """A label that says whose a running Pod is, taken off or changed, never
    makes it gone: what the kubelet says of it is still told, as its site's and
    its group's, and the label is put back. Gone is what no read finds."""
    d = h.leader(**h.SHORT)
    name, other = h.fresh("h"), h.fresh("h")
    g = h.make(name)
    h.make(other)
    uid = g["metadata"]["uid"]
    d.expect("GROUP_CONF", group=uid)
    path = f"{h.PODS}/{name}-iad"
    pod = h.pod(g, f"{name}-iad", "iad")
    pod["spec"]["volumes"] = [{"name": "keys", "secret": {
        "secretName": f"mysql-{name}-iad-lease"}}]
    me = h.c.create(h.PODS, pod)["metadata"]
    want = dict(OURS, **{GROUP: name, SITE: "iad",
                         "app.kubernetes.io/instance": name})

    def told(p):
        return {k: h.c.get(p)["metadata"]["labels"].get(k) for k in want}

    def restored():
        return told(path) == want
    d.expect("POD", group=uid, site="iad", pod_uid=me["uid"])
    at = d.mark()
    changes = [{k: v} for k in want for v in (None, "spoiled")]
    changes += [{SITE: "pdx"}, {GROUP: other}, dict.fromkeys(want)]
    for i, change in enumerate(changes):
        h.c.merge(path, {"metadata": {"labels": change}})
        wait_for(f"labels after {change}", 20, restored)
        running(path, f"c{i}")
        d.expect("POD", group=uid, site="iad", container_id=f"containerd://c{i}",
                 since=at)

    def never_gone(d, at=0):
        with d.lock:
            bad = [m for m in d.msgs[at:] if m["type"] == "POD" and
                   m["pod_uid"] == me["uid"] and
                   (m["gone"] or m["group"] != uid or m["site"] != "iad")]
        assert not bad, bad[0]
    never_gone(d, at)
    # Nobody may put it back for a while: it is there all the same.
    standby = h.drive(IDENTITY=h.fresh("op"))
    standby.expect("POD", group=uid, site="iad")
    standby.expect("SYNCED", synced=True)
    d.kill()
    h.c.merge(path, {"metadata": {"labels": {GROUP: None}}})
    running(path, "standby")
    standby.expect("POD", 20, group=uid, site="iad",
                   container_id="containerd://standby")
    standby.expect("LEASE", 60, held=True)
    wait_for("labels", 20, restored)
    never_gone(standby)
    # A new process doesn't list it; it is asked, and looks.
    standby.kill()
    h.c.merge(path, {"metadata": {"labels": {GROUP: None}}})
    d = h.drive(IDENTITY=h.fresh("op"))
    d.expect("SYNCED", synced=True)
    assert d.last("POD", pod_uid=me["uid"]) is None
    ask = dict(group=uid, site="iad", pod_name=f"{name}-iad")
    d.send("POD_CHECK", pod_uid=me["uid"], **ask)
    d.expect("POD", group=uid, site="iad", pod_uid=me["uid"], gone=False,
             container_id="containerd://standby")
    # That one is not: another has its name; no Pod has it at all.
    d.send("POD_CHECK", pod_uid="0" * 36, **ask)
    d.expect("POD", group=uid, pod_uid="0" * 36, gone=True)
    d.send("POD_CHECK", pod_uid="1" * 36, **dict(ask, pod_name="nobody"))
    d.expect("POD", group=uid, pod_uid="1" * 36, gone=True)
    d.expect("LEASE", 60, held=True)
    wait_for("labels", 20, restored)
    never_gone(d)
    h.settle(d)
    rv = h.c.get(path)["metadata"]["resourceVersion"]
    h.settle(d)
    assert h.c.get(path)["metadata"]["resourceVersion"] == rv
    # One whose read fails, whenever it is asked for, keeps nobody waiting.
    d.send("POD_CHECK", pod_uid="2" * 36,
           **dict(ask, pod_name=f"{name}-iad/eviction"))
    d.send("POD_CHECK", pod_uid="3" * 36, **dict(ask, pod_name="no-one"))
    d.expect("POD", 20, group=uid, pod_uid="3" * 36, gone=True)
    assert d.last("POD", pod_uid="2" * 36) is None
    # And when it goes, that is told.
    h.c.delete(path)
    d.expect("POD", group=uid, pod_uid=me["uid"], deleting=True)
    h.c.merge(path, {"metadata": {"finalizers": None}})
    h.c.call("DELETE", path, {"gracePeriodSeconds": 0})
    d.expect("POD", group=uid, pod_uid=me["uid"], gone=True)
    h.stop(d)


@h.test
def test_labels_changed_unseen():
    """What was changed while no operator looked: the key that a Pod mounts says
    whose it is, whatever its labels say."""
    name = h.fresh("h")
    g = h.make(name)
    uid = g["metadata"]["uid"]
    path = f"{h.PODS}/{name}-iad"
    pod = h.pod(g, f"{name}-iad", "pdx")
    pod["spec"]["volumes"] = [{"name": "keys", "secret": {
        "secretName": f"mysql-{name}-iad-lease"}}]
    h.c.create(h.PODS, pod)
    d = h.leader()
    d.expect("POD", group=uid, site="iad")
    wait_for("label", 20, lambda: h.c.get(path)["metadata"]["labels"][
        SITE] == "iad")
    assert d.count("POD", group=uid, site="pdx") == 0
    h.c.merge(path, {"metadata": {"finalizers": None}})
    h.stop(d)
    h.c.merge(path, {"metadata": {"finalizers": None}})
    h.c.call("DELETE", path, {"gracePeriodSeconds": 0})
