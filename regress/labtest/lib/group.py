"""A failover group under test: its manifest, its objects, SQL at its sites."""
import base64
import json
import os
import subprocess
import time

import api
import lab
from api import Failure

ANN = "bloodraven.shipstream.io/"
IMAGE = os.environ.get("LABTEST_MYSQL_IMAGE", "bloodraven-lab/mysql:9.7")
# The lab's one image of ours holds the guard and the sidecar, too.
SIDECAR_IMAGE = os.environ.get("LABTEST_IMAGE", "bloodraven-lab/bloodraven:lab")
# The "fast profile" of bloodraven-fencing(7): tests wait less.
FAST = {"pollInterval": "500ms", "failureThreshold": 3,
        "sidecar": {"leaseTimeout": "3s", "peerCheckInterval": "1s"}}
DEFAULT_LEASE = {"leaseTimeout": "20s", "peerCheckInterval": "5s"}
COOLDOWN = 5        # seconds
# What keeps a server small; nothing of it changes what is tested.
SMALL = {"innodb-buffer-pool-size": "32M", "innodb-redo-log-capacity": "32M",
         "innodb-log-buffer-size": "4M", "max-connections": "60"}


# With the files of a mysqld --initialize, of the lab's own image.
MADE = {} if "LABTEST_MYSQL_IMAGE" in os.environ else {
    "entrypoint": "docker-entrypoint-made.sh"}


