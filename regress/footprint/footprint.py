"""What the operator costs with 1, 10 and 100 groups; see regress/bench footprint.

footprint.py WORKDIR [--groups N,N,...] [--seconds S]

The API server, the controllers of Deployments and ReplicaSets and the operator
are real; there are no nodes. What a kubelet would report of a Pod whose sandbox
stands and whose init containers wait is patched into each Pod here: so it has an
address, which nobody answers at.
"""
import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, "../kube")]

import yaml  # noqa: E402

import measure  # noqa: E402
from cluster import (ADMIN, PORT, Answer, Cluster, b64, sh,  # noqa: E402
                     wait_for)

REPO = os.path.join(HERE, "../..")
NS, OWN = "db", "bloodraven-system"
USER = 65532                    # of the image
SITES = ("iad", "pdx")
QUIET = 15                      # no write for this long: settled
BEAT = 10                       # of a kubelet, which keeps watches of nodes alive
METRICS = "http://127.0.0.1:8080/metrics"
T0 = time.monotonic()


def progress(text):
    print("[%4d s] %s" % (time.monotonic() - T0, text), file=sys.stderr,
          flush=True)


class Bench(Cluster):
    def __init__(self, work, smaps=None):
        super().__init__(work, work + "/bin", work + "/bin/etcd")
        self.audit = work + "/audit.log"
        self.seen, self.offset, self.beat = [], 0, 0
        self.groups, self.addresses = 0, {}
        self.smaps = smaps

    # ---------------------------------------------------------- the cluster

    def start(self, name, *cmd):
        if name == "apiserver":
            # What the operator asks for is counted by who is asked.
            with open(self.work + "/audit.yaml", "w") as f:
                json.dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
                           "omitStages": ["ResponseStarted",
                                          "ResponseComplete"],
                           "rules": [{"level": "Metadata", "userGroups": [
                               "system:serviceaccounts:" + OWN]},
                               {"level": "None"}]}, f)
            cmd += ("--audit-policy-file=" + self.work + "/audit.yaml",
                    "--audit-log-path=" + self.audit)
        super().start(name, *cmd)

    def controllers(self):
        path = self.work + "/kubeconfig"
        with open(path, "w") as f:
            json.dump({"apiVersion": "v1", "kind": "Config",
                       "current-context": "c", "contexts": [
                           {"name": "c", "context": {"cluster": "c",
                                                     "user": "u"}}],
                       "clusters": [{"name": "c", "cluster": {
                           "server": "https://127.0.0.2:%d" % PORT,
                           "certificate-authority": self.ca}}],
                       "users": [{"name": "u", "user": {"token": ADMIN}}]}, f)
        self.start("controllers", self.k8s + "/kube-controller-manager",
                   "--kubeconfig=" + path, "--leader-elect=false",
                   "--controllers=deployment,replicaset",
                   "--kube-api-qps=100", "--kube-api-burst=200")

    def install(self):
        """etc/bloodraven.yaml but for what needs nodes."""
        self.crd("shipstream.io", "MysqlFailoverGroup", "mysqlfailovergroups")
        self.crd("externaldns.k8s.io", "DNSEndpoint", "dnsendpoints")
        self.create("/api/v1/namespaces", {"metadata": {"name": NS}})
        with open(REPO + "/etc/bloodraven.yaml") as f:
            docs = list(yaml.safe_load_all(f))
        for o in docs:
            if o["kind"] in ("Deployment", "PodDisruptionBudget", "Service"):
                continue
            v = o["apiVersion"]
            path = ("/apis/" if "/" in v else "/api/") + v
            if o["metadata"].get("namespace"):
                path += "/namespaces/" + o["metadata"]["namespace"]
            self.create(path + "/" + o["kind"].lower() + "s", o)

    def node(self):
        """One that nobody schedules to, and its kubelet's heartbeat."""
        now = time.monotonic()
        if now - self.beat < BEAT:
            return
        if self.beat == 0:
            self.create("/api/v1/nodes", {"metadata": {"name": "node"}})
        self.beat = now
        self.merge("/api/v1/nodes/node/status", {"status": {"conditions": [{
            "type": "Ready", "status": "Unknown", "lastHeartbeatTime":
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}]}})

    def network(self):
        """Addresses that swallow what is sent to them."""
        sh("ip", "route", "add", "local", measure.HOLE, "dev", "lo")
        sh("nft", "-f", "-", input="""
table inet hole {
  chain in {
    type filter hook input priority 0;
    ip daddr %s drop
  }
}""" % measure.HOLE)

    # --------------------------------------------------------- the operator

    def operator(self):
        root, sa = self.work + "/root", "/var/run/secrets/sa"
        os.makedirs(root + sa)
        for name, text in (("token", self.token(OWN, "bloodraven")),
                           ("namespace", OWN), ("ca.crt", open(self.ca).read())):
            with open(root + sa + "/" + name, "w") as f:
                f.write(text)
        os.chmod(self.work, 0o711)
        for d in ("/proc", "/dev"):
            os.makedirs(root + d, exist_ok=True)
        sh("mount", "-t", "proc", "proc", root + "/proc")
        for d in ("null", "urandom"):
            open(root + "/dev/" + d, "w").close()
            sh("mount", "--bind", "/dev/" + d, root + "/dev/" + d)
        env = {"PATH": "/usr/sbin:/usr/bin", "POD_NAME": "bloodraven-0",
               "POD_NAMESPACE": OWN, "KUBERNETES_SERVICE_HOST": "127.0.0.1",
               "KUBERNETES_SERVICE_PORT": str(PORT),
               "BLOODRAVEN_DNS_SERVICE_ACCOUNT": "bloodraven-dns"}
        env.update(v.split("=", 1) for v in
                   os.environ.get("OPERATOR_ENV", "").split())
        self.log = self.work + "/operator.log"
        self.op = subprocess.Popen(
            ["chroot", "--userspec=%d:%d" % (USER, USER), "--groups=",
             root, "/usr/sbin/bloodraven", "--service-account-dir=" + sa],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.log, "ab"))
        wait_for("the operator leads", 120, self.leads)

    def leads(self):
        if self.op.poll() is not None:
            raise AssertionError("the operator ended")
        try:
            return measure.scrape(METRICS).get("bloodraven_leader") == 1
        except OSError:
            return False

    def stop_operator(self):
        self.op.terminate()
        try:
            self.op.wait(15)
        except subprocess.TimeoutExpired:
            self.op.kill()

    # ----------------------------------------------------------- the groups

    def manifest(self, i):
        name = "orders-%03d" % i
        return {"apiVersion": "shipstream.io/v1alpha1",
                "kind": "MysqlFailoverGroup",
                "metadata": {"name": name, "namespace": NS},
                "spec": {
                    "image": "registry.example/mysql:9.7",
                    "sidecarImage": "registry.example/bloodraven:0.1.0",
                    "sites": [{
                        "name": s, "zone": s, "lbIP": "192.0.2.%d" % (k + 1),
                        "taintNodeSelector": {
                            "shipstream.io/site." + name: s},
                        "storage": {"storageClassName": "local",
                                    "size": "10Gi"}}
                        for k, s in enumerate(SITES)],
                    "credentials": {"operatorSecret": name + "-operator",
                                    "appSecret": name + "-app"},
                    "dns": {"hostname": name + ".db.example.net", "ttl": 60},
                    "splitBrainPolicy": {"sitePriorities": list(SITES)},
                    "mysqlConf": {"innodb-buffer-pool-size": "1G",
                                  "max-connections": "500"}}}

    def secret(self, name, **data):
        self.create("/api/v1/namespaces/%s/secrets" % NS, {
            "metadata": {"name": name},
            "data": {k: b64(v) for k, v in data.items()}})

    def make_groups(self, n):
        for i in range(self.groups, n):
            m = self.manifest(i)
            name = m["metadata"]["name"]
            self.secret(name + "-operator", username="bloodraven",
                        password="op-" + name, MYSQL_ROOT_PASSWORD="r-" + name,
                        MYSQL_REPLICATION_USER="repl",
                        MYSQL_REPLICATION_PASSWORD="repl-" + name)
            self.secret(name + "-app", username="app", password="a-" + name)
            self.create("/apis/shipstream.io/v1alpha1/namespaces/%s/"
                        "mysqlfailovergroups" % NS, m)
        self.groups = n
        try:
            wait_for("every site has a Pod with an address", 900, self.kubelet)
        except AssertionError:
            self.check_allowed()
            raise

    def kubelet(self):
        """Gives an address to each Pod that has none."""
        pods = "/api/v1/namespaces/%s/pods" % NS
        items = self.get(pods + "?labelSelector=app.kubernetes.io/name=mysql")
        for p in items["items"]:
            name = p["metadata"]["name"]
            if name in self.addresses:
                continue
            ip = measure.address(len(self.addresses))
            self.merge(pods + "/" + name + "/status",
                       {"status": measure.pending(p, ip)})
            self.addresses[name] = ip
        return len(self.addresses) >= self.groups * len(SITES)

    # ------------------------------------------------------------ measuring

    def requests(self):
        """[(time, account, verb, resource)] of the operator so far."""
        if os.path.exists(self.audit):
            with open(self.audit) as f:
                f.seek(self.offset)
                for line in f:
                    if not line.endswith("\n"):
                        break
                    self.offset += len(line.encode())
                    self.seen.append(json.loads(line))
        now = time.monotonic()
        for r in self.seen:
            r.setdefault("at", now)
        return self.seen

    def writes(self, seen):
        """But for the Lease, which says that this operator lives."""
        return [r for r in seen if r["verb"] not in ("get", "list", "watch")
                and r["objectRef"]["resource"] != "leases"]

    def check_allowed(self):
        """Figures of an operator that lacks rights are none."""
        refused = [k for k in measure.scrape(METRICS) if 'code="403"' in k
                   and k.startswith("bloodraven_api_requests_total")]
        if refused:
            raise AssertionError("refused: " + ", ".join(refused))

    def settled(self):
        w = self.writes(self.requests())
        self.node()
        self.kubelet()
        return time.monotonic() - (w[-1]["at"] if w else 0) > QUIET

    def window(self, seconds):
        """An operator at rest, over so many seconds."""
        wait_for("no write for %d s" % QUIET, 900, self.settled)
        n, w = len(self.requests()), measure.Window(self.op.pid, METRICS)
        end = time.monotonic() + seconds
        wait_for("the window's end", seconds + 60,
                 lambda: self.node() or time.monotonic() >= end)
        w.end()
        self.check_allowed()
        self.keep_smaps(w.pids)
        return w, self.requests()[n:]

    def keep_smaps(self, pids):
        for p in pids if self.smaps else ():
            with open("/proc/%d/smaps" % p) as f, open("%s/%d-%s.smaps" % (
                    self.smaps, self.groups, pids[p]), "w") as g:
                g.write(f.read())


