"""What the Go reference leaves of a group, for those who switch from it: objects
in its shape (names, fields, no more), with nothing that only we have. Pure, from
the group as the API server has it; regress/kube/adopt.py makes them, too."""

# Its program's name, under which it creates and updates.
MANAGER = "bloodraven"
SITE = "shipstream.io/site"
HASH = "shipstream.io/spec-hash"
FIRST_ID = 101

CONF = "/etc/mysql/conf.d"
DATA = "/var/lib/mysql"
CREDS = "/etc/mysql/creds"

MYCNF = {
    "gtid-mode": "ON", "enforce-gtid-consistency": "ON",
    "log-bin": DATA + "/mysql-bin", "log-bin-trust-function-creators": "1",
    "log-replica-updates": "ON", "skip-replica-start": "ON",
    "sync-binlog": "1", "binlog-expire-logs-seconds": "1209600",
    "plugin-load-add": "mysql_clone.so", "default-storage-engine": "InnoDB",
    "innodb-flush-method": "O_DIRECT", "innodb-flush-log-at-trx-commit": "2",
    "innodb-file-per-table": "1", "max-allowed-packet": "64M",
    "max-connect-errors": "1000000", "skip-name-resolve": "",
    "max-connections": "500", "thread-cache-size": "50",
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_unicode_ci"}

ARGS = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON",
        "--log-bin=" + DATA + "/mysql-bin",
        "--relay-log=" + DATA + "/mysql-relay-bin",
        "--relay-log-index=" + DATA + "/mysql-relay-bin.index",
        "--log-replica-updates=ON", "--skip-replica-start=ON",
        "--plugin-load-add=mysql_clone.so"]

INIT = ("cp /etc/mysql/config-map/bloodraven.cnf " + CONF +
        "/bloodraven.cnf && printf '[mysqld]\\nserver-id=%d\\n' > " + CONF +
        "/server-id.cnf")

STOP = ("MYSQL_PWD=\"$(cat {0}/password)\" mysql -u \"$(cat {0}/username)\" "
        "-e 'SET GLOBAL super_read_only=ON' 2>/dev/null || true").format(
            CREDS + "/operator")

# The operator's and the application's account; the latter has all rights.
USERS = r"""#!/bin/sh
quote() { printf "'%%s'" "$(printf %%s "$1" | sed "s/[\\\\']/\\\\&/g")"; }
for role in operator app; do
	[ -r %(creds)s/$role/username ] || continue
	u=$(quote "$(cat %(creds)s/$role/username)")
	p=$(quote "$(cat %(creds)s/$role/password)")
	[ $role = operator ] && more="WITH GRANT OPTION" || more=
	MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --protocol=socket -uroot <<-E
		CREATE USER IF NOT EXISTS $u@'%%' IDENTIFIED BY $p;
		ALTER USER $u@'%%' IDENTIFIED BY $p;
		GRANT ALL ON *.* TO $u@'%%' $more;
		FLUSH PRIVILEGES;
	E
done
""" % {"creds": CREDS}


def name_of(g):
    return g["metadata"]["name"]


def sites(g):
    return [s["name"] for s in g["spec"]["sites"]]


def labels(name, site=None):
    kv = {"app.kubernetes.io/name": "mysql",
          "app.kubernetes.io/instance": name,
          "app.kubernetes.io/managed-by": "bloodraven",
          "shipstream.io/failover-group": name}
    return dict(kv, **{SITE: site}) if site else kv


def selector(name, site=None):
    kv = {"app.kubernetes.io/name": "mysql",
          "app.kubernetes.io/instance": name}
    return dict(kv, **{SITE: site}) if site else kv


def meta(g, name, site=None, **kw):
    return dict(name=name, labels=labels(name_of(g), site), ownerReferences=[{
        "apiVersion": "shipstream.io/v1alpha1", "kind": "MysqlFailoverGroup",
        "name": name_of(g), "uid": g["metadata"]["uid"], "controller": True,
        "blockOwnerDeletion": True}], **kw)


def internal(g, site):
    return "mysql-%s-%s-internal.%s.svc.cluster.local" % (
        name_of(g), site, g["metadata"]["namespace"])


def from_secret(name, secret, key):
    return {"name": name, "valueFrom": {"secretKeyRef": {
        "name": secret, "key": key}}}


