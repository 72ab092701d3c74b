"""A control plane of one etcd and one kube-apiserver, for the tests beside.

Runs in a network namespace of its own, on loopback: 127.0.0.1 is the address
that the program under test uses, and 127.0.0.2 the one of the tests, so that
packets of the former alone can be dropped.
"""
import base64
import concurrent.futures
import glob
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time

TEST_ADDR = "127.0.0.2"
PORT = 6443
ADMIN = "admin-token-of-a-throw-away-cluster"
MERGE = "application/merge-patch+json"

# Where the tests' groups are, and what is theirs.
NS = "db"
CORE = f"/api/v1/namespaces/{NS}"
APPS = f"/apis/apps/v1/namespaces/{NS}/deployments"
PDBS = f"/apis/policy/v1beta1/namespaces/{NS}/poddisruptionbudgets"
SITE = "shipstream.io/site"


def several(jobs, workers=4):
    """Each job's answer; all that failed in one message."""
    wrong, count = [], {}
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for f in [pool.submit(fn, *a) for fn, *a in jobs]:
            try:
                how = f.result()
                count[how] = count.get(how, 0) + 1
            except AssertionError as e:
                wrong.append(str(e))
    assert not wrong, f"{len(wrong)} of {len(jobs)}:\n" + "\n".join(wrong)
    return count


# How many times slower than usual everything here may be: some API servers, and
# other parts of regress/check beside them, share a few processors.
SLOW = 4


def wait_for(what, seconds, fn):
    """fn() until it is true; its value. A deadline, never a fixed sleep, and what
    is usual: no test says by it how fast something has to be."""
    end = time.monotonic() + seconds * SLOW
    while True:
        late = time.monotonic() > end
        v = fn()
        if v:
            return v
        if late:
            raise AssertionError(f"not within {seconds * SLOW} s: {what}")
        time.sleep(0.02)


def sh(*cmd, **kw):
    return subprocess.run(cmd, check=True, capture_output=True, text=True, **kw)


class Answer(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:300]}")
        self.status = status
        try:
            self.message = json.loads(body)["message"]
        except (ValueError, KeyError, TypeError):
            self.message = body


