"""Updates: what differs is told, and applied site by site when it is said so."""
import __main__ as h
from cluster import APPS, CORE, wait_for

HASH = "shipstream.io/spec-hash"


def begun(**spec):
    """A leader, and a group whose Deployments are there and told."""
    d = h.leader()
    name = h.fresh("r")
    g = h.make(name, **spec)
    uid = g["metadata"]["uid"]
    wait_for("as specified", 20, lambda: (m := d.last(
        "ROLLOUT", group=uid)) and all(
            s["have"] and s["have"] == s["want"] for s in m["sites"]))
    return d, name, uid


def sites(d, uid):
    return {s["name"]: s for s in d.last("ROLLOUT", group=uid)["sites"]}


def differ(d, uid, *names):
    """Wait until just these sites are told to differ; what they shall have."""
    def look():
        m = d.last("ROLLOUT", group=uid)
        now = [s["name"] for s in m["sites"] if s["want"] != s["have"]]
        return now == list(names) and sites(d, uid)
    return wait_for(f"differing: {names}", 15, look)


def deployment(name, site):
    return h.c.get(f"{APPS}/mysql-{name}-{site}")


def image(name, site):
    return deployment(name, site)["spec"]["template"]["spec"]["containers"][
        0]["image"]


def conf(name, site):
    return h.c.get(f"{CORE}/configmaps/mysql-{name}-{site}-config")["data"][
        "bloodraven.cnf"]


def roll(d, uid, seq, site, hash, ms=8000):
    at = d.mark()
    d.send("ROLL", group=uid, seq=seq, site=site, hash=hash,
           valid_for_ms=ms)
    return d.expect("ACK", 10, since=at, group=uid, seq=seq)


@h.test
def test_roll_one_site():
    """A new template waits for the core's word, its ConfigMap with it."""
    d, name, uid = begun()
    before = {s: deployment(name, s)["metadata"]["generation"]
              for s in ("iad", "pdx")}
    was = {s: conf(name, s) for s in before}
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {
        "image": "mysql:9.7.1", "mysqlConf": {"max_connections": "77"}}})
    now = differ(d, uid, "iad", "pdx")
    wait_for("the condition", 10, lambda: any(
        x["type"] == "DeploymentsDiffer" and x["status"] == "True" and
        x["message"] == "iad, pdx"
        for x in h.c.get(f"{h.GROUPS}/{name}")["status"]["conditions"]))
    for s in ("iad", "pdx"):
        assert deployment(name, s)["metadata"]["generation"] == before[s]
        assert conf(name, s) == was[s]
    a = roll(d, uid, 11, "pdx", now["pdx"]["want"])
    assert a["ok"], a
    assert image(name, "pdx") == "mysql:9.7.1"
    assert image(name, "iad") == "mysql:9.7"
    assert "max-connections=77" in conf(name, "pdx")
    assert conf(name, "iad") == was["iad"]
    t = deployment(name, "pdx")["spec"]["template"]["metadata"]
    assert t["annotations"][HASH] == now["pdx"]["want"]
    differ(d, uid, "iad")
    # Nothing that follows touches the other one.
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {"failureThreshold": 4}})
    d.expect("GROUP_CONF", 10, group=uid, failure_threshold=4)
    h.settle(d)
    assert deployment(name, "iad")["metadata"]["generation"] == before["iad"]
    assert conf(name, "iad") == was["iad"]
    a = roll(d, uid, 12, "iad", now["iad"]["want"])
    assert a["ok"], a
    differ(d, uid)
    assert "max-connections=77" in conf(name, "iad")
    h.stop(d)


@h.test
def test_roll_refused():
    """Another template than the one that the spec gives now; too late."""
    d, name, uid = begun()
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {"image": "mysql:9.7.1"}})
    first = differ(d, uid, "iad", "pdx")
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {"image": "mysql:9.7.2"}})
    wait_for("another hash", 10, lambda: sites(d, uid)["pdx"]["want"] !=
             first["pdx"]["want"])
    for seq, site, hash, ms in (
            (21, "pdx", first["pdx"]["want"], 8000),
            (22, "pdx", "", 8000), (23, "nowhere", "0" * 16, 8000),
            (24, "pdx", sites(d, uid)["pdx"]["want"], -1)):
        a = roll(d, uid, seq, site, hash, ms)
        assert not a["ok"] and not a["unknown"], a
    a = d.mark()
    d.send("ROLL", group="0" * 36, seq=25, site="pdx", hash="0" * 16,
           valid_for_ms=8000)
    assert not d.expect("ACK", 5, since=a, seq=25)["ok"]
    assert image(name, "pdx") == "mysql:9.7"
    # Back to what it was: nothing differs, nothing was touched.
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {"image": "mysql:9.7"}})
    differ(d, uid)
    assert deployment(name, "pdx")["metadata"]["generation"] == 1
    h.stop(d)


