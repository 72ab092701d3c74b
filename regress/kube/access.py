"""Secrets with accounts and certificates against a real API server: what is
told of them, conditions, Events, and the Secret that remembers what is in force.
"""
import __main__ as h
from cluster import NS, b64, wait_for

SECRETS = f"/api/v1/namespaces/{NS}/secrets"
TLS = {"secretName": "", "issuerRef": {"name": "ca", "kind": "Issuer"}}


def condition(name, kind):
    for x in h.c.get(f"{h.GROUPS}/{name}").get("status", {}).get(
            "conditions", []):
        if x["type"] == kind:
            return x
    return None


def is_condition(name, kind, status, reason, text=""):
    wait_for(f"{kind} {status} {reason}", 10, lambda: (
        x := condition(name, kind)) and x["status"] == status and
        x["reason"] == reason and text in x["message"])


def reasons(g):
    return {e["reason"] for e in h.c.get(
        f"/api/v1/namespaces/{NS}/events")["items"]
        if e["involvedObject"]["uid"] == g["metadata"]["uid"]}


def tls_secret(name, **data):
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": name, "namespace": NS},
            "data": {k: b64(v) for k, v in data.items()}}


@h.test
def test_tls_secret():
    """A TLS Secret that is not there, lacks a key, is refused by the prober:
    each told by field; objects only with a good one, and then for good."""
    d = h.leader()
    name = h.fresh("t")
    tls = {**TLS, "secretName": f"{name}-tls"}
    g = h.make(name, tls=tls)
    uid = g["metadata"]["uid"]
    m = d.expect("TLS", group=uid, wanted=True)
    assert m["problem"] == f"SecretNotFound: Secret {name}-tls " \
        "(spec.tls.secretName) does not exist", m
    d.expect("CREDS", group=uid, valid=True)

    def judge(gen, ok, reason, message):
        d.send("TLS_STATE", group=uid, gen=gen, ok=ok, reason=reason,
               message=message, not_after_s=0)

    judge(m["gen"], False, "SecretNotFound", m["problem"])
    is_condition(name, "TLSValid", "False", "SecretNotFound", f"{name}-tls")
    data = {"ca.crt": "CA", "tls.crt": "CERT"}
    h.c.create(SECRETS, tls_secret(f"{name}-tls", **data))
    m = d.expect("TLS", group=uid, problem=f"SecretMissingKey: Secret "
                 f"{name}-tls has no key tls.key")
    assert not m["cert"] and not m["key"], m
    assert h.objects(name) == {}, "no server without its certificate"
    h.c.merge(f"{SECRETS}/{name}-tls", {"data": {"tls.key": b64("KEY")}})
    m = d.expect("TLS", group=uid, problem="")
    assert m["key"] == "KEY", m
    # The word about an earlier one is none about this.
    judge(m["gen"] - 1, True, "Valid", "")
    judge(m["gen"], False, "TLSKeyMismatch", "Secret x, key tls.key: …")
    is_condition(name, "TLSValid", "False", "TLSKeyMismatch", "tls.key")
    assert h.objects(name) == {}
    judge(m["gen"], True, "TLSExpiresSoon", "expires")
    is_condition(name, "TLSValid", "True", "TLSExpiresSoon")
    wait_for("Events", 5, lambda: {"SecretNotFound", "TLSKeyMismatch",
                                   "TLSExpiresSoon"} <= reasons(g))
    wait_for("objects", 15, lambda: len(h.objects(name)) >= 13)
    pod = h.c.get(f"/apis/apps/v1/namespaces/{NS}/deployments/"
                  f"mysql-{name}-iad")["spec"]["template"]["spec"]
    assert "--require-secure-transport=ON" in pod["containers"][0]["args"]
    assert {"name": "tls", "secret": {"secretName": f"{name}-tls",
                                      "defaultMode": 420}} in pod["volumes"]
    # A bad one takes nothing away.
    at = d.mark()
    h.c.merge(f"{SECRETS}/{name}-tls", {"data": {"tls.key": None}})
    m = d.expect("TLS", group=uid, problem=f"SecretMissingKey: Secret "
                 f"{name}-tls has no key tls.key", since=at)
    judge(m["gen"], False, "SecretMissingKey", m["problem"])
    is_condition(name, "TLSValid", "False", "SecretMissingKey")
    svc = f"/api/v1/namespaces/{NS}/services/mysql-{name}-primary"
    h.c.delete(svc)
    wait_for("objects are restored all the same", 10, lambda: h.c.get(svc))
    h.stop(d)


