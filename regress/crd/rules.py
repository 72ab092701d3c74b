"""For every CEL rule of crds/: changes of the smallest manifest's spec that it
lets pass, and such that it refuses, with the object that the refusal names.

A change is merged (RFC 7396: null removes); of sites, "sites" changes those
that are there, by index, and adds what is beyond them.
"""

EXT = ("LoadBalancer", "NodePort")
READER = {"name": "r", "role": "read-only", "zone": "z", "storage": {
    "storageClassName": "s", "size": "1Gi"}}
CLAIM = {"type": "PVC", "pvc": {"claimName": "c"}}
BUCKET = {"bucket": "b", "credentialsSecret": "s"}
TLS = {"issuerRef": {"name": "i", "kind": "Issuer"}, "secretName": "t"}


def site(i, **change):
    return {"sites": {i: change}}


def service(i, group=None, **template):
    out = site(i, serviceTemplate=template)
    if group:
        out["serviceTemplate"] = {"type": group}
    return out


def profile(storage=CLAIM, **more):
    return {"backup": {"profiles": [
        {"name": "p", "storage": CLAIM}, {"name": "q", "storage": storage,
                                          **more}]}}


def sidecar(**fields):
    return {"sidecar": fields}


def restored(block, source, **more):
    return {block: {"source": source, **more}}


def sources(block, **more):
    """Both blocks have the same source."""
    one = {"mysqlBackupRef": {"name": "b"}}
    return {
        "pass": [restored(block, s, **more) for s in (
            one, {"s3": BUCKET}, {"pvc": {"claimName": "c"}})],
        "refuse": [(restored(block, s, **more), f"spec.{block}.source")
                   for s in ({}, {**one, "s3": BUCKET},
                             {"s3": BUCKET, "pvc": {"claimName": "c"}},
                             {**one, "s3": BUCKET,
                              "pvc": {"claimName": "c"}})]}


def external(fields):
    """A site's field that only some types of Service have."""
    wrong = [service(1, **fields), service(1, type="ClusterIP", **fields),
             service(1, "ClusterIP", **fields),
             service(0, "NodePort", type="ClusterIP", **fields),
             service(1, "LoadBalancer", type="ClusterIP", **fields)]
    return {
        "pass": [service(1, type=t, **fields) for t in EXT] +
                [service(1, t, **fields) for t in EXT] +
                [service(0, "ClusterIP", type="NodePort", **fields),
                 service(1, type="ClusterIP"), service(1)],
        "refuse": [(w, "spec") for w in wrong]}


SOURCE = "mysqlBackupRef: exactly one of mysqlBackupRef, s3 and pvc is required"