class Cluster:
    def __init__(self, work, k8s, etcd):
        self.work, self.k8s, self.etcd = work, k8s, etcd
        self.procs = {}
        self.ctx = None

    # ------------------------------------------------------------ processes

    def start(self, name, *cmd):
        log = open(f"{self.work}/{name}.log", "ab")
        self.procs[name] = subprocess.Popen(cmd, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)

    def stop(self, name, sig=signal.SIGTERM):
        p = self.procs.pop(name, None)
        if p is None:
            return
        p.send_signal(sig)
        try:
            p.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()

    def check_alive(self):
        """Somebody else's clean-up is not a failure of the program."""
        for name, p in self.procs.items():
            if p.poll() is not None:
                eprint(f"     NOTE: {name} ended by itself: {p.returncode}")

    def pki(self):
        w = self.work
        self.ca = f"{w}/ca.crt"
        sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
           "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{w}/ca.key",
           "-out", self.ca, "-days", "7", "-subj", "/CN=ca", "-addext",
           "keyUsage=critical,keyCertSign,cRLSign")
        sh("openssl", "req", "-newkey", "ec", "-pkeyopt",
           "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
           f"{w}/api.key", "-out", f"{w}/api.csr", "-subj", "/CN=api")
        with open(f"{w}/api.ext", "w") as f:
            f.write("extendedKeyUsage=serverAuth\nsubjectAltName="
                    f"DNS:kubernetes.default.svc,IP:127.0.0.1,IP:{TEST_ADDR}\n")
        sh("openssl", "x509", "-req", "-in", f"{w}/api.csr", "-CA", self.ca,
           "-CAkey", f"{w}/ca.key", "-CAcreateserial", "-days", "7",
           "-extfile", f"{w}/api.ext", "-out", f"{w}/api.crt")
        sh("openssl", "genrsa", "-out", f"{w}/sa.key", "2048")
        with open(f"{w}/tokens.csv", "w") as f:
            f.write(f"{ADMIN},admin,admin-uid,system:masters\n")
        self.ctx = ssl.create_default_context(cafile=self.ca)

    def api_start(self):
        w = self.work
        self.start("apiserver", f"{self.k8s}/kube-apiserver",
                   "--etcd-servers=http://127.0.0.1:2379",
                   "--bind-address=0.0.0.0", "--advertise-address=127.0.0.2",
                   f"--secure-port={PORT}", f"--tls-cert-file={w}/api.crt",
                   f"--tls-private-key-file={w}/api.key",
                   f"--token-auth-file={w}/tokens.csv",
                   f"--service-account-key-file={w}/sa.key",
                   f"--service-account-signing-key-file={w}/sa.key",
                   "--service-account-issuer=https://kubernetes.default.svc",
                   "--api-audiences=https://kubernetes.default.svc",
                   "--service-cluster-ip-range=10.96.0.0/16",
                   "--authorization-mode=RBAC",
                   "--disable-admission-plugins=ServiceAccount",
                   "--endpoint-reconciler-type=none",
                   "--shutdown-delay-duration=0s")
        wait_for("readyz", 180, self.ready)

    def ready(self):
        try:
            return self.call("GET", "/readyz", raw=True) == b"ok"
        except (OSError, Answer, http.client.HTTPException):
            return False

    def up(self):
        self.pki()
        self.start("etcd", self.etcd, "--data-dir", f"{self.work}/etcd",
                   "--unsafe-no-fsync",
                   "--listen-client-urls", "http://127.0.0.1:2379",
                   "--advertise-client-urls", "http://127.0.0.1:2379",
                   "--listen-peer-urls", "http://127.0.0.1:2380",
                   "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
                   "--initial-cluster", "default=http://127.0.0.1:2380")
        self.api_start()

    def down(self):
        for name in ("apiserver", "etcd"):
            self.stop(name)

    # --------------------------------------------------------------- client

    def call(self, method, path, body=None, ctype="application/json",
             raw=False, token=ADMIN, agent="test"):
        c = http.client.HTTPSConnection(TEST_ADDR, PORT, context=self.ctx,
                                        timeout=20 * SLOW)
        h = {"Authorization": f"Bearer {token}", "Content-Type": ctype,
             "User-Agent": agent}
        try:
            c.request(method, path, None if body is None else json.dumps(body),
                      h)
            r = c.getresponse()
            text = r.read()
        finally:
            c.close()
        if r.status >= 300:
            raise Answer(r.status, text.decode())
        return text if raw else json.loads(text)

    def replace(self, path, change):
        """A whole object: a merge patch would keep what is left out. Again when
        somebody (the operator: its status) wrote in between."""
        while True:
            o = self.call("GET", path)
            change(o)
            try:
                return self.call("PUT", path, o)
            except Answer as e:
                if e.status != 409:
                    raise

    def get(self, path):
        try:
            return self.call("GET", path)
        except Answer as e:
            if e.status == 404:
                return None
            raise

    def create(self, path, obj):
        return self.call("POST", path, obj)

    def merge(self, path, obj):
        return self.call("PATCH", path, obj, MERGE)

    def delete(self, path):
        return self.call("DELETE", path)

    def force(self, path):
        """Away with it at once, if it is there, whoever holds it. In this order:
        nobody puts a finalizer on what is being deleted."""
        for method, body, kind in (
                ("DELETE", {"gracePeriodSeconds": 0}, "application/json"),
                ("PATCH", {"metadata": {"finalizers": None}}, MERGE)):
            try:
                self.call(method, path, body, kind)
            except Answer as e:
                if e.status != 404:
                    raise

    def token(self, ns, sa):
        return self.create(
            f"/api/v1/namespaces/{ns}/serviceaccounts/{sa}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
             "spec": {"expirationSeconds": 3600}})["status"]["token"]

    # -------------------------------------------------------------- network

    def cut(self, on):
        """Drop everything between 127.0.0.1 and the API server's port."""
        if not on:
            sh("nft", "delete", "table", "inet", "cut")
            return
        sh("nft", "-f", "-", input="""
table inet cut {
  chain out {
    type filter hook output priority 0;
    ip daddr 127.0.0.1 tcp dport 6443 drop
    ip saddr 127.0.0.1 tcp sport 6443 drop
  }
}""")

    # ----------------------------------------------------------------- CRDs

    def crd(self, group, kind, plural):
        """The product's own CRD where it is there, else an open one."""
        repo = os.path.join(os.path.dirname(__file__), "../..")
        obj = None
        for f in glob.glob(f"{repo}/crds/*{plural}*.yaml"):
            import yaml
            with open(f) as s:
                obj = yaml.safe_load(s)
        if obj is None:
            openapi = {"type": "object",
                       "x-kubernetes-preserve-unknown-fields": True}
            obj = {"apiVersion": "apiextensions.k8s.io/v1",
                   "kind": "CustomResourceDefinition",
                   "metadata": {"name": f"{plural}.{group}", "annotations": {
                       "api-approved.kubernetes.io": "unapproved"}},
                   "spec": {"group": group, "scope": "Namespaced",
                            "names": {"kind": kind, "plural": plural},
                            "versions": [{
                                "name": "v1alpha1", "served": True,
                                "storage": True, "subresources": {"status": {}},
                                "schema": {"openAPIV3Schema": openapi}}]}}
        self.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                    obj)
        wait_for(f"{plural} served", 20, lambda: self.get(
            f"/apis/{group}/v1alpha1/{plural}"))