def from_field(name, path):
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def mount(name, path, **kw):
    return dict(name=name, mountPath=path, **kw)


def accounts(g):
    """The roles that have a Secret of their own."""
    c = g["spec"]["credentials"]
    keys = {"operator": "operatorSecret", "app": "appSecret"}
    return {role: c[key] for role, key in keys.items() if key in c}


# --- the Pod

def init_container(g, sid):
    return {"name": "init", "image": g["spec"]["image"],
            "command": ["sh", "-c", INIT % sid],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "volumeMounts": [mount("config", "/etc/mysql/config-map"),
                             mount("conf", CONF)]}


def probe(delay, period, **what):
    return dict(what, initialDelaySeconds=delay, periodSeconds=period)


def mysql_container(g, sid):
    tcp = {"tcpSocket": {"port": 3306}}
    return {"name": "mysql", "image": g["spec"]["image"],
            "args": ["--server-id=%d" % sid] + ARGS,
            "env": [from_secret("MYSQL_ROOT_PASSWORD",
                                accounts(g)["operator"],
                                "MYSQL_ROOT_PASSWORD")],
            "ports": [{"name": "mysql", "containerPort": 3306}],
            "livenessProbe": probe(30, 10, **tcp),
            "readinessProbe": probe(5, 5, **tcp),
            "lifecycle": {"preStop": {"exec": {"command": [
                "sh", "-c", STOP]}}},
            "volumeMounts": [
                mount("data", DATA), mount("conf", CONF),
                mount("init-users", "/docker-entrypoint-initdb.d",
                      readOnly=True)] + [
                mount("creds-" + r, "%s/%s" % (CREDS, r), readOnly=True)
                for r in accounts(g)]}


def sidecar_env(g, site, operator):
    spec, secret = g["spec"].get("sidecar") or {}, accounts(g)["operator"]
    peers = ",".join(internal(g, s) + ":8080" for s in sites(g) if s != site)
    plain = {"LISTEN_ADDR": ":8080", "PEER_ADDRESSES": peers,
             "BLOODRAVEN_ADDRESS": spec.get("bloodravenAddress") or operator,
             "MY_SITE": site, "FAILOVER_GROUP": name_of(g),
             "LEASE_TIMEOUT": spec.get("leaseTimeout") or "20s",
             "PEER_CHECK_INTERVAL": spec.get("peerCheckInterval") or "5s"}
    return [from_secret("MYSQL_USER", secret, "username"),
            from_secret("MYSQL_PASSWORD", secret, "password"),
            from_field("MY_POD_NAME", "metadata.name"),
            from_field("POD_NAMESPACE", "metadata.namespace")] + [
        {"name": k, "value": v} for k, v in plain.items()]


def sidecar_container(g, site, operator):
    http = {"httpGet": {"path": "/health", "port": 8080}}
    return {"name": "sidecar",
            "image": g["spec"].get("sidecarImage") or "sidecar:1",
            "env": sidecar_env(g, site, operator),
            "ports": [{"name": "sidecar", "containerPort": 8080}],
            "livenessProbe": probe(5, 10, **http),
            "readinessProbe": probe(3, 5, **http)}


def volumes(g, site):
    n = name_of(g)
    return [{"name": "data", "persistentVolumeClaim": {
                "claimName": "mysql-%s-%s-data" % (n, site)}},
            {"name": "conf", "emptyDir": {}},
            {"name": "config", "configMap": {
                "name": "mysql-%s-%s-config" % (n, site)}},
            {"name": "init-users", "configMap": {
                "name": "mysql-%s-init-users" % n, "defaultMode": 0o555}}] + [
        {"name": "creds-" + role, "secret": {
            "secretName": secret, "items": [
                {"key": k, "path": k} for k in ("username", "password")]}}
        for role, secret in accounts(g).items()]


