"""The operator in the lab: installed from the tree's own files, watched by its
log, killed, counted."""
import glob
import json
import os
import re
import time

import api
import lab
from api import Failure

NS = "bloodraven-system"
IMAGE = os.environ.get("LABTEST_IMAGE", "bloodraven-lab/bloodraven:lab")
UNSAFE_IMAGE = "bloodraven-lab/bloodraven:unsafe"
CONTAINER = "bloodraven"
LEASE = "bloodraven.shipstream.io"


def _files():
    crds = sorted(glob.glob(os.path.join(lab.TOP, "crds/*.yaml")))
    return crds, os.path.join(lab.TOP, "etc/bloodraven.yaml")


def manifest(image):
    """etc/bloodraven.yaml with the lab's image, which no registry has."""
    with open(_files()[1]) as f:
        text = f.read()
    text, n = re.subn(r"(?m)^(\s*(?:- )?image:\s*).*bloodraven.*$",
                      r"\g<1>" + image, text)
    if n == 0:
        raise Failure("etc/bloodraven.yaml names no image of ours")
    text = re.sub(r"(?m)^(\s*value:\s*)\S*/bloodraven:\S+$",
                  r"\g<1>" + image, text)
    # The lab's Kubernetes is 1.20.
    text = text.replace("policy/v1\n", "policy/v1beta1\n")
    return re.sub(r"(?m)^(\s*imagePullPolicy:\s*).*$", r"\g<1>Never", text)


def install(image=None):
    crds, _ = _files()
    for f in crds:
        lab.kubectl("apply", "--validate=false", "-f", f)
    api.wait("the CRD is served", 90, lambda: api.items(
        "mysqlfailovergroups") is not None)
    path = os.path.join(os.environ["LABTEST_OUT"], "bloodraven.yaml")
    with open(path, "w") as f:
        f.write(manifest(image or IMAGE))
    lab.kubectl("apply", "-f", path)


def deployment():
    ds = api.items("deployments", NS)
    if not ds:
        raise Failure("no Deployment in " + NS)
    return ds[0]


def place(*nodes):
    """One operator on each of these nodes, away from what is going to be
    broken."""
    name = deployment()["metadata"]["name"]
    labels = deployment()["spec"]["selector"]["matchLabels"]
    host = "kubernetes.io/hostname"
    api.merge("deployments", NS, name, {"spec": {
        "replicas": len(nodes), "template": {"spec": {
            "topologySpreadConstraints": None,
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{
                            "key": host, "operator": "In",
                            "values": list(nodes)}]}]}},
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": None,
                    "requiredDuringSchedulingIgnoredDuringExecution": [{
                        "labelSelector": {"matchLabels": labels},
                        "topologyKey": host}]}}}}}})


def scale(n):
    api.merge("deployments", NS, deployment()["metadata"]["name"],
              {"spec": {"replicas": n}})


def set_image(image):
    d = deployment()
    c = d["spec"]["template"]["spec"]["containers"][0]
    api.call("PATCH", api.path("deployments", NS, d["metadata"]["name"]), {
        "spec": {"template": {"spec": {"containers": [
            {"name": c["name"], "image": image}]}}}},
        "application/strategic-merge-patch+json")


def pods():
    return [p for p in api.items("pods", NS)
            if lab.container(p, CONTAINER) and
            p["status"].get("phase") == "Running"]


def settled(image=None):
    d = deployment()
    want, st = d["spec"]["replicas"], d.get("status", {})
    if st.get("observedGeneration", 0) < d["metadata"]["generation"]:
        return False
    if st.get("updatedReplicas", 0) != want or \
            st.get("readyReplicas", 0) != want or \
            st.get("replicas", 0) != want:
        return False
    ps = pods()
    return len(ps) == want and all(
        image is None or p["spec"]["containers"][0]["image"] == image
        for p in ps)


def state():
    out = []
    for p in api.items("pods", NS):
        c = lab.container(p, CONTAINER)
        out.append("%s %s %s" % (p["metadata"]["name"], p["status"]["phase"],
                                 json.dumps(c.get("state", {}))))
    return "; ".join(out) or "no Pod"


# The scheduler may look at a Pod while the last place is being left, and looks
# again up to 90 s later only.
UP = 150


def wait_settled(image=None):
    api.wait("the operator is up", UP, lambda: settled(image), state)


def leader():
    """The Pod that holds the Lease; None."""
    lease = api.get("leases", NS, LEASE, missing=True)
    holder = (lease or {}).get("spec", {}).get("holderIdentity") or ""
    for p in pods():
        if holder.startswith(p["metadata"]["name"]):
            return p
    return None