class Drive:
    """The worker under test, as a process; this object plays its parent."""
    alive = set()

    def __init__(self, cluster, program, kind="kube", token=ADMIN, valgrind=(),
                 keys=True, **env):
        self.msgs, self.lock = [], threading.Lock()
        self.led, self.keys, self.wlock = False, keys, threading.Lock()
        self.keyless, self.identity = {}, env.get("IDENTITY")
        path = f"{cluster.work}/token.{id(self)}"
        with open(path, "w") as f:
            f.write(token)
        e = dict(os.environ, API_CA=cluster.ca, API_TOKEN=path,
                 API_PORT=str(PORT))
        e.update({k: str(v) for k, v in env.items()})
        self.log = f"{cluster.work}/drive.log"
        self.p = subprocess.Popen([*valgrind, program, kind], env=e, text=True,
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE,
                                  stderr=open(self.log, "a"))
        self.t = threading.Thread(target=self.reader, daemon=True)
        self.t.start()
        Drive.alive.add(self)

    def reader(self):
        for line in self.p.stdout:
            m = json.loads(line)
            with self.lock:
                self.msgs.append(m)
            if self.keys:
                self.make_keys(m)

    def make_keys(self, m):
        """What every leading parent does: Pods' Secrets are made, so that a
        group is applied at all."""
        if m["type"] == "LEASE":
            self.led = m["held"]
        elif m["type"] == "KEYS" and m["group"]:
            key = m["group"], m["site"]
            self.keyless.pop(key, None)
            if m["generation"] == 0 and not m["taken"]:
                self.keyless[key] = m
        if not self.led:
            return
        for group, site in list(self.keyless):
            del self.keyless[group, site]
            self.send("KEY_PUT", **key_put(group, site))

    def send(self, type, **fields):
        with self.wlock:
            try:
                self.p.stdin.write(json.dumps(dict(type=type, **fields)) +
                                   "\n")
                self.p.stdin.flush()
            except (BrokenPipeError, ValueError):
                if threading.current_thread() is not self.t:
                    raise

    def mark(self):
        with self.lock:
            return len(self.msgs)

    def find(self, type, since=0, **match):
        with self.lock:
            for m in self.msgs[since:]:
                if m["type"] == type and all(
                        m.get(k) == v for k, v in match.items()):
                    return m
        return None

    def count(self, type, since=0, **match):
        with self.lock:
            return sum(1 for m in self.msgs[since:] if m["type"] == type and
                       all(m.get(k) == v for k, v in match.items()))

    def last(self, type, **match):
        with self.lock:
            for m in reversed(self.msgs):
                if m["type"] == type and all(
                        m.get(k) == v for k, v in match.items()):
                    return m
        return None

    def expect(self, type, seconds=10, since=0, **match):
        def look():
            if self.p.poll() is not None:
                raise AssertionError(f"the program ended: {self.p.returncode}")
            return self.find(type, since, **match)
        return wait_for(f"{type} {match}", seconds, look)

    def stats(self):
        at = self.mark()
        self.send("_stats")
        return self.expect("_stats", since=at)

    def close(self):
        if self.p.poll() is None:
            self.p.stdin.close()
            self.p.wait(20 * SLOW)
        Drive.alive.discard(self)
        self.t.join(5)
        if self.p.returncode != 0:
            raise AssertionError(f"the program ended: {self.p.returncode}")

    def kill(self):
        Drive.alive.discard(self)
        self.p.kill()
        self.p.wait()


def key_put(group, site, base=0, generation=1, seed="5a", **kw):
    return dict(dict(group=group, site=site, base=base, generation=generation,
                     since=generation, made_s=1764158400, done=0,
                     seed=seed * 32, other="",
                     trust="operator " + "01" * 32 + "\n"), **kw)


def b64(s):
    return base64.b64encode(s.encode()).decode()


def eprint(*a):
    print(*a, file=sys.stderr, flush=True)