# (where, message): the cases. Where is the schema's place of the rule.
RULES = {
    ("spec", "credentials: exactly one of credentials and a non-empty "
     "secretName is required"): {
        "pass": [{}, {"secretName": ""},
                 {"secretName": "s", "credentials": None}],
        "refuse": [({"secretName": "s"}, "spec"),
                   ({"credentials": None}, "spec"),
                   ({"credentials": None, "secretName": ""}, "spec")]},
    ("spec", "sites[].name: is used twice; names must be distinct"): {
        "pass": [{}, site(2, **READER)],
        "refuse": [(site(1, name="a"), "spec"),
                   (site(2, **{**READER, "name": "b"}), "spec")]},
    ("spec", "sites: at least two primary-candidate sites are required"): {
        "pass": [site(1, role=None), site(1, role="primary-candidate"),
                 site(2, **READER)],
        "refuse": [(site(1, role="dr-only"), "spec"),
                   (site(0, role="read-only"), "spec")]},
    ("spec", "splitBrainPolicy.sitePriorities[]: must name a "
     "primary-candidate site"): {
        "pass": [{"splitBrainPolicy": p} for p in (
            {}, {"sitePriorities": []}, {"sitePriorities": ["b"]},
            {"sitePriorities": ["b", "a"]}, {"sitePriorities": ["a", "a"]})],
        "refuse": [({"splitBrainPolicy": {"sitePriorities": ["a", "x"]}},
                    "spec"),
                   ({"splitBrainPolicy": {"sitePriorities": [""]}}, "spec"),
                   ({"splitBrainPolicy": {"sitePriorities": ["r"]},
                     **site(2, **READER)}, "spec")]},
    ("spec", "sites[].serviceTemplate.externalTrafficPolicy: allowed only "
     "when the site's effective type is NodePort or LoadBalancer"):
        external({"externalTrafficPolicy": "Local"}),
    ("spec", "sites[].serviceTemplate.nodePort: allowed only when the site's "
     "effective type is NodePort or LoadBalancer"):
        external({"nodePort": 30306}),
    ("spec", "encryptionAtRest.enabled: requires tls"): {
        "pass": [{"encryptionAtRest": {"enabled": True}, "tls": TLS},
                 {"encryptionAtRest": {"enabled": False}},
                 {"encryptionAtRest": {}}],
        "refuse": [({"encryptionAtRest": {"enabled": True}}, "spec")]},
    ("spec.sites[*]", "lbIP: required unless role is read-only"): {
        "pass": [site(1, lbIP="2001:db8::1"), site(2, **READER)],
        "refuse": [(site(1, lbIP=None), "spec.sites[1]"),
                   (site(0, lbIP=""), "spec.sites[0]"),
                   (site(2, **{**READER, "role": "dr-only",
                               "taintNodeSelector": {"a": "b"}}),
                    "spec.sites[2]")]},
    ("spec.sites[*]", "taintNodeSelector: required unless role is "
     "read-only"): {
        "pass": [site(1, taintNodeSelector={"a": "b"}), site(2, **READER)],
        "refuse": [(site(1, taintNodeSelector=None), "spec.sites[1]"),
                   (site(2, **{**READER, "role": "dr-only", "lbIP": "::1",
                               "taintNodeSelector": {}}), "spec.sites[2]")]},
    ("spec.sidecar", "peerCheckInterval: must be at least 1s"): {
        "pass": [sidecar(), sidecar(peerCheckInterval="")] + [
            sidecar(peerCheckInterval=t)
            for t in ("1s", "1000ms", "+1s", ".05m", "1000000µs")],
        "refuse": [(sidecar(peerCheckInterval=t), "spec.sidecar")
                   for t in ("0s", "999ms", "999999us")]},
    ("spec.sidecar", "leaseTimeout: must be at least 3s"): {
        "pass": [sidecar(leaseTimeout="3s", peerCheckInterval="1s"),
                 sidecar(leaseTimeout=""), sidecar(leaseTimeout="1h0m0.5s")],
        "refuse": [(sidecar(leaseTimeout=t, peerCheckInterval="1s"),
                    "spec.sidecar") for t in ("0s", "2999ms", "2.9s")]},
    ("spec.sidecar", "leaseTimeout: must be at least three times "
     "peerCheckInterval"): {
        "pass": [sidecar(leaseTimeout="15s"), sidecar(leaseTimeout="1m"),
                 sidecar(leaseTimeout="4500ms", peerCheckInterval="1.5s"),
                 sidecar(leaseTimeout="", peerCheckInterval=""),
                 sidecar(leaseTimeout="", peerCheckInterval="6s")],
        "refuse": [(sidecar(leaseTimeout="14999ms"), "spec.sidecar"),
                   (sidecar(leaseTimeout="14999ms", peerCheckInterval=""),
                    "spec.sidecar"),
                   (sidecar(peerCheckInterval="7s"), "spec.sidecar"),
                   (sidecar(leaseTimeout="", peerCheckInterval="7s"),
                    "spec.sidecar"),
                   (sidecar(leaseTimeout="30s", peerCheckInterval="10001ms"),
                    "spec.sidecar")]},
    ("spec.serviceTemplate", "externalTrafficPolicy: allowed only when type "
     "is NodePort or LoadBalancer"): {
        "pass": [{"serviceTemplate": {"type": t,
                                      "externalTrafficPolicy": "Cluster"}}
                 for t in EXT] + [{"serviceTemplate": {}},
                                  {"serviceTemplate": {"type": "ClusterIP"}}],
        "refuse": [({"serviceTemplate": {"externalTrafficPolicy": "Local"}},
                    "spec.serviceTemplate"),
                   ({"serviceTemplate": {"externalTrafficPolicy": "Local",
                                         "type": "ClusterIP"}},
                    "spec.serviceTemplate")]},
    ("spec.backup.profiles[*].storage", "type: exactly the block that type "
     "names must be present"): {
        "pass": [profile(), profile({"type": "S3", "s3": BUCKET}),
                 profile({"type": "PVC", "pvc": {}})],
        "refuse": [(profile(s), "spec.backup.profiles[1].storage") for s in (
            {"type": "S3"}, {"type": "PVC"}, {"type": "S3", "pvc": {}},
            {"type": "PVC", "s3": BUCKET},
            {"type": "S3", "s3": BUCKET, "pvc": {}},
            {"type": "PVC", "s3": BUCKET, "pvc": {}})]},
    ("spec.backup.profiles[*].verification", "schedule: required when "
     "enabled"): {
        "pass": [profile(verification={}),
                 profile(verification={"enabled": False}),
                 profile(verification={"enabled": True,
                                       "schedule": "0 3 * * *"})],
        "refuse": [(profile(verification={"enabled": True, **s}),
                    "spec.backup.profiles[1].verification")
                   for s in ({}, {"schedule": ""})]},
    ("spec.backup.pitr", "profileName: required when enabled"): {
        "pass": [{"backup": {"pitr": p}} for p in (
            {}, {"enabled": False}, {"enabled": True, "profileName": "p"})],
        "refuse": [({"backup": {"pitr": {"enabled": True}}},
                    "spec.backup.pitr")]},
    ("spec.initFromBackup.source", SOURCE): sources("initFromBackup"),
    ("spec.restoreInPlace.source", SOURCE):
        sources("restoreInPlace", confirm="2026-11-26T12:00:00Z"),
    ("spec.dragonfly", "image: required when enabled, and not :latest"): {
        "pass": [{"dragonfly": d} for d in (
            {}, {"enabled": False}, {"image": "d:latest"},
            {"enabled": True, "image": "d"},
            {"enabled": True, "image": "d:1"},
            {"enabled": True, "image": "d:latest-1"})],
        "refuse": [({"dragonfly": {"enabled": True, **d}}, "spec.dragonfly")
                   for d in ({}, {"image": ""}, {"image": "d:latest"},
                             {"image": ":latest"})]},
    ("spec.encryptionAtRest.keyring", "dataFileDir: must not be "
     "/var/lib/mysql or below"): {
        "pass": [{"encryptionAtRest": {"keyring": k}} for k in (
            {}, {"dataFileDir": "/run/keys"},
            {"dataFileDir": "/var/lib/mysql-keyring"},
            {"dataFileDir": "/var/lib"})],
        "refuse": [({"encryptionAtRest": {"keyring": {"dataFileDir": d}}},
                    "spec.encryptionAtRest.keyring")
                   for d in ("/var/lib/mysql", "/var/lib/mysql/keys")]},
}


def merged(base, change):
    if not isinstance(change, dict):
        return change
    out = dict(base) if isinstance(base, dict) else {}
    for k, v in change.items():
        if v is None:
            out.pop(k, None)
        elif k == "sites":
            out[k] = list(out[k])
            for i, c in v.items():
                out[k][i:i + 1] = [merged(
                    out[k][i] if i < len(out[k]) else {}, c)]
        else:
            out[k] = merged(out.get(k), v)
    return out
