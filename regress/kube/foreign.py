"""Two installations, each with a Lease of its own, over one group."""
import time

import __main__ as h
from cluster import CORE, wait_for
from discovery import BETA, Gateway, gateway

OTHER = "br-other"
NAME = "bloodraven.shipstream.io"
A, B = f"br/{NAME}", f"{OTHER}/{NAME}"
WORD = h.ANN + "hand-over-from"
TIMES = dict(LEASE_MS=6000, RENEW_MS=5000)
LEASE_S = TIMES["LEASE_MS"] / 1000


def authority(name):
    return h.c.get(f"{h.GROUPS}/{name}")["status"]["authority"]


def annotate(name, **values):
    h.c.merge(f"{h.GROUPS}/{name}", {"metadata": {"annotations": {
        WORD if k == "word" else k: v for k, v in values.items()}}})


def said(g, reason, text):
    """The Event on the group."""
    return wait_for("Event", 10, lambda: any(
        e["reason"] == reason and text in e["message"]
        for e in h.c.get(CORE + "/events")["items"]
        if e["involvedObject"]["uid"] == g["metadata"]["uid"]))


def namespace():
    if h.c.get(f"/api/v1/namespaces/{OTHER}") is None:
        h.c.create("/api/v1/namespaces", {"metadata": {"name": OTHER}})


def other(**env):
    """A leader of the other installation."""
    namespace()
    d = h.drive(IDENTITY=h.fresh("op"), NAMESPACE=OTHER, **TIMES, **env)
    d.expect("LEASE", 20, held=True)
    d.expect("SYNCED", 10, synced=True)
    return d


def told(d, uid, since=0):
    return [m for m in d.msgs[since:] if m.get("group") == uid and
            m["type"] in ("GROUP_CONF", "RECORD", "POD", "KEYS")]


def put(d, g, base, epoch, seq):
    """Did the leader write the record?"""
    d.send("RECORD_PUT", **h.record_put(
        g, base, epoch, "iad", seq, promotion=False))
    return d.expect("ACK", seq=seq)["ok"]


@h.test
def test_two_installations():
    """Who writes the record first has the group; the other one lets go of it
    and touches nothing of it."""
    c, a = h.c, h.leader(**TIMES)
    name = h.fresh("g")
    g = h.make(name)
    uid = g["metadata"]["uid"]
    a.expect("RECORD", group=uid, version=0)
    c.create(h.PODS, h.pod(g, f"{name}-iad", "iad"))
    b = other()
    b.expect("RECORD", group=uid, version=0)
    b.expect("POD", group=uid, site="iad")
    assert put(a, g, 0, 1, 1)
    assert authority(name)["lease"] == A, authority(name)
    b.expect("GROUP_GONE", group=uid)
    said(g, "LedByAnother", A)
    at = b.mark()
    assert not put(b, g, 1, 2, 2)
    # Its Pods are those of a group that is not known: they are not let go.
    c.call("DELETE", f"{h.PODS}/{name}-iad", {"gracePeriodSeconds": 0})
    a.expect("POD", group=uid, site="iad", deleting=True)
    # Another word than the Lease that the record names says nothing.
    annotate(name, word=B, x="y")
    time.sleep(LEASE_S + 1)
    h.settle(b)
    assert h.fenced(f"{name}-iad") and authority(name)["version"] == 1
    assert not told(b, uid, at)
    # Who begins later reads it in the list.
    b.close()
    b = other()
    h.settle(b)
    assert not told(b, uid)
    assert a.find("GROUP_GONE", group=uid) is None
    b.close()
    h.stop(a)


@h.test
def test_unheard_of():
    """No watch has told yet that the other one has the group: its record is
    read before it is replaced."""
    a, srv = h.leader(**TIMES), gateway([BETA])
    b = other(API_PORT=srv.server_port)
    g = h.make(h.fresh("g"))
    name, uid = g["metadata"]["name"], g["metadata"]["uid"]
    a.expect("RECORD", group=uid, version=0)
    b.expect("RECORD", group=uid, version=0)
    h.settle(b)
    Gateway.groups.clear()
    try:
        assert put(a, g, 0, 1, 1)
        assert b.find("GROUP_GONE", group=uid) is None
        assert not put(b, g, 1, 2, 2)
        b.expect("GROUP_GONE", group=uid)
    finally:
        Gateway.groups.set()
    assert authority(name)["version"] == 1, authority(name)
    b.close()
    srv.shutdown()
    h.stop(a)


