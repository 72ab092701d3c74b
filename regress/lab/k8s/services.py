#!/usr/bin/env python3
"""services.py BIND_IP API PKI_DIR NODES_DIR

What the lab's cluster needs and Debian does not have, driven by watches:
- cluster DNS over UDP and TCP (A records of Services and their Endpoints);
- a provisioner of node-local volumes for the StorageClass lab-local, and of
  small file systems of their own, in memory, for lab-small (a full disk).
Stand-ins for CoreDNS and a CSI driver; only the lab ever sees them."""
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

BIND, API, PKI, NODES = sys.argv[1:5]
DOMAIN = ["cluster", "local"]
PROVISIONER = "bloodraven-lab/local"
SMALL = "lab-small"
SMALL_SIZE = "384m"
SELECTED = "volume.kubernetes.io/selected-node"
CTX = ssl.create_default_context(cafile=PKI + "/ca.crt")
CTX.load_cert_chain(PKI + "/admin.crt", PKI + "/admin.key")

store = {"services": {}, "endpoints": {},
         "persistentvolumeclaims": {}, "persistentvolumes": {}}
lock = threading.Lock()
volumes_changed = threading.Event()


def call(path, body=None, method=None, timeout=330):
    req = urllib.request.Request(API + path, method=method)
    if body is not None:
        req.data = json.dumps(body).encode()
        req.add_header("Content-Type", "application/json")
    return urllib.request.urlopen(req, context=CTX, timeout=timeout)


def key(obj):
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def follow_once(kind):
    d = json.load(call("/api/v1/" + kind, timeout=10))
    with lock:
        store[kind] = {key(o): o for o in d["items"]}
    volumes_changed.set()
    path = ("/api/v1/%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=300"
            "&resourceVersion=%s" % (kind, d["metadata"]["resourceVersion"]))
    for line in call(path):
        e = json.loads(line)
        if e["type"] == "ERROR":
            return
        if e["type"] == "BOOKMARK":
            continue
        with lock:
            if e["type"] == "DELETED":
                store[kind].pop(key(e["object"]), None)
            else:
                store[kind][key(e["object"])] = e["object"]
        if kind.startswith("persistent"):
            volumes_changed.set()


def follow(kind):
    while True:
        try:
            follow_once(kind)
        except Exception as x:  # the API server may be away: that is a test
            print(kind, x, flush=True)
            time.sleep(0.5)


# DNS

def lookup(name):
    """The addresses of a cluster name; None means NXDOMAIN."""
    labels = name.rstrip(".").lower().split(".")
    if labels[-2:] != DOMAIN or labels[-3:-2] != ["svc"]:
        return None
    labels = labels[:-3]
    if len(labels) < 2:
        return []
    ns, svc, host = labels[-1], labels[-2], labels[:-2]
    with lock:
        s = store["services"].get((ns, svc))
        e = store["endpoints"].get((ns, svc))
    if not s:
        return None
    ip = s["spec"].get("clusterIP")
    if not host and ip and ip != "None":
        return [ip]
    unready = s["spec"].get("publishNotReadyAddresses")
    found = []
    for sub in (e or {}).get("subsets") or []:
        addrs = list(sub.get("addresses") or [])
        if unready:
            addrs += sub.get("notReadyAddresses") or []
        found += [a["ip"] for a in addrs
                  if not host or host == [a.get("hostname", "").lower()]]
    return found if found or not host else None


def answer(q):
    i, labels = 12, []
    while q[i]:
        labels.append(q[i + 1:i + 1 + q[i]].decode("latin1"))
        i += q[i] + 1
    qtype = struct.unpack(">H", q[i + 1:i + 3])[0]
    ips = lookup(".".join(labels))
    rcode = 3 if ips is None else 0
    ips = (ips or []) if qtype in (1, 255) else []
    rr = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 2, 4)
                  + socket.inet_aton(x) for x in ips)
    head = struct.pack(">HHHHH", 0x8580 | rcode, 1, len(ips), 0, 0)
    return q[:2] + head + q[12:i + 5] + rr


