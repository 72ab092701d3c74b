"""Labels of a group's objects, lost while an operator ran and while none did:
each object is known by its name, gets them back, and nothing else happens."""
import __main__ as h
import objects
import rolls
from cluster import APPS, CORE, PDBS, SITE, wait_for

GROUP = "shipstream.io/failover-group"
NO_LABELS = {"app.kubernetes.io/managed-by": None,
             "app.kubernetes.io/instance": None, GROUP: None, SITE: None}
PLURALS = {"deployments": APPS, "poddisruptionbudgets": PDBS}


def paths(name):
    """{path: labels} of all objects of the group."""
    out = {}
    for key, o in h.objects(name).items():
        plural, n = key.split("/")
        out[f"{PLURALS.get(plural, f'{CORE}/{plural}')}/{n}"] = \
            o["metadata"]["labels"]
    return out


def label(path, labels):
    h.c.merge(path, {"metadata": {"labels": labels}})


def restored(want):
    def look():
        return not [p for p, labels in want.items()
                    if labels.items() - h.c.get(p)["metadata"].get(
                        "labels", {}).items()]
    wait_for("labels of " + ", ".join(want), 30, look)


def waiting_for_roll():
    """A leader, and a group whose Deployments wait for a newer template."""
    d, name, uid = rolls.begun()
    objects.ready(name)
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {
        "image": "mysql:9.7.1", "mysqlConf": {"max_connections": "77"}}})
    rolls.differ(d, uid, "iad", "pdx")
    h.settle(d)
    return d, name, uid


def state(name):
    """What no lost label may change."""
    return {s: (rolls.deployment(name, s)["metadata"]["generation"],
                rolls.image(name, s), rolls.conf(name, s),
                h.c.get(f"{CORE}/persistentvolumeclaims/mysql-{name}-{s}-data"
                        )["metadata"]["annotations"][objects.ID])
            for s in ("iad", "pdx")}


@h.test
def test_labels_lost_unseen():
    """While no operator ran: all are put back, no newer template is applied, no
    server id is another one, nothing is made twice."""
    d, name, uid = waiting_for_roll()
    want, was = paths(name), state(name)
    was_told = rolls.sites(d, uid)
    assert len(want) == 14, want
    h.stop(d)
    for p in want:
        label(p, NO_LABELS)
    assert not h.objects(name)
    # The ids by place would be others now.
    h.c.merge(f"{h.GROUPS}/{name}", {"spec": {"sites": [
        h.site("pdx", "192.0.2.2"), h.site("iad", "192.0.2.1")]}})
    uids = {p: h.c.get(p)["metadata"]["uid"] for p in want}
    d = h.leader()
    at = len(h.log_of(d))
    restored(want)
    rolls.differ(d, uid, "pdx", "iad")
    told = rolls.sites(d, uid)
    assert {s: x["have"] for s, x in told.items()} == {
        s: x["have"] for s, x in was_told.items()}
    assert d.count("ROLLOUT", group=uid) == 1, "once, and rightly"
    h.settle(d)
    assert state(name) == was
    assert {p: h.c.get(p)["metadata"]["uid"] for p in want} == uids
    quiet(d, want, at)
    h.stop(d)


def quiet(d, want, at):
    assert "already exists" not in h.log_of(d, at)
    h.quiet(d)
    rv = {p: h.c.get(p)["metadata"]["resourceVersion"] for p in want}
    h.settle(d)
    assert rv == {p: h.c.get(p)["metadata"]["resourceVersion"] for p in want}


@h.test
def test_labels_of_objects():
    """The same beside an operator, also for labels that name another group or
    site: whose it is follows from the name."""
    d, name, uid = waiting_for_roll()
    want, was = paths(name), state(name)
    at, log = d.mark(), len(h.log_of(d))
    for change in (NO_LABELS, {GROUP: None}, {GROUP: "spoiled"},
                   {SITE: "pdx"}, {SITE: "iad"}):
        for p in want:
            # Without an owner the group's name is all that says whose it is.
            if GROUP not in change or change[GROUP] is None or \
                    "persistentvolumeclaims" not in p:
                label(p, change)
        restored(want)
    h.settle(d)
    assert state(name) == was
    assert d.count("ROLLOUT", at, group=uid) == 0, "the core heard of nothing"
    quiet(d, want, log)
    h.stop(d)


@h.test
def test_volume_without_labels_goes():
    """A group's volume that has none when the group is deleted is its own too."""
    d, name, g = objects.begun(deletionPolicy="Delete")
    uid = g["metadata"]["uid"]
    pvc = f"{CORE}/persistentvolumeclaims/mysql-{name}-iad-data"
    h.stop(d)
    h.c.merge(pvc, {"metadata": {"labels": NO_LABELS,
                                 "ownerReferences": None}})
    h.c.delete(f"{h.GROUPS}/{name}")
    d = h.leader()
    d.expect("GROUP_CONF", group=uid, deleting=True)
    d.send("GROUP_RELEASE", group=uid)
    d.expect("GROUP_GONE", group=uid)
    assert [o["uid"] for o in h.c.get(pvc)["metadata"]["ownerReferences"]] \
        == [uid]
    h.stop(d)