@h.test
def test_group_hand_over():
    """By a person's word: the one lets go at once, the other one waits for as
    long as a Lease may last, writes the record, and has it."""
    c, a = h.c, h.leader(**TIMES)
    name = h.fresh("g")
    g = h.make(name)
    uid = g["metadata"]["uid"]
    a.expect("RECORD", group=uid, version=0)
    assert put(a, g, 0, 1, 1)
    b = other()
    # Taken back in time: all is as it was.
    at = b.mark()
    annotate(name, word=A)
    a.expect("GROUP_GONE", group=uid)
    said(g, "HandedOver", WORD)
    back = a.mark()
    annotate(name, word=None)
    a.expect("GROUP_CONF", since=back, group=uid, valid=True)
    a.expect("RECORD", since=back, group=uid, version=1)
    time.sleep(LEASE_S + 1)
    assert not told(b, uid, at)
    t0 = time.monotonic()
    annotate(name, word=A)
    a.expect("GROUP_GONE", since=back, group=uid)
    b.expect("GROUP_CONF", since=at, group=uid, valid=True)
    took = time.monotonic() - t0
    assert took >= LEASE_S, took
    # Its record, its Pods' keys, and that the first one still reads so.
    b.expect("RECORD", since=at, group=uid, version=1)
    for site in "iad", "pdx":
        b.expect("KEYS", since=at, group=uid, site=site)
    back = a.mark()
    annotate(name, x="y")
    h.settle(b)
    assert b.find("GROUP_GONE", since=at, group=uid) is None
    assert put(b, g, 1, 2, 2)
    assert authority(name)["lease"] == B, authority(name)
    said(g, "LedByAnother", B)
    # The first one begins anew, although it was said to be gone.
    h.stop(a)
    a2 = h.leader(**TIMES)
    h.settle(a2)
    assert not told(a, uid, back) and not told(a2, uid)
    assert put(b, g, 2, 3, 3)
    c.force(f"{h.GROUPS}/{name}")
    b.expect("GROUP_GONE", since=at, group=uid)
    b.close()
    h.stop(a2)


@h.test
def test_foreign_gone():
    """Pods of no group are let go where no group of another installation is;
    one that went unnoticed is not there."""
    c, d = h.c, h.leader(LEASE_MS=60000, RENEW_MS=50000)
    namespace()
    g = h.make(h.fresh("g"))
    name, uid = g["metadata"]["name"], g["metadata"]["uid"]
    d.expect("GROUP_CONF", group=uid)
    c.merge(f"{h.GROUPS}/{name}/status", {"status": {"authority": {
        "version": 1, "epoch": 1, "lease": B}}})
    d.expect("GROUP_GONE", group=uid)
    nobody = {"metadata": {"name": "nobody"}}
    pods = [f"{h.PODS}/nobody-iad", f"/api/v1/namespaces/{OTHER}/pods/nobody-iad"]
    for p in pods:
        o = h.pod(nobody, "nobody-iad", "iad")
        o["metadata"]["namespace"] = p.split("/")[4]
        c.create(p.rsplit("/", 1)[0], o)
        c.call("DELETE", p, {"gracePeriodSeconds": 0})
    wait_for("released", 5, lambda: c.get(pods[1]) is None)
    h.settle(d)
    assert c.get(pods[0]) is not None
    c.cut(True)
    try:
        # As in test_gone.
        c.force(f"{h.GROUPS}/{name}")
        c.stop("apiserver")
        c.api_start()
    finally:
        c.cut(False)
    wait_for("released", 20, lambda: c.get(pods[0]) is None)
    h.stop(d)
