"""Random specs that the CustomResourceDefinition admits, from its own schema.

wild is the share of values that have but the right type and limits; the others
are such as people write. Everything comes from one random.Random.
"""
import copy
import re

NASTY = ["", " ", "x", "-", "a" * 64, "b" * 300, "../../etc/passwd", "$(id)",
         "${HOME}", "a'b\"c", "l1\nl2", "\t", "ünïcode", "日本", "%s%n", "{{.}}",
         "null", "true", "0", "-1", "a/b", "a.b.c", "A_B", "#", ";", "--help",
         "1.2.3.4", "::1", "host:3306", "a,b", "\x7f", "🦆" * 20, "\\", "a=b"]
KEYS = ["app", "team.example.com/owner", "a", "x" * 63, "B_c", "-bad", "sp ace",
        "a/b/c", "shipstream.io/role", "kubernetes.io/x", "", "é"]
CNF = {"max_connections": "200", "innodb-buffer-pool-size": "64M",
       "long_query_time": "2", "skip-name-resolve": "",
       "loose-x_y": "1", "read_only": "OFF", "server-id": "7",
       "gtid_mode": "OFF", "log-error-verbosity": "3", "datadir": "/x"}
QUANTITIES = ["1Gi", "10G", "500M", "1.5Gi", 1073741824, "1e9", "2Ti", "0.5Gi"]
CONTAINERS = [
    {"name": "exporter", "image": "exporter:1"},
    {"name": "log", "image": "busybox", "command": ["tail", "-f", "/x"],
     "env": [{"name": "A", "value": "b"}]},
    {"name": "res", "image": "i", "resources": {"limits": {"cpu": "1"}},
     "ports": [{"containerPort": 9104, "name": "metrics"}]}]
BAD_CONTAINERS = [
    {"name": "mysql", "image": "x"}, {"name": "no-image"}, {"image": "x"},
    {"name": "Upper", "image": "x"}, {"name": "p", "image": "x", "ports": [
        {"containerPort": 99999}]},
    {"name": "q", "image": "x", "env": "no list"},
    {"name": "m", "image": "x", "volumeMounts": [
        {"name": "nothere", "mountPath": "/x"}]},
    {"name": "r", "image": "x", "imagePullPolicy": "Sometimes"},
    {"name": 7, "image": "x"}, {}]