@h.test
def test_roll_fields():
    """Every field that reaches a Pod differs when it changes; what does not
    restart a server does not. (The sites' order is among the latter.)"""
    d, name, uid = begun()
    path = f"{h.GROUPS}/{name}"
    both, one = ("iad", "pdx"), ("pdx",)
    spec = h.c.get(path)["spec"]

    def site(**kw):
        return {"sites": [spec["sites"][0], dict(spec["sites"][1], **kw)]}

    for change, who in (
            ({"podLabels": {"team": "a"}}, both),
            ({"podAnnotations": {"team": "a"}}, both),
            ({"extraContainers": [{"name": "x", "image": "x"}]}, both),
            ({"extraInitContainers": [{"name": "x", "image": "x"}]}, both),
            ({"terminationGracePeriodSeconds": 61}, both),
            ({"sidecarImage": "s:1"}, both),
            ({"sidecarResources": {"limits": {"cpu": "1"}}}, both),
            ({"podSecurityContext": {"fsGroup": 998}}, both),
            ({"containerSecurityContext": {"runAsUser": 998}}, both),
            ({"mysqlConf": {"max_connections": "9"}}, both),
            (site(zone="elsewhere"), one),
            (site(resources={"limits": {"cpu": "1"}}), one),
            (site(mysqlConf={"max_connections": "9"}), one),
            ({"sidecar": {"leaseTimeout": "30s"}}, ()),
            ({"failoverCooldown": "7m"}, ()),
            ({"dns": {"hostname": "other.example.net"}}, ()),
            (site(lbIP="192.0.2.77"), ()),
            ({"sites": spec["sites"][::-1]}, ())):
        at = d.mark()
        h.c.merge(path, {"spec": change})
        if who:
            differ(d, uid, *who)
        else:
            d.expect("GROUP_CONF", 10, since=at, group=uid)
            h.settle(d)
            now = sites(d, uid)
            assert all(s["want"] == s["have"] for s in now.values()), change
        undo = {k: spec.get(k) for k in change}
        h.c.merge(path, {"spec": undo})
        differ(d, uid)
    for s in both:
        assert deployment(name, s)["metadata"]["generation"] == 1
    h.stop(d)


@h.test
def test_roll_new_leader():
    """Who leads next finds what differs by itself."""
    d, name, uid = begun(updateStrategy="Recreate")
    assert d.last("GROUP_CONF", group=uid)["recreate"] is True
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {
        "image": "mysql:9.7.1", "updateStrategy": "OrderedUpdate"}})
    now = differ(d, uid, "iad", "pdx")
    assert d.last("GROUP_CONF", group=uid)["recreate"] is False
    assert roll(d, uid, 31, "pdx", now["pdx"]["want"])["ok"]
    h.stop(d)
    d = h.leader()
    wait_for("told again", 15, lambda: d.last("ROLLOUT", group=uid))
    now = differ(d, uid, "iad")
    assert roll(d, uid, 32, "iad", now["iad"]["want"])["ok"]
    differ(d, uid)
    # A Pod says what it was made from.
    p = h.pod(h.c.get(f"{h.GROUPS}/{name}"), f"{name}-p", "iad",
              finalizer=False)
    p["metadata"]["annotations"] = {HASH: now["iad"]["want"]}
    h.c.create(h.PODS, p)
    d.expect("POD", 10, group=uid, site="iad", hash=now["iad"]["want"])
    h.stop(d)


@h.test
def test_version_skew():
    """A sidecar of another release is told once for each image; one of the same
    release, or one that says nothing, is not."""
    d = h.leader(IMAGE="x.example/bloodraven:1.2.0")
    name = h.fresh("r")
    g = h.make(name, sidecarImage="y.example:5000/sidecar:1.1.0")

    def said():
        return [e["message"] for e in h.c.get(f"{CORE}/events")["items"]
                if e["involvedObject"]["uid"] == g["metadata"]["uid"] and
                e["reason"] == "SidecarVersionSkew"]
    wait_for("SidecarVersionSkew", 10, lambda: len(said()) == 1)
    assert "1.1.0" in said()[0] and "1.2.0" in said()[0], said()
    for i, image in enumerate(("sidecar:1.2.0", "sidecar", "s@sha256:" + "0" * 64,
                               "sidecar:1.0.9")):
        at = d.mark()
        h.c.merge(f"{h.GROUPS}/{name}", {"spec": {
            "sidecarImage": image, "failureThreshold": 4 + i}})
        d.expect("GROUP_CONF", 10, since=at, failure_threshold=4 + i)
        h.settle(d)
    wait_for("told again", 10, lambda: len(said()) == 2)
    h.stop(d)


@h.test
def test_roll_refused():
    """What is refused is answered each time, and its Event comes at most once a
    minute for each object, whoever was refused."""
    d, name, uid = begun()
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {"extraContainers": [{
        "name": "more", "image": "more:1",
        "ports": [{"containerPort": 99999}]}]}})
    now = differ(d, uid, "iad", "pdx")
    for i, s in enumerate(("iad", "iad", "pdx", "iad", "pdx")):
        a = roll(d, uid, 50 + i, s, now[s]["want"])
        assert not a["ok"] and a["code"] == 422, a
    h.settle(d)
    found = {}
    for e in h.c.get(CORE + "/events")["items"]:
        if e["involvedObject"]["uid"] == uid and e["reason"] == "ApplyFailed":
            s = e["message"].split(":")[0]
            found[s] = found.get(s, 0) + e["count"]
    assert found == {"site iad": 1, "site pdx": 1}, found
    assert image(name, "iad") == "mysql:9.7"
    h.stop(d)