@h.test
def test_in_force():
    """What is in force at all sites is remembered, and told to who comes
    later: the account and the CA. Roles come with their passwords."""
    d = h.leader()
    name = h.fresh("t")
    op = f"{SECRETS}/{name}-op"
    own = f"{SECRETS}/mysql-{name}-accounts"
    h.c.create(SECRETS, tls_secret(f"{name}-tls", **{
        "ca.crt": "CA1", "tls.crt": "CERT", "tls.key": "KEY"}))
    h.c.create(SECRETS, h.secret(f"{name}-app", username="app", password="a"))
    g = h.make(name, tls={**TLS, "secretName": f"{name}-tls"},
               credentials={"operatorSecret": f"{name}-op",
                            "appSecret": f"{name}-app"})
    uid = g["metadata"]["uid"]
    m = d.expect("CREDS", group=uid, valid=True)
    assert m["prev_user"] == "" and m["root_password"], m
    a = d.expect("ACCOUNT", group=uid)
    assert a["role"] == 2 and a["user"] == "app" and a["password"] == "a", a
    t = d.expect("TLS", group=uid, problem="")
    at = d.mark()

    def access(creds, tls, applied=True, problem="", pending=""):
        d.send("ACCESS", group=uid, creds_gen=creds, creds_applied=applied,
               creds_problem=problem, creds_pending=pending, tls_gen=tls,
               tls_applied=applied, tls_pending="", excess_known=False,
               excess="")

    access(m["gen"], t["gen"], False, "app account: no", "")
    is_condition(name, "CredentialsValid", "False", "ReconcileFailed", "app")
    wait_for("Event", 5, lambda: "CredentialReconcileFailed" in reasons(g))
    access(m["gen"], t["gen"], False, "", "sites: pdx")
    is_condition(name, "CredentialsValid", "True", "RotationPending", "pdx")
    access(m["gen"], t["gen"])
    now = wait_for("remembered", 10, lambda: h.c.get(own))
    assert now["data"] == {"username": b64("op"), "ca.crt": b64("CA1"),
                           "password": b64(m["password"])}, now["data"]
    assert now["metadata"]["ownerReferences"][0]["uid"] == uid
    n = d.expect("CREDS", since=at, group=uid, prev_user="op")
    assert n["gen"] == m["gen"] and n["prev_password"] == m["password"]
    is_condition(name, "CredentialsValid", "True", "Valid")
    # Another password and CA: the old ones are told with the new ones.
    at = d.mark()
    h.c.merge(op, {"data": {"password": b64("new")}})
    n = d.expect("CREDS", since=at, group=uid, password="new")
    assert n["gen"] > m["gen"] and n["prev_password"] == m["password"]
    h.c.merge(f"{SECRETS}/{name}-tls", {"data": {"ca.crt": b64("CA2")}})
    u = wait_for("another TLS", 10, lambda: (
        x := d.last("TLS", group=uid))["gen"] > t["gen"] and x)
    # A late word about what was before changes nothing.
    access(m["gen"], t["gen"])
    h.settle(d)
    assert h.c.get(own)["data"]["password"] == b64(m["password"])
    access(n["gen"], u["gen"])
    wait_for("the new ones", 10, lambda: h.c.get(own)["data"] == {
        "username": b64("op"), "password": b64("new"), "ca.crt": b64("CA2")})
    # Said once more nothing is written.
    rv = h.c.get(own)["metadata"]["resourceVersion"]
    access(n["gen"], u["gen"])
    h.settle(d)
    assert h.c.get(own)["metadata"]["resourceVersion"] == rv
    h.stop(d)


@h.test
def test_somebody_elses():
    """A Secret of our name that is not ours is neither read nor written."""
    d = h.leader()
    name = h.fresh("t")
    own = f"{SECRETS}/mysql-{name}-accounts"
    h.c.create(SECRETS, h.secret(f"mysql-{name}-accounts", username="evil",
                                 password="evil"))
    g = h.make(name)
    uid = g["metadata"]["uid"]
    m = d.expect("CREDS", group=uid, valid=True)
    assert m["prev_user"] == ""
    d.send("ACCESS", group=uid, creds_gen=m["gen"], creds_applied=True,
           creds_problem="", creds_pending="", tls_gen=0, tls_applied=False,
           tls_pending="", excess_known=False, excess="")
    h.settle(d)
    assert h.c.get(own)["data"]["password"] == b64("evil")
    h.stop(d)


@h.test
def test_excess():
    """Who else could pass the fence: a condition that is only there once it
    is known, one Event a change, and no write while nothing changes."""
    d = h.leader()
    name = h.fresh("t")
    g = h.make(name)
    uid = g["metadata"]["uid"]
    m = d.expect("CREDS", group=uid, valid=True)

    def access(known, excess):
        d.send("ACCESS", group=uid, creds_gen=m["gen"], creds_applied=False,
               creds_problem="", creds_pending="", tls_gen=0,
               tls_applied=False, tls_pending="", excess_known=known,
               excess=excess)

    access(False, "")
    is_condition(name, "CredentialsValid", "True", "Valid")
    h.settle(d)
    assert condition(name, "ExcessPrivileges") is None
    access(True, "app@%: SUPER")
    is_condition(name, "ExcessPrivileges", "True", "CanPassFence",
                 "app@%: SUPER")
    wait_for("Event", 5, lambda: "ExcessPrivileges" in reasons(g))
    h.settle(d)
    rv = h.c.get(f"{h.GROUPS}/{name}")["metadata"]["resourceVersion"]
    access(True, "app@%: SUPER")
    h.settle(d)
    assert h.c.get(f"{h.GROUPS}/{name}")["metadata"]["resourceVersion"] == rv
    access(True, "")
    is_condition(name, "ExcessPrivileges", "False", "NoneFound")
    h.stop(d)