def wait_leader(seconds=90):
    return api.wait("an operator leads", seconds, leader, state)


def standby():
    """A Pod that does not lead; None."""
    lead = leader()
    for p in pods():
        if lead and p["metadata"]["uid"] != lead["metadata"]["uid"]:
            return p
    return None


def lead_at(node):
    """Makes the operator on that node lead: the others are asked to go."""
    def there():
        p = leader()
        if p is None or p["spec"]["nodeName"] == node:
            return p
        if settled():
            api.delete("pods", NS, p["metadata"]["name"])
        return None
    wait_settled()
    api.wait("an operator on %s leads" % node, 90, there, state, interval=0.5)
    wait_settled()


def container_id(pod):
    return lab.container(pod, CONTAINER)["containerID"]


def addresses():
    return [p["status"]["podIP"] for p in pods()]


def container_ids():
    out = []
    for p in pods():
        c = lab.container(p, CONTAINER)
        if "running" in c.get("state", {}):
            out.append(c["containerID"])
    return out


def kill(ids=None):
    """kill -9 of every operator; they come back by their kubelet."""
    for cid in ids or container_ids():
        try:
            lab.kill9(cid)
        except Failure:
            pass


def renew():
    """A new Pod: after some kills its kubelet would wait for minutes. A copy of
    the log stays."""
    with open(os.path.join(os.environ["LABTEST_OUT"], "operator.log"),
              "a") as f:
        f.write("\n".join(log().new_lines()) + "\n")
    old = {p["metadata"]["uid"] for p in pods()}
    for p in pods():
        api.delete("pods", NS, p["metadata"]["name"])
    api.wait("a new operator", UP, lambda: settled() and not [
        p for p in api.items("pods", NS) if p["metadata"]["uid"] in old],
        state)
    wait_leader()


def log():
    return lab.PodLog(NS, "*", CONTAINER)


def records():
    return log().new_records()


def pss_mib():
    """Of all processes of the leading operator."""
    p = wait_leader()
    cid = lab.container(p, CONTAINER)["containerID"]
    kib = lab.pss_kib(cid)
    if kib == 0:
        raise Failure("no process of the operator was found")
    return kib / 1024.0


def start_seconds():
    """From the exec of the newest operator's first process to the end of its
    first probe of any site."""
    p = wait_leader()
    cid = lab.container(p, CONTAINER)["containerID"]
    pids = lab.pids_of(cid)
    if not pids:
        return None     # the status still names the container that was killed
    with open("/proc/%d/stat" % pids[0]) as f:
        ticks = int(f.read().rsplit(") ", 1)[1].split()[19])
    start_ns = ticks * 10**9 // os.sysconf("SC_CLK_TCK")
    tail = lab.PodLog(NS, p["metadata"]["name"], CONTAINER)
    for r in tail.new_records():
        if r.get("msg") in FIRST_PROBE:
            t = lab.wall_to_boot(lab.parse_time(r["time"]))
            if t >= start_ns:
                return (t - start_ns) / 1e9
    return None


# A probe's result is first told as the site's first state.
FIRST_PROBE = ("first probe", "state transition")


class Tail:
    """Waits for records of the log, of one group."""

    def __init__(self, fg=None):
        self.log = log().skip()
        self.fg = fg
        self.seen = []

    def find(self, match):
        self.seen += [r for r in self.log.new_records()
                      if self.fg is None or r.get("fg") in (None, self.fg)]
        for i, r in enumerate(self.seen):
            if match(r):
                return r
        return None

    def wait(self, what, seconds, *msgs, **kw):
        """The first record whose msg is one of these."""
        return api.wait(
            "log record %s" % what, seconds,
            lambda: self.find(lambda r: r.get("msg") in msgs),
            lambda: [r.get("msg") for r in self.seen][-12:],
            interval=kw.get("interval", 0.05))

    def has(self, *msgs):
        return self.find(lambda r: r.get("msg") in msgs)


def timeline(fg, since_ns, until_ns=None):
    """Records about a group, [(seconds since, record)]."""
    out = []
    for r in records():
        if "time" not in r or r.get("fg") not in (None, fg):
            continue
        t = lab.parse_time(r["time"])
        if t >= since_ns and (until_ns is None or t <= until_ns):
            out.append(((t - since_ns) / 1e9, r))
    return sorted(out, key=lambda x: x[0])


def wall():
    return time.time_ns()
