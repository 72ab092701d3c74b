"""TLS with the user's certificate, and Secrets that change while the group is
written to: another certificate of another CA, each password, the operator killed
in between. Nothing is restarted, and not one write is refused."""
import os
import subprocess

import api
import bloodraven as op
import fence
import lab
from api import Failure, holds, wait
from group import Group
from oracle import PATIENT
from runner import test

# A kubelet brings a changed Secret to its Pods within this, as a rule.
KUBELET = 240


class Authority:
    """A CA, and certificates of it; files in dir."""

    def __init__(self, directory, name):
        self.base = os.path.join(directory, name)
        self.serial = 0
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-subj", "/CN=" + name, "-keyout", self.base + ".key",
                 "-out", self.base + ".crt")

    @staticmethod
    def run(*argv):
        p = subprocess.run(("openssl",) + argv, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, universal_newlines=True)
        if p.returncode != 0:
            raise Failure("openssl %s: %s" % (argv[0], p.stdout[-300:]))

    @staticmethod
    def read(path):
        with open(path) as f:
            return f.read()

    def issue(self, names, days=20):
        """Keys of a TLS Secret."""
        self.serial += 1
        f = "%s-%d" % (self.base, self.serial)
        self.run("req", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=mysql",
                 "-keyout", f + ".key", "-out", f + ".csr")
        with open(f + ".ext", "w") as x:
            x.write("subjectAltName=" + ",".join("DNS:" + n for n in names))
        self.run("x509", "-req", "-in", f + ".csr", "-CA",
                 self.base + ".crt", "-CAkey", self.base + ".key",
                 "-CAcreateserial", "-days", str(days), "-extfile",
                 f + ".ext", "-out", f + ".crt")
        return {"ca.crt": self.read(self.base + ".crt"),
                "tls.crt": self.read(f + ".crt"),
                "tls.key": self.read(f + ".key")}


def names(g, internal=True):
    end = ".%s.svc.cluster.local" % g.ns
    out = [g.prefix + "-primary" + end, g.prefix + "-replicas" + end]
    for s in g.sites:
        out.append(g.prefix + "-" + s + end)
        if internal:
            out.append(g.prefix + "-" + s + "-internal" + end)
    return out


def put(g, secret, data):
    """As a person changes a Secret."""
    api.merge("secrets", g.ns, secret, {"data": g.secret(
        secret, **data)["data"]})


def tls_group(t, **kw):
    """One that is Ready, and its CA."""
    name = t.name
    spec = {"tls": {"secretName": name + "-tls", "issuerRef": {
        "name": "ca", "kind": "Issuer"}}}
    ca = Authority(t.dir, "ca1")
    g = t.group(spec=spec, **kw)
    g.tls = True
    # A group that waits for its certificate says so.
    wait("it is missed", 30, lambda: g.condition("TLSValid").get(
        "reason") == "SecretNotFound", g.short)
    api.create("secrets", g.ns, g.secret(
        name + "-tls", **ca.issue(names(g))))
    g.wait_ready()
    return g, ca


def shown(g, site):
    """When the certificate that the server shows ends."""
    return g.sql(site, "SHOW STATUS LIKE 'Ssl_server_not_after'").split(
        "\t")[1].strip()


def containers(g):
    return {s: (g.pod(s)["metadata"]["uid"], g.container_id(s),
                g.server_pid(s), g.container_id(s, fence.SIDECAR))
            for s in g.sites}


def valid(g, kind):
    c = g.condition(kind)
    return c.get("status") == "True" and c.get("reason") == "Valid"


def source(g, site, columns):
    return g.sql(site, "SELECT %s FROM mysql.slave_master_info WHERE "
                 "Channel_name=''" % columns).strip()


def replicating(g):
    return all(g.site(s).get("replicating") for s in g.others(g.active()))


@test("tls", order=57)
def tls(t):
    """Ready with TLS: plain text is refused, replication checks CA and name, and
    the other site takes over as ever."""
    g, _ = tls_group(t)
    active = g.active()
    for s in g.others(active):
        got = source(g, s, "Enabled_ssl, Ssl_verify_server_cert, Ssl_ca")
        if got.split("\t") != ["1", "1", "/etc/mysql/tls/ca.crt"]:
            raise Failure("replica %s: %r" % (s, got))
    g.tls = False
    try:
        g.sql(active, "SELECT 1")
    except Failure as x:
        t.log("plain text: %s" % x)
    else:
        raise Failure("plain text was let in")
    g.tls = True
    fence.whole(g)
    o = t.oracle(g)
    t.hold(g, active)
    g.kill9(active)
    new = fence.promoted(g, active)
    o.wait_acked(30)
    g.release(active)
    f = fence.judged(t, g, o, active, new)
    t.ok("TLS from %s to %s: %s" % (active, new, fence.described(f)))


def brought(g, site, data):
    """The kubelet has it in this site's Pod."""
    return lab.read_in(g.container_id(site, fence.SIDECAR),
                       "/etc/mysql/tls/tls.crt") == data["tls.crt"]


