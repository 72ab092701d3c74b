"""Secrets that are missing or broken: (name, Secrets by name, what the spec has
besides, what is told of it)."""
import os
import subprocess
import tempfile

OP = {"username": "op", "password": "pw", "MYSQL_ROOT_PASSWORD": "root"}
APP = {"username": "app", "password": "app-pw"}
CERTS = {"ca.crt": "x", "tls.crt": "x", "tls.key": "x"}
TLS = {"issuerRef": {"name": "x", "kind": "Issuer"}, "secretName": "certs"}


def without(d, *keys):
    return {k: v for k, v in d.items() if k not in keys}


def x509(*args, **kw):
    return subprocess.run(("openssl",) + args, check=True, capture_output=True,
                          text=True, **kw).stdout


def authority(key):
    return x509("req", "-x509", "-key", key, "-days", "7", "-subj", "/CN=ca",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def good_certificate(*names):
    """Of a Secret that servers may load."""
    with tempfile.TemporaryDirectory() as d:
        key, ext, csr, ca = (os.path.join(d, x) for x in (
            "key", "ext", "csr", "ca"))
        x509("genpkey", "-algorithm", "EC", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-out", key)
        with open(ca, "w") as f:
            f.write(authority(key))
        x509("req", "-new", "-key", key, "-subj", "/CN=x", "-out", csr)
        with open(ext, "w") as f:
            f.write("extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=" +
                    ",".join("DNS:" + n for n in names) + "\n")
        cert = x509("x509", "-req", "-in", csr, "-CA", ca, "-CAkey", key,
                    "-extfile", ext, "-days", "365")
        with open(ca) as f, open(key) as g:
            return {"ca.crt": f.read(), "tls.crt": cert, "tls.key": g.read()}


def certificates():
    """What is wrong with a certificate that has all its files."""
    with tempfile.TemporaryDirectory() as d:
        def path(name, text):
            with open(os.path.join(d, name), "w") as f:
                f.write(text)
            return f.name
        keys = [path("key%d" % i, x509(
            "genpkey", "-algorithm", "EC", "-pkeyopt",
            "ec_paramgen_curve:prime256v1")) for i in range(4)]
        ca, other = (path("ca%d" % i, authority(keys[i])) for i in range(2))
        csr = path("csr", x509("req", "-new", "-key", keys[2], "-subj",
                               "/CN=x"))

        def signed(by=ca, key=keys[0], use="serverAuth", since=None,
                   until=None):
            ext = path("ext", "extendedKeyUsage=%s\nsubjectAltName="
                       "DNS:elsewhere.example\n" % use)
            return x509("x509", "-req", "-in", csr, "-CA", by, "-CAkey", key,
                        "-extfile", ext, *(("-days", "7") if since is None else
                                           ("-not_before", since, "-not_after",
                                            until)))

        def text(name):
            with open(name) as f:
                return f.read()
        good = {"ca.crt": text(ca), "tls.crt": signed(), "tls.key": text(
            keys[2])}
        locked = x509("pkey", "-in", keys[2], "-aes256", "-passout", "pass:x")
        for name, change, want in (
                ("pem-ca", {"ca.crt": "x"}, "TLSNotPEM: .*, key ca.crt"),
                ("pem-cert", {"tls.crt": "x"}, "TLSNotPEM: .*, key tls.crt"),
                ("pem-key", {"tls.key": "x"}, "TLSNotPEM: .*, key tls.key"),
                ("locked", {"tls.key": locked}, "TLSNotPEM: .*, key tls.key"),
                ("other-key", {"tls.key": text(keys[3])},
                 "TLSKeyMismatch: .*, key tls.key"),
                ("other-ca", {"ca.crt": text(other)},
                 "TLSNotTrusted: .*, key tls.crt"),
                ("client", {"tls.crt": signed(use="clientAuth")},
                 "TLSNotTrusted: .*, key tls.crt"),
                ("expired", {"tls.crt": signed(
                    since="20200101000000Z", until="20200102000000Z")},
                 "TLSExpired: .*, key tls.crt"),
                ("early", {"tls.crt": signed(
                    since="20900101000000Z", until="20910102000000Z")},
                 "TLSNotYetValid: .*, key tls.crt"),
                ("names", {}, "TLSNamesMissing: .*, key tls.crt.*"
                 "mysql-g-iad.*mysql-g-pdx")):
            yield "tls-" + name, {"op": OP, "certs": dict(good, **change)}, \
                {"tls": TLS}, want


def roles():
    """Each role's Secret is checked likewise."""
    for field in ("appSecret", "readOnlySecret", "monitorSecret",
                  "backupSecret"):
        cred = {"operatorSecret": "op", field: "role"}
        yield field + "-none", {"op": OP}, {"credentials": cred}, \
            rf"SecretNotFound: Secret role \(spec\.credentials\.{field}\)"
        for key in APP:
            yield f"{field}-no-{key}", {"op": OP, "role": without(
                APP, key)}, {"credentials": cred}, \
                f"SecretMissingKey: Secret role has no key {key}"
        yield field + "-operator", {"op": OP, "role": dict(
            APP, username="op")}, {"credentials": cred}, \
            "SecretInvalid: Secret role .*, key username: 'op' is the operator"


SECRETS = [
    ("none", {}, {}, r"SecretNotFound: Secret op \(spec\.credentials\."
     r"operatorSecret\)"),
    ("empty", {"op": {}}, {}, "SecretMissingKey: Secret op is empty"),
    *[("no-" + k.lower().replace("_", "-"), {"op": without(OP, k)}, {},
       f"SecretMissingKey: Secret op has no key {k}") for k in OP],
    *[("blank-" + k.lower().replace("_", "-"), {"op": dict(OP, **{k: ""})}, {},
       f"SecretMissingKey: .*{k}") for k in OP],
    *[("newline-only-" + k.lower().replace("_", "-"),
       {"op": dict(OP, **{k: "\n"})}, {}, f"SecretMissingKey: .*{k}")
      for k in OP],
    *[("control-" + k.lower().replace("_", "-"),
       {"op": dict(OP, **{k: "a\x01b"})}, {},
       f"SecretInvalid: Secret op, key {k}: holds control") for k in OP],
    *[("nul-" + k.lower().replace("_", "-"),
       {"op": dict(OP, **{k: "a\0b"})}, {},
       f"SecretInvalid: Secret op, key {k}: holds control") for k in OP],
    *[("huge-" + k.lower().replace("_", "-"),
       {"op": dict(OP, **{k: "x" * 9000})}, {},
       f"SecretInvalid: Secret op, key {k}: longer than") for k in OP],
    ("user-33", {"op": dict(OP, username="u" * 33)}, {},
     "SecretInvalid: Secret op, key username: an account name has at most 32"),
    ("user-33-wide", {"op": dict(OP, username="ü" * 33)}, {},
     "SecretInvalid: Secret op, key username: an account name has at most 32"),
    ("root-quote", {"op": dict(OP, MYSQL_ROOT_PASSWORD="a'b")}, {},
     "SecretInvalid: Secret op, key MYSQL_ROOT_PASSWORD: must not contain"),
    ("root-backslash", {"op": dict(OP, MYSQL_ROOT_PASSWORD="a\\b")}, {},
     "SecretInvalid: Secret op, key MYSQL_ROOT_PASSWORD: must not contain"),
    ("replication-long", {"op": dict(OP, password="p" * 33)}, {},
     "SecretInvalid: Secret op: the replication password .*more than 32"),
    ("replication-no-password", {"op": dict(OP, MYSQL_REPLICATION_USER="r")},
     {}, "SecretMissingKey: Secret op has no key MYSQL_REPLICATION_PASSWORD"),
    ("replication-user-33", {"op": dict(
        OP, MYSQL_REPLICATION_USER="r" * 33, MYSQL_REPLICATION_PASSWORD="x")},
     {}, "SecretInvalid: Secret op, key MYSQL_REPLICATION_USER: an account"),
    ("replication-is-operator", {"op": dict(
        OP, MYSQL_REPLICATION_USER="op", MYSQL_REPLICATION_PASSWORD="x")}, {},
     "SecretInvalid: Secret op: MYSQL_REPLICATION_USER is the operator's"),
    *roles(),
    ("app-root", {"op": OP, "role": dict(APP, username="root")},
     {"credentials": {"operatorSecret": "op", "appSecret": "role"}},
     "SecretInvalid: Secret role .*, key username: 'root'"),
    ("app-user-33", {"op": OP, "role": dict(APP, username="u" * 33)},
     {"credentials": {"operatorSecret": "op", "appSecret": "role"}},
     "SecretInvalid: Secret role, key username: an account name"),
    ("legacy-none", {}, {"credentials": None, "secretName": "op"},
     r"SecretNotFound: Secret op \(spec\.secretName\)"),
    ("legacy-no-dsn", {"op": OP}, {"credentials": None, "secretName": "op"},
     "SecretMissingKey: Secret op has no key dsn"),
    *[("legacy-dsn-%d" % i, {"op": {"dsn": dsn}},
       {"credentials": None, "secretName": "op"},
       "SecretInvalid: Secret op, key dsn: is not")
      for i, dsn in enumerate((
          "nothing", "user@tcp(h:1)/", ":pw@tcp(h:1)/", "@/", "/",
          "user:@tcp(h:1)/", "user:pw@tcp(h:1)"))],
    ("tls-none", {"op": OP}, {"tls": TLS},
     r"SecretNotFound: Secret certs \(spec\.tls\.secretName\)"),
    ("tls-empty", {"op": OP, "certs": {}}, {"tls": TLS},
     "SecretMissingKey: Secret certs has no key ca.crt"),
    *[("tls-no-" + k.replace(".", "-"), {"op": OP, "certs": without(CERTS, k)},
       {"tls": TLS}, f"SecretMissingKey: Secret certs has no key {k}")
      for k in CERTS],
    *[("tls-blank-" + k.replace(".", "-"), {"op": OP, "certs": dict(
        CERTS, **{k: ""})}, {"tls": TLS},
       f"SecretInvalid: Secret certs, key {k}: empty") for k in CERTS],
    *[("tls-huge-" + k.replace(".", "-"), {"op": OP, "certs": dict(
        CERTS, **{k: "x" * 70000})}, {"tls": TLS},
       f"SecretInvalid: Secret certs, key {k}: empty, longer") for k in CERTS],
    *certificates(),
]