class Group:
    def __init__(self, ns, name, sites=("a", "b"), fast=True, prefer=None,
                 spec=None, storage="lab-local", readers=(), made=False):
        self.ns, self.name = ns, name
        self.sites = list(sites)
        self.readers = readers  # those of them that are read-only
        self.prefix = "mysql-" + name
        self.prefer = prefer or self.sites[0]
        self.fast = fast
        self.extra = dict(MADE if made else {}, **(spec or {}))
        self.storage = storage
        self.tls = False    # demanded by its servers
        self.rounds = 0     # of oracles
        self.op_user, self.op_password = "bloodraven", "op-" + name
        self.app_user, self.app_password = "app", "app-" + name
        self.root_password = "root-" + name
        self.zones = {s: "zone-" + s for s in "abc"}
        self.lb = {s: "192.0.2.%d" % (11 + i) for i, s in enumerate("abc")}

    @property
    def fg(self):
        return self.ns + "/" + self.name

    # --- objects

    def manifest(self):
        spec = {
            "image": IMAGE,
            "sidecarImage": SIDECAR_IMAGE,
            "sites": [self.site_spec(s) for s in self.sites],
            "credentials": {"operatorSecret": self.name + "-operator",
                            "appSecret": self.name + "-app"},
            "dns": {"hostname": self.name + ".db.example", "ttl": 5},
            "failoverCooldown": "%ds" % COOLDOWN,
            "splitBrainPolicy": {"sitePriorities": [self.prefer] + [
                s for s in self.sites
                if s != self.prefer and s not in self.readers]},
            "mysqlConf": dict(SMALL),
        }
        if self.fast:
            spec.update(FAST)
        spec.update(self.extra)
        return {"apiVersion": "shipstream.io/v1alpha1",
                "kind": "MysqlFailoverGroup",
                "metadata": {"name": self.name, "namespace": self.ns},
                "spec": spec}

    def site_spec(self, site):
        role = "read-only" if site in self.readers else "primary-candidate"
        return {"name": site, "role": role,
                "zone": self.zones[site], "lbIP": self.lb[site],
                "taintNodeSelector": {
                    "shipstream.io/site.%s" % self.name: site},
                "storage": {"storageClassName": self.storage,
                            "size": "1Gi"}}

    def secret(self, name, **data):
        return {"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "namespace": self.ns},
                "data": {k: base64.b64encode(v.encode()).decode()
                         for k, v in data.items()}}

    def create_secrets(self):
        api.create("secrets", self.ns, self.secret(
            self.name + "-operator", username=self.op_user,
            password=self.op_password,
            MYSQL_ROOT_PASSWORD=self.root_password,
            MYSQL_REPLICATION_USER="repl",
            MYSQL_REPLICATION_PASSWORD="repl-" + self.name))
        api.create("secrets", self.ns, self.secret(
            self.name + "-app", username=self.app_user,
            password=self.app_password))

    def create(self):
        try:
            api.create("namespaces", None, {
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": self.ns}})
        except api.ApiError as x:
            if x.status != 409:
                raise
        self.create_secrets()
        api.create("mysqlfailovergroups", self.ns, self.manifest())
        self.created = time.monotonic()
        return self

    def cr(self):
        return api.get("mysqlfailovergroups", self.ns, self.name)

    def status(self):
        return self.cr().get("status") or {}

    def active(self):
        return self.status().get("activeSite") or ""

    def other(self, site):
        return self.others(site)[0]

    def others(self, site):
        return [s for s in self.sites if s != site]

    def epoch(self):
        return (self.status().get("authority") or {}).get("epoch") or 0

    def patch(self, **spec):
        """Fields of the live object's spec."""
        api.merge("mysqlfailovergroups", self.ns, self.name, {"spec": spec})

    def condition(self, kind):
        for c in self.status().get("conditions") or []:
            if c["type"] == kind:
                return c
        return {}

    def is_true(self, kind):
        return self.condition(kind).get("status") == "True"

    def site(self, name):
        for s in self.status().get("sites") or []:
            if s["name"] == name:
                return s
        return {}

    def blocked(self, reason=None):
        c = self.condition("PromotionBlocked")
        return c.get("status") == "True" and (
            reason is None or c.get("reason") == reason) and c

    def events(self, reason=None):
        return [e for e in api.items("events", self.ns)
                if e["involvedObject"].get("name") == self.name
                and (reason is None or e["reason"] == reason)]

    def annotate(self, key, value):
        api.merge("mysqlfailovergroups", self.ns, self.name,
                  {"metadata": {"annotations": {ANN + key: value}}})

    def short(self):
        """One line for messages."""
        st = self.status()
        out = {"activeSite": st.get("activeSite"),
               "sites": {s["name"]: "%s%s" % (
                   s.get("state"), " " + s["recoveryState"]
                   if s.get("recoveryState") else "")
                   for s in st.get("sites") or []},
               "conditions": {c["type"]: "%s/%s" % (c["status"], c["reason"])
                              for c in st.get("conditions") or []}}
        return json.dumps(out)

    def wait_ready(self, seconds=300):
        return api.wait("group %s Ready" % self.name, seconds,
                        lambda: self.is_true("Ready") and self.active(),
                        self.short)

    # --- Pods

    def pods(self, site):
        return api.items("pods", self.ns, {
            "app.kubernetes.io/instance": self.name,
            "shipstream.io/site": site})

    def pod(self, site):
        """The site's newest Pod that is not going; None."""
        ps = [p for p in self.pods(site)
              if "deletionTimestamp" not in p["metadata"]]
        ps.sort(key=lambda p: p["metadata"]["creationTimestamp"])
        return ps[-1] if ps else None

    def container_id(self, site, name="mysql"):
        p = self.pod(site)
        c = lab.container(p, name) if p else {}
        if "running" not in c.get("state", {}):
            raise Failure("no running %s at %s" % (name, site))
        return c["containerID"]

    def the_pod(self, site):
        """Between two of them there is none for a moment."""
        p = self.pod(site)
        if p is None:
            raise Failure("no Pod at %s" % site)
        return p

    def address(self, site):
        return self.the_pod(site)["status"]["podIP"]

    def restarts(self, site, name="mysql"):
        return lab.container(self.pod(site) or {}, name).get(
            "restartCount", 0)

    def node(self, site):
        return self.the_pod(site)["spec"]["nodeName"]

    def kill9(self, site, name="mysql"):
        """The container's first process (mysqld's guard), and all with it."""
        lab.kill9(self.container_id(site, name))

    def server_pid(self, site):
        return lab.process(self.container_id(site), "mysqld")

    def kill_server(self, site):
        """mysqld alone: its guard lives on."""
        lab.kill([self.server_pid(site)])

    def pod_glob(self, site):
        return "%s-%s-*" % (self.prefix, site)

    def hold(self, site, create=False, name="mysql"):
        """The next start of this site's container (mysqld's guard) fails, until
        released. create: no further container is made, so that the kubelet's
        word about the one that ended stays in the Pod's status."""
        lab.fault("hold", *(["--create"] if create else []), self.ns,
                  self.pod_glob(site), name)

    def release(self, site, name="mysql"):
        lab.fault("release", self.ns, self.pod_glob(site), name)

    def claim(self, site):
        return "%s-%s-data" % (self.prefix, site)

    # --- SQL, as root at one site's Pod, from that Pod's own node

    def client(self, host, user):
        argv = lab.in_tree(lab.MYSQL_TREE, lab.MYSQL_TREE + "/usr/bin/mysql")
        argv += ["--no-defaults", "--protocol=tcp", "-h", host, "-P", "3306",
                 "-u", user, "--connect-timeout=%d" % (10 * api.SLOW), "-NB"]
        return argv + (["--ssl-mode=REQUIRED"] if self.tls else [
            "--ssl-mode=DISABLED", "--get-server-public-key"])

    def caught_up(self):
        """Every site has what the oracle wrote; nothing is written any more."""
        count = "SELECT COUNT(*) FROM oracle.writes"
        return len({self.sql(s, count) for s in self.sites}) == 1

    def mysql(self, host, node, user, password, text, timeout=30):
        try:
            p = subprocess.run(lab.on_node(node, self.client(host, user)),
                               input=text, env=dict(os.environ,
                                                    MYSQL_PWD=password),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               universal_newlines=True,
                               timeout=timeout * api.SLOW)
        except subprocess.TimeoutExpired:   # what is waited for may yet come
            raise Failure("SQL at %s: no answer within %g s" % (
                host, timeout * api.SLOW)) from None
        if p.returncode != 0:
            raise Failure("SQL at %s: %s" % (host, p.stderr.strip()[-300:]))
        return p.stdout

    def sql(self, site, text, timeout=30):
        p = self.pod(site)
        if p is None or not p["status"].get("podIP"):
            raise Failure("site %s has no Pod with an address" % site)
        return self.mysql(p["status"]["podIP"], p["spec"]["nodeName"], "root",
                          self.root_password, text, timeout)

    def app_sql(self, host, text, node=None):
        return self.mysql(host, node or lab.NODES[-1], self.app_user,
                          self.app_password, text)

    def read_only(self, site):
        return self.sql(site, "SELECT @@read_only, @@super_read_only") \
            .split() != ["0", "0"]

    def wait_healthy_follower(self, site, seconds=240):
        """The site is a replica again, or its divergence is reported: which."""
        def state():
            s = self.site(site)
            if s.get("recoveryState") == "RecoveryBlocked":
                return "blocked"
            if s.get("replicating") and s.get("state") == "read-only":
                return "replicating"
            return None
        return api.wait("%s back as a replica, or reported" % site, seconds,
                        state, self.short)

    def divergent(self, site):
        return self.site(site).get("divergentGtid") or ""