def cure(t, g, secret, ca):
    """A server that begins while a bad certificate is mounted shows that one,
    and no operator is let in; the good one is loaded without them."""
    site = g.other(g.active())
    bad, good = ca.issue(["elsewhere.example"], 5), ca.issue(names(g), 12)
    was = shown(g, site)
    put(g, secret, bad)
    wait("the bad one is mounted", KUBELET,
         lambda: brought(g, site, bad), g.short)
    if shown(g, site) != was:
        raise Failure("the bad one was loaded")
    pid = g.server_pid(site)
    g.kill_server(site)
    wait("another server", 60, lambda: g.server_pid(site) != pid, g.short)

    def answers():
        try:
            return shown(g, site)
        except Failure:
            return None
    met = wait("it answers", 90, answers, g.short)

    def unknown():
        return g.site(site).get("state") == "unreachable"
    wait("it is missed", 30, unknown, g.short)
    holds("it is not let in", 5, unknown)
    if met == was:
        raise Failure("the server began with the good one")
    pid, since = g.server_pid(site), lab.boot_ns()
    put(g, secret, good)
    wait("the operator is let in", KUBELET, lambda: g.site(site).get(
        "state") == "read-only" and valid(g, "TLSValid"), g.short)
    if shown(g, site) in (was, met) or g.server_pid(site) != pid:
        raise Failure("it was not cured by the good one")
    fence.whole(g)
    return (lab.boot_ns() - since) / 1e9


@test("tls-change", order=15)
def tls_change(t):
    """A new certificate of a new CA under load, broken ones before it: each is
    told by its field, none is loaded; the good one is, without a restart. Then
    a server dies while a bad one is mounted, and is cured by a good one."""
    g, ca = tls_group(t)
    fence.whole(g)
    secret = t.name + "-tls"
    o = t.oracle(g, timeout=PATIENT)
    before, since = containers(g), lab.boot_ns()
    old = {s: shown(g, s) for s in g.sites}
    good = ca.issue(names(g), 10)
    for what, reason, data in (
            ("a key of another one", "TLSKeyMismatch",
             {**good, "tls.key": ca.issue(names(g))["tls.key"]}),
            ("no certificate", "TLSNotPEM", {**good, "tls.crt": "none"}),
            ("no names", "TLSNamesMissing", ca.issue(["elsewhere.example"]))):
        put(g, secret, data)
        wait(what, 30, lambda r=reason: g.condition("TLSValid").get(
            "reason") == r, g.short)
        if not g.events(reason):
            wait("its Event", 10, lambda r=reason: g.events(r))
        t.ok("%s: %s" % (what, g.condition("TLSValid")["message"]))
    new = Authority(t.dir, "ca2")
    put(g, secret, new.issue(names(g), 15))
    wait("all sites show the new one", KUBELET, lambda: valid(
        g, "TLSValid") and all(shown(g, s) != old[s] for s in g.sites),
        g.short)
    took = (lab.boot_ns() - since) / 1e9
    wait("its CA is remembered", 30, lambda: api.get(
        "secrets", g.ns, g.prefix + "-accounts")["data"]["ca.crt"] ==
        g.secret("", x=new.read(new.base + ".crt"))["data"]["x"])
    if containers(g) != before:
        raise Failure("something was restarted")
    # A receiver that connects anew meets the new one.
    other = g.other(g.active())
    g.sql(other, "STOP REPLICA IO_THREAD; START REPLICA IO_THREAD")
    wait("it replicates", 30, lambda: replicating(g), g.short)
    gap = o.calm(since)
    o.stop()
    o.blame(o.judge(g.active()))
    cured = cure(t, g, secret, new)
    t.fact("new certificate and CA after %.0f s, longest gap %.2f s; a server "
           "that began with a bad one cured after %.0f s" % (took, gap, cured))


def changed(g, secret, user, password, old):
    """The new password counts, and the old one still does."""
    a = g.active()
    p = g.pod(a)

    def lets_in(word):
        try:
            g.mysql(p["status"]["podIP"], p["spec"]["nodeName"], user, word,
                    "SELECT 1")
        except Failure as x:
            # A busy server's silence says nothing of a password.
            if "Access denied" not in str(x):
                raise
            return False
        return True
    wait("%s: the new password of %s" % (secret, user), 120,
         lambda: lets_in(password), g.short)
    if not wait("%s: an answer to the old one" % secret, 30,
                lambda: (lets_in(old),))[0]:
        raise Failure("the old password of %s is gone at once" % user)
    return lets_in


