"""Which version of PodDisruptionBudgets: the real API server, which has v1beta1
alone, behind a gateway that says otherwise and translates."""
import json
import threading

import __main__ as h
import gateway as front
from cluster import PDBS, wait_for

V1, BETA = "policy/v1", "policy/v1beta1"


class Gateway(front.Gateway):
    """Serves the versions in .served, newest first; asked: what was asked for."""
    served, asked = [], []
    groups = threading.Event()  # cleared: what is told of groups waits
    groups.set()

    def version(self):
        """Of policies, that this request is about; None: of others."""
        for v in V1, BETA:
            if self.path.startswith(f"/apis/{v}/"):
                return v
        return None

    def refused(self, body):
        v = self.version()
        if v:
            Gateway.asked.append((self.command, v))
        if not v or v in Gateway.served:
            return False
        self.answer(404, b'{"kind":"Status","code":404}')
        return True

    def handed_on(self, body):
        return self.path.replace(f"/apis/{V1}/", f"/apis/{BETA}/"), \
            body.replace(b'"policy/v1"', b'"policy/v1beta1"') \
            if self.version() == V1 else body

    def back(self, body):
        if "/mysqlfailovergroups" in self.path and "watch=" in self.path:
            Gateway.groups.wait()
        if self.path == "/apis":
            o = json.loads(body)
            for g in o["groups"]:
                if g["name"] == "policy":
                    g["versions"] = [{"groupVersion": x, "version": x[7:]}
                                     for x in Gateway.served]
            return json.dumps(o).encode()
        return body.replace(b'"policy/v1beta1"', b'"policy/v1"') \
            if self.version() == V1 else body


def gateway(served):
    """One that serves that."""
    Gateway.served, Gateway.asked = served, []
    return front.server(Gateway)


def begun(served):
    """A leader behind a gateway that serves that, and a group."""
    srv = gateway(served)
    d = h.leader(API_PORT=srv.server_port)
    name = h.fresh("p")
    h.make(name)
    pdb = f"{PDBS}/mysql-{name}"
    wait_for("PodDisruptionBudget", 20, lambda: h.c.get(pdb))
    h.settle(d)
    return d, srv, pdb


def watched(v, since=0):
    wait_for(f"a watch of {v}", 10, lambda: ("GET", v) in Gateway.asked[since:])


def put_back(pdb):
    h.c.merge(pdb, {"spec": {"minAvailable": 0}})
    wait_for("put back", 20, lambda: h.c.get(pdb)["spec"][
        "minAvailable"] == 1)


@h.test
def test_policy_both():
    """A server that has both versions is asked for the newer one only."""
    d, srv, pdb = begun([V1, BETA])
    watched(V1)
    put_back(pdb)
    assert {v for _, v in Gateway.asked} == {V1}, Gateway.asked
    h.stop(d)
    srv.shutdown()


@h.test
def test_policy_changes():
    """A server that begins to have the newer version is asked for it, without a
    restart of the operator; so is one that has the older one no more, at the
    first write that it refuses, and one that has gone back."""
    d, srv, pdb = begun([BETA])
    watched(BETA)
    put_back(pdb)
    assert {v for _, v in Gateway.asked} == {BETA}, Gateway.asked
    at = len(Gateway.asked)
    Gateway.served = [V1, BETA]
    wait_for("found out", 90, lambda: ("PATCH", V1) in Gateway.asked[at:])
    watched(V1, at)
    h.settle(d)
    at = len(Gateway.asked)
    put_back(pdb)
    assert {v for _, v in Gateway.asked[at:]} == {V1}, Gateway.asked[at:]
    # The watch that stands tells of the change, the write has no place.
    at = len(Gateway.asked)
    Gateway.served = [BETA]
    put_back(pdb)
    assert ("PATCH", BETA) in Gateway.asked[at:], Gateway.asked[at:]
    watched(BETA, at)
    h.settle(d)
    at = len(Gateway.asked)
    h.settle(d)
    assert Gateway.asked[at:] == [], Gateway.asked[at:]
    h.stop(d)
    srv.shutdown()