def deployment(g, site,
               operator="bloodraven.bloodraven-system.svc.cluster.local:8082"):
    """operator: where its sidecars look for it."""
    n, i = name_of(g), sites(g).index(site)
    hashed = {HASH: "0123456789abcdef"}
    lab = labels(n, site)
    return {"metadata": meta(g, "mysql-%s-%s" % (n, site), site,
                             annotations=dict(hashed)),
            "spec": {
                "replicas": 1, "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": selector(n, site)},
                "template": {
                    "metadata": {
                        "labels": dict(lab, **{
                            "shipstream.io/role": "replica",
                            "shipstream.io/healthy": "no"}),
                        "annotations": dict(hashed)},
                    "spec": {
                        "nodeSelector": {
                            "topology.kubernetes.io/zone":
                            g["spec"]["sites"][i]["zone"]},
                        "tolerations": [{
                            "key": "shipstream.io/db-readonly-" + n,
                            "operator": "Exists"}],
                        "terminationGracePeriodSeconds": g["spec"].get(
                            "terminationGracePeriodSeconds", 60),
                        "initContainers": [init_container(g, FIRST_ID + i)],
                        "containers": [
                            mysql_container(g, FIRST_ID + i),
                            sidecar_container(g, site, operator)],
                        "volumes": volumes(g, site)}}}}


# --- all else

def site_config(g, site):
    conf = dict(MYCNF, **{k.replace("_", "-"): v for k, v in (
        g["spec"].get("mysqlConf") or {}).items()})
    text = "".join(k + ("=" + v if v else "") + "\n"
                   for k, v in sorted(conf.items()))
    return {"metadata": meta(g, "mysql-%s-%s-config" % (name_of(g), site),
                             site),
            "data": {"bloodraven.cnf": "[mysqld]\n" + text}}


def init_users(g):
    return {"metadata": meta(g, "mysql-%s-init-users" % name_of(g)),
            "data": {"01-bloodraven-users.sh": USERS}}


def claim(g, site):
    storage = g["spec"]["sites"][sites(g).index(site)]["storage"]
    return {"metadata": meta(g, "mysql-%s-%s-data" % (name_of(g), site),
                             site),
            "spec": {"accessModes": ["ReadWriteOnce"],
                     "storageClassName": storage["storageClassName"],
                     "resources": {"requests": {"storage": storage["size"]}}}}


def service(g, name, sel, site=None, **spec):
    ports = spec.pop("ports", [("mysql", 3306)])
    return {"metadata": meta(g, name, site),
            "spec": dict(spec, type="ClusterIP", selector=sel, ports=[
                {"name": n, "port": p, "targetPort": p} for n, p in ports])}


def site_services(g, site):
    n = name_of(g)
    name, sel = "mysql-%s-%s" % (n, site), selector(n, site)
    return [service(g, name, sel, site),
            service(g, name + "-internal", sel, site,
                    publishNotReadyAddresses=True,
                    ports=[("mysql", 3306), ("sidecar", 8080)])]


def role_service(g, kind):
    """kind: primary or replicas."""
    n = name_of(g)
    sel = {"app.kubernetes.io/instance": n}
    if kind == "primary":
        sel["shipstream.io/role"] = "primary"
    else:
        sel.update({"shipstream.io/role": "replica",
                    "shipstream.io/healthy": "yes"})
    return service(g, "mysql-%s-%s" % (n, kind), sel)


def budget(g):
    return {"metadata": meta(g, "mysql-" + name_of(g)),
            "spec": {"minAvailable": 1, "selector": {
                "matchLabels": selector(name_of(g))}}}


def endpoint(g, site):
    """The DNS record: it applies that one."""
    spec = g["spec"]["sites"][sites(g).index(site)]
    m = meta(g, "bloodraven-" + name_of(g))
    del m["ownerReferences"][0]["controller"]
    return {"apiVersion": "externaldns.k8s.io/v1alpha1",
            "kind": "DNSEndpoint", "metadata": m,
            "spec": {"endpoints": [{
                "dnsName": g["spec"]["dns"]["hostname"], "recordType": "A",
                "targets": [spec["lbIP"]],
                "recordTTL": g["spec"]["dns"]["ttl"]}]}}


def everything(g):
    """(kind, object), in its order; Deployments last."""
    out = [("configmaps", site_config(g, s)) for s in sites(g)]
    out.append(("configmaps", init_users(g)))
    for s in sites(g):
        out.append(("persistentvolumeclaims", claim(g, s)))
        out += [("services", o) for o in site_services(g, s)]
    out += [("services", role_service(g, k)) for k in ("primary", "replicas")]
    out.append(("poddisruptionbudgets", budget(g)))
    return out + [("deployments", deployment(g, s)) for s in sites(g)]