RESOURCES = [
    {}, {"requests": {"cpu": "100m", "memory": "256Mi"}},
    {"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}}]
BAD_RESOURCES = [
    {"requests": {"cpu": "much"}}, {"requests": "all"}, {"limits": []},
    {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}},
    {"requests": {"memory": -1}}, {"unknown": {"x": "y"}},
    {"limits": {"not a name": "1"}}]
POD_SECURITY = [
    {}, {"runAsUser": 999, "fsGroup": 999}, {"runAsNonRoot": True},
    {"sysctls": []}]
CTR_SECURITY = [
    {}, {"runAsUser": 999}, {"allowPrivilegeEscalation": False,
                             "capabilities": {"drop": ["ALL"]}},
    {"readOnlyRootFilesystem": False}]
BAD_SECURITY = [
    {"runAsUser": "root"}, {"runAsUser": -5}, {"capabilities": ["ALL"]},
    {"seccompProfile": {"type": "Nope"}}, {"privileged": "yes"},
    {"runAsGroup": 1.5}, {"fsGroup": []}]


class Specs:
    def __init__(self, schema, rnd):
        self.spec = schema["spec"]["versions"][0]["schema"][
            "openAPIV3Schema"]["properties"]["spec"]
        self.r = rnd
        self.wild = 0

    def bad(self):
        return self.r.random() < self.wild

    # ------------------------------------------------------------- scalars

    def nasty(self, s):
        lo, hi = s.get("minLength", 0), s.get("maxLength", 10**6)
        fit = [x for x in NASTY if lo <= len(x) <= hi]
        return self.r.choice(fit) if fit else "z" * lo

    def string(self, s, path):
        name = path[-1]
        if "enum" in s:
            return self.r.choice(s["enum"])
        if s.get("format") == "date-time":
            return "2026-11-26T12:00:00Z"
        if "pattern" in s:
            fit = [x for x in ("main", "a", "p-1", "/opt/entry.sh",
                               "docker-entrypoint.sh", "/run/keys",
                               "/usr/sbin") if re.search(s["pattern"], x)]
            return self.r.choice(fit)
        if self.bad():
            return self.nasty(s)
        return self.r.choice(self.usual(name, path))

    def usual(self, name, path):
        sane = {
            "image": ["mysql:9.7", "registry.example/mysql@sha256:" + "a" * 64],
            "sidecarImage": ["ghcr.io/shipstream/bloodraven-sidecar:1.0.0"],
            "zone": ["zone-a", "eu-west-1b"],
            "lbIP": ["192.0.2.%d" % self.r.randrange(1, 255),
                     "2001:db8::%x" % self.r.randrange(1, 999)],
            "storageClassName": ["local", "fast-ssd"],
            "hostname": ["db.example.net", "a-b.c.example"],
            "bloodravenAddress": ["bloodraven.x.svc:8082", "[::1]:8082",
                                  "10.0.0.1:1"],
            "confirm": ["2026-11-26T12:00:00Z"],
            "stopDatetime": ["2026-11-26T12:00:00Z", "2026-11-26 12:00:00"],
            "schedule": ["0 3 * * *"], "timeZone": ["Etc/UTC"],
            "profileName": ["main"], "maxBinlogSize": ["100M"],
        }
        if name in sane:
            return sane[name]
        if name.lower().endswith("secret") or name in ("secretName", "name"):
            return ["some-secret", "other.secret"]
        return ["text", "more-text"]

    def duration(self):
        return self.r.choice(["1s", "2s", "500ms", "1m", "1m30s", "2h", "45s",
                              "0s"] + (["", "-1s", "10", "1d", "soon",
                                            "9999999h", "1ns", "1.5s"]
                                           if self.bad() else []))

    def integer(self, s):
        lo = s.get("minimum", -3)
        hi = s.get("maximum", 2**31 - 1 if s.get("format") == "int32"
                   else 2**63 - 1)
        if self.bad():
            return self.r.choice([lo, hi, min(hi, lo + 1),
                                  self.r.randint(lo, hi)])
        return self.r.randint(lo, min(hi, lo + 100))

    # ------------------------------------------------------------ containers

    def map(self, path):
        name = path[-1]
        if name == "mysqlConf":
            keys = list(CNF) if self.bad() else list(CNF)[:5]
            return {k: CNF[k] for k in self.r.sample(
                keys, self.r.randrange(1, 4))}
        if name == "taintNodeSelector":
            return {"site": path[0]} if not self.bad() else {
                self.r.choice(KEYS): self.nasty({})}
        n = self.r.randrange(3)
        if self.bad():
            return {self.r.choice(KEYS): self.nasty({}) for _ in range(n + 1)}
        return {k: "v%d" % n for k in KEYS[:n]}

    def passed(self, path):
        """Objects of Kubernetes' own types, which the schema leaves open."""
        name = path[-1]
        if name.lower().endswith("resources"):
            good, wrong = RESOURCES, BAD_RESOURCES
        elif name == "podSecurityContext":
            good, wrong = POD_SECURITY, BAD_SECURITY
        else:
            good, wrong = CTR_SECURITY, BAD_SECURITY
        return copy.deepcopy(self.r.choice(wrong if self.bad() else good))

    def value(self, s, path):
        t = s.get("type")
        if s.get("x-kubernetes-int-or-string"):
            return self.r.choice(QUANTITIES if not self.bad() else
                                 ["0", "-1Gi", "much", "1Q", "", 0, 5])
        if t == "object" and "properties" in s:
            return self.object(s, path)
        if t == "object" and "additionalProperties" in s:
            return self.map(path)
        if t == "object":
            return self.passed(path)
        if t == "array":
            return self.array(s, path)
        if t == "boolean":
            return self.r.random() < 0.5
        if t == "integer":
            return self.integer(s)
        if self.is_duration(path[-1]):
            return self.duration()
        return self.string(s, path)

    DURATIONS = {"pollInterval", "failoverCooldown", "connectionDrainTimeout",
                 "leaseTimeout", "peerCheckInterval", "maxLagWait",
                 "drainTimeout", "archivePollInterval", "maxSyncWait"}

    def is_duration(self, name):
        return name in self.DURATIONS

    def array(self, s, path):
        lo = s.get("minItems", 0)
        hi = min(s.get("maxItems", 3), max(lo, 3))
        items = s.get("items", {})
        if path[-1] in ("extraContainers", "extraInitContainers"):
            pool = CONTAINERS + (BAD_CONTAINERS if self.bad() else [])
            return copy.deepcopy(self.r.sample(pool, self.r.randrange(3)))
        if path[-1] == "imagePullSecrets":
            return [{"name": "pull"}]
        return [self.value(items, path) for _ in range(
            self.r.randint(lo, hi))]

    def object(self, s, path):
        out = {}
        for k, v in s["properties"].items():
            need = k in s.get("required", ())
            if need or self.r.random() < self.often:
                out[k] = self.value(v, path + [k])
        return out

    # ------------------------------------------------------------------ spec

    def sites(self, s, n):
        out = []
        for i in range(n):
            name = "s%d" % i
            site = self.object(s["items"], [name])
            site["name"] = self.nasty({"minLength": 1, "maxLength": 253}) \
                if self.bad() else name
            # What the rules between fields demand, most of the time.
            if not self.bad():
                if i < 2:
                    site.pop("role", None)
                site["taintNodeSelector"] = {"site": name}
                site["lbIP"] = "192.0.2.%d" % (i + 1)
                site.pop("serviceTemplate", None)
            out.append(site)
        return out

    def make(self, wild):
        self.wild = wild
        self.often = self.r.choice([0.05, 0.2, 0.5])
        spec = self.object(self.spec, ["spec"])
        n = self.r.choice([2, 2, 2, 3, 3, 4, 16])
        spec["sites"] = self.sites(self.spec["properties"]["sites"], n)
        if not self.bad():
            spec.pop("secretName", None)
            spec["credentials"] = {"operatorSecret": "op"}
        if not self.bad():
            for k in ("splitBrainPolicy", "tls", "encryptionAtRest",
                      "dragonfly", "backup", "initFromBackup",
                      "restoreInPlace"):
                if self.r.random() < 0.8:
                    spec.pop(k, None)
            spec.pop("sidecar", None)
            if spec.get("serviceTemplate", {}).get("type") not in (
                    "NodePort", "LoadBalancer"):
                spec.pop("serviceTemplate", None)
        return spec

    # ------------------------------------------------------------------ edits

    def edit(self, spec, wild, tls=None):
        """The same group, changed by somebody: another spec. tls: of a Secret
        that is whole."""
        self.wild = wild
        self.often = 0.2
        spec = copy.deepcopy(spec)
        ways = [self.join, self.leave, self.rename, self.shuffle, self.role,
                self.credentials, self.field, self.field]
        for _ in range(self.r.randrange(1, 4)):
            self.r.choice(ways)(spec)
        if tls and self.r.random() < 0.3:
            if "tls" in spec:
                del spec["tls"]
                spec.pop("encryptionAtRest", None)
            else:
                spec["tls"] = copy.deepcopy(tls)
        return spec

    def fresh_name(self, spec):
        have = {s["name"] for s in spec["sites"]}
        return self.r.choice(sorted(
            {"s%d" % i for i in range(20)} | {"iad", "pdx"} - have))

    def join(self, spec):
        if len(spec["sites"]) < 16:
            new = copy.deepcopy(self.r.choice(spec["sites"]))
            new["name"] = self.fresh_name(spec)
            spec["sites"].insert(self.r.randrange(len(spec["sites"]) + 1), new)

    def leave(self, spec):
        """Also one that is needed, now and then."""
        if len(spec["sites"]) > (1 if self.bad() else 2):
            spec["sites"].pop(self.r.randrange(len(spec["sites"])))

    def rename(self, spec):
        self.r.choice(spec["sites"])["name"] = self.fresh_name(spec)

    def shuffle(self, spec):
        self.r.shuffle(spec["sites"])

    def role(self, spec):
        site = self.r.choice(spec["sites"])
        site["role"] = self.r.choice(["primary-candidate", "dr-only",
                                      "read-only"])

    def credentials(self, spec):
        for k in ("secretName", "credentials"):
            spec.pop(k, None)
        if self.r.random() < 0.25:
            spec["secretName"] = "op"
            return
        spec["credentials"] = {"operatorSecret": "op"}
        for role, name in (("appSecret", "some-secret"),
                           ("readOnlySecret", "other.secret")):
            if self.r.random() < 0.5:
                spec["credentials"][role] = name

    def field(self, spec):
        """One of the others anew, or gone."""
        props = self.spec["properties"]
        name = self.r.choice(sorted(set(props) - {
            "sites", "credentials", "secretName", "tls", "encryptionAtRest"}))
        if self.r.random() < 0.3 and name != "dns":
            spec.pop(name, None)
        else:
            spec[name] = self.value(props[name], ["spec", name])