@test("passwords", alone=True, order=59)
def passwords(t):
    """Each password changed under load; then all at once, with the operator
    killed, so that nobody knows the old ones any more; then the old ones are
    ended. Nothing is restarted, and a failover goes as ever."""
    g = t.group()
    g.wait_ready()
    fence.whole(g)
    o = t.oracle(g, timeout=PATIENT)
    before, since = containers(g), lab.boot_ns()
    oper, app = g.name + "-operator", g.name + "-app"
    checks = []
    for secret, user, key, old in (
            (app, g.app_user, "password", g.app_password),
            (oper, "repl", "MYSQL_REPLICATION_PASSWORD", "repl-" + g.name),
            (oper, g.op_user, "password", g.op_password)):
        put(g, secret, {key: "second-" + user})
        checks.append((changed(g, secret, user, "second-" + user, old), old))
        t.ok("password of %s" % user)
    wait("the replica logs in with it", 60, lambda: source(
        g, g.other(g.active()), "User_password") == "second-repl", g.short)

    def remembered(word):
        s = api.get("secrets", g.ns, g.prefix + "-accounts", missing=True)
        return s and s["data"]["password"] == g.secret(
            "", x=word)["data"]["x"]
    wait("it is in force everywhere", 60, lambda: remembered(
        "second-" + g.op_user) and valid(g, "CredentialsValid"), g.short)
    # All at once, and whoever knew the old ones ends.
    op.kill()
    put(g, oper, {"password": "third-op", "MYSQL_ROOT_PASSWORD": "third-root",
                  "MYSQL_REPLICATION_PASSWORD": "third-repl"})
    op.kill()
    op.wait_leader()
    changed(g, oper, g.op_user, "third-op", "second-" + g.op_user)
    changed(g, oper, "root", "third-root", g.root_password)
    g.root_password = "third-root"
    wait("the replica logs in with the third", 60, lambda: source(
        g, g.other(g.active()), "User_password") == "third-repl", g.short)
    wait("that is in force everywhere", 90, lambda: remembered("third-op")
         and valid(g, "CredentialsValid"), g.short)
    t.ok("all passwords, with the operator killed")
    # The sidecars have it by their files; only then the old ones may end.
    cid = g.container_id(g.active())
    wait("the kubelet has brought it", KUBELET, lambda: "third-op" in
         lab.read_in(cid, "/etc/mysql/creds/operator/password"))
    gap = o.calm(since)
    o.stop()
    o.blame(o.judge(g.active()))
    g.app_password = "second-" + g.app_user
    g.annotate("discard-old-passwords", "now")
    wait("the old ones are ended", 60, lambda: not any(
        f(old) for f, old in checks), g.short)
    wait("the annotation is gone", 30, lambda: "discard-old-passwords" not in
         str(g.cr()["metadata"].get("annotations")))
    if containers(g) != before:
        raise Failure("something was restarted")
    fence.whole(g)
    o = t.oracle(g)
    active = g.active()
    t.hold(g, active)
    g.kill9(active)
    new = fence.promoted(g, active)
    o.wait_acked(30)
    g.release(active)
    f = fence.judged(t, g, o, active, new)
    t.fact("longest gap %.2f s; failover to %s with the new ones: %s" % (
        gap, new, fence.described(f)))


class OneSecret(Group):
    """secretName, and an account in its DSN that nobody has made yet."""

    def manifest(self):
        m = super().manifest()
        del m["spec"]["credentials"]
        m["spec"]["secretName"] = self.name + "-all"
        return m

    def dsn(self):
        return "%s:%s@tcp(db:3306)/?timeout=5s" % (
            self.op_user, self.op_password)

    def create_secrets(self):
        api.create("secrets", self.ns, self.secret(
            self.name + "-all", dsn=self.dsn(),
            MYSQL_ROOT_PASSWORD=self.root_password,
            MYSQL_REPLICATION_USER="repl",
            MYSQL_REPLICATION_PASSWORD="repl-" + self.name))


# Begun early: it waits for kubelets, longer than all others.
@test("secret-name", order=14)
def secret_name(t):
    """One Secret for all: the account of its DSN is made, its password changed,
    and the sidecars and guards follow."""
    g = OneSecret("lab-%s" % t.name, t.name)
    t.groups.append(g)
    g.create()
    g.wait_ready()
    fence.whole(g)
    before = containers(g)
    old, g.op_password = g.op_password, "second-op"
    changed(g, "", g.op_user, old, old)
    put(g, g.name + "-all", {"dsn": g.dsn()})
    lets_in = changed(g, "", g.op_user, "second-op", old)
    wait("it is in force everywhere", 60,
         lambda: valid(g, "CredentialsValid"), g.short)
    cid = g.container_id(g.active(), fence.SIDECAR)
    wait("the kubelet has brought it", KUBELET, lambda: "second-op" in
         lab.read_in(cid, "/etc/mysql/creds/operator/dsn"))
    g.annotate("discard-old-passwords", "now")
    wait("the old one is ended", 60, lambda: not lets_in(old), g.short)
    if containers(g) != before:
        raise Failure("something was restarted")
    # What begins now knows the new one only.
    active = g.active()
    g.kill9(active, fence.SIDECAR)
    fence.whole(g)
    t.hold(g, active)
    g.kill9(active)
    new = fence.promoted(g, active)
    g.release(active)
    fence.whole(g)
    t.ok("DSN changed; failover from %s to %s" % (active, new))