def dns_tcp():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((BIND, 53))
    s.listen(50)
    while True:
        c, _ = s.accept()
        try:
            c.settimeout(2)
            n = struct.unpack(">H", c.recv(2))[0]
            r = answer(c.recv(n))
            c.sendall(struct.pack(">H", len(r)) + r)
        except Exception:
            pass
        c.close()


def dns_udp():
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((BIND, 53))
    while True:
        q, a = u.recvfrom(4096)
        try:
            u.sendto(answer(q), a)
        except Exception as x:
            print("dns", x, flush=True)


# Volumes

ON_NODE = "/var/lib/lab-volumes/"


def on_node(node, *argv):
    """In the mount namespace of the node's first process."""
    with open(os.path.join(NODES, node, "pid")) as f:
        outer = f.read().strip()
    with open("/proc/%s/task/%s/children" % (outer, outer)) as f:
        inner = f.read().split()[0]
    return subprocess.run(["nsenter", "-t", inner, "-m"] + list(argv),
                          stdin=subprocess.DEVNULL, timeout=20).returncode


def volume_of(pvc, node, name):
    m = pvc["metadata"]
    return {
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {
            "pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "capacity": pvc["spec"]["resources"]["requests"],
            "accessModes": pvc["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": pvc["spec"]["storageClassName"],
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": m["namespace"], "name": m["name"],
                "uid": m["uid"]},
            "local": {"path": ON_NODE + name},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{
                "matchExpressions": [{"key": "kubernetes.io/hostname",
                                      "operator": "In",
                                      "values": [node]}]}]}}}}


def provision(pvc):
    a = pvc["metadata"].get("annotations") or {}
    node = a.get(SELECTED)
    if (a.get("volume.beta.kubernetes.io/storage-provisioner") != PROVISIONER
            or not node or pvc["spec"].get("volumeName")
            or "deletionTimestamp" in pvc["metadata"]):
        return
    name = "pvc-" + pvc["metadata"]["uid"]
    with lock:
        if ("", name) in store["persistentvolumes"]:
            return
    path = os.path.join(NODES, node, "volumes", name)
    os.makedirs(path, exist_ok=True)
    os.chmod(path, 0o777)  # any uid of a pod, as other provisioners do
    if pvc["spec"]["storageClassName"] == SMALL and on_node(
            node, "mountpoint", "-q", ON_NODE + name) != 0:
        on_node(node, "mount", "-t", "tmpfs", "-o", "mode=777,size="
                + SMALL_SIZE, "lab-small", ON_NODE + name)
    try:
        call("/api/v1/persistentvolumes", volume_of(pvc, node, name),
             timeout=10)
    except urllib.error.HTTPError as x:
        if x.code != 409:
            raise


def release(pv):
    a = pv["metadata"].get("annotations") or {}
    if (a.get("pv.kubernetes.io/provisioned-by") != PROVISIONER
            or pv.get("status", {}).get("phase") != "Released"
            or pv["spec"]["persistentVolumeReclaimPolicy"] != "Delete"):
        return
    name = pv["metadata"]["name"]
    node = pv["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0][
        "matchExpressions"][0]["values"][0]
    if pv["spec"]["storageClassName"] == SMALL:
        on_node(node, "umount", "-l", ON_NODE + name)
    shutil.rmtree(os.path.join(NODES, node, "volumes", name),
                  ignore_errors=True)
    try:
        call("/api/v1/persistentvolumes/" + name, method="DELETE", timeout=10)
    except urllib.error.HTTPError as x:
        if x.code != 404:
            raise


def volumes():
    while True:
        volumes_changed.wait(30)
        volumes_changed.clear()
        with lock:
            pvcs = list(store["persistentvolumeclaims"].values())
            pvs = list(store["persistentvolumes"].values())
        for work, objects in ((provision, pvcs), (release, pvs)):
            for o in objects:
                try:
                    work(o)
                except Exception as x:
                    print("volumes", key(o), x, flush=True)
                    threading.Timer(1, volumes_changed.set).start()


for k in store:
    threading.Thread(target=follow, args=(k,), daemon=True).start()
threading.Thread(target=dns_tcp, daemon=True).start()
threading.Thread(target=volumes, daemon=True).start()
dns_udp()