def count(seen):
    out = {}
    for r in seen:
        # Discovery asks for no object.
        what = r.get("objectRef", {}).get("resource") or r["requestURI"]
        k = "%s %s %s" % (r["user"]["username"].rsplit(":", 1)[1],
                          r["verb"], what)
        out[k] = out.get(k, 0) + 1
    return out


def main(argv):
    a = argparse.ArgumentParser()
    a.add_argument("work")
    a.add_argument("--groups", default="1,10,100")
    a.add_argument("--seconds", type=float, default=60)
    a.add_argument("--smaps", metavar="DIR", help="keep the mappings there")
    a = a.parse_args(argv)
    b = Bench(a.work, a.smaps)
    pss, cpu, windows, writes = {}, {}, [], []
    try:
        progress("starting etcd, the API server and two controllers")
        b.network()
        b.up()
        b.controllers()
        b.install()
        b.operator()
        for g in sorted(int(x) for x in a.groups.split(",")):
            progress("%d groups" % g)
            b.make_groups(g)
            w, seen = b.window(a.seconds)
            print(w.text("%d groups, MiB" % g) + "\n")
            print(w.requests(count(seen)) + "\n", flush=True)
            pss[g], cpu[g] = w.pss(), w.percent()
            windows.append(w)
            writes.append(len(b.writes(seen)) / w.minutes)
    finally:
        if hasattr(b, "op"):
            b.stop_operator()
        b.stop("controllers")
        b.down()
    print(measure.growth(pss, cpu) + "\n")
    print(measure.result("footprint", pss, cpu, windows[0], windows[-1],
                         writes), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Answer, AssertionError) as x:
        sys.exit("footprint: %s" % x)
