"""The API server of the lab: JSON over one connection a thread, bounded waits."""
import http.client
import json
import os
import socket
import ssl
import threading
import time
import urllib.parse

HOST, PORT = "10.200.0.1", 6443
# How many times slower than usual the machine is, as in regress/lab: every limit
# of a wait grows by it. What is measured does not.
SLOW = float(os.environ.get("LAB_SLOW") or 1)
TIMEOUT = 10 * SLOW

GROUP = "/apis/shipstream.io/v1alpha1"
PATHS = {
    "mysqlfailovergroups": GROUP,
    "dnsendpoints": "/apis/externaldns.k8s.io/v1alpha1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1beta1",
    "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
}


class ApiError(Exception):
    def __init__(self, status, text):
        super().__init__("%s: %s" % (status, text[:400]))
        self.status = status


class Unreachable(Exception):
    """No answer: the API server is away, which may be the test."""


class Failure(Exception):
    """A test's own: what was expected, and what was seen last."""


def context():
    pki = os.environ["LAB_PKI"]
    c = ssl.create_default_context(cafile=pki + "/ca.crt")
    c.load_cert_chain(pki + "/admin.crt", pki + "/admin.key")
    return c


_local = threading.local()
_ssl = None
_lock = threading.Lock()


def _connection(fresh):
    global _ssl
    with _lock:
        if _ssl is None:
            _ssl = context()
    c = getattr(_local, "conn", None)
    if c is None or fresh:
        if c is not None:
            c.close()
        c = http.client.HTTPSConnection(HOST, PORT, timeout=TIMEOUT,
                                        context=_ssl)
        _local.conn = c
    return c


def _once(method, path, body, headers, fresh):
    c = _connection(fresh)
    c.request(method, path, body, headers)
    r = c.getresponse()
    return r.status, r.read()


def raw(method, path, body=None, content="application/json"):
    headers = {"Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = content
    for fresh in (False, True):  # a kept connection may have been closed
        try:
            status, data = _once(method, path, body, headers, fresh)
            break
        except (OSError, http.client.HTTPException, socket.timeout) as x:
            _connection(True)
            if fresh or method != "GET":
                raise Unreachable(str(x)) from x
    if status >= 400:
        raise ApiError(status, data.decode("utf-8", "replace"))
    return data


def call(method, path, obj=None, content="application/json"):
    body = None if obj is None else json.dumps(obj)
    data = raw(method, path, body, content)
    return json.loads(data) if data else None


def path(kind, ns=None, name=None, sub=None):
    p = PATHS.get(kind, "/api/v1")
    if ns:
        p += "/namespaces/" + ns
    p += "/" + kind
    if name:
        p += "/" + name
    if sub:
        p += "/" + sub
    return p


def get(kind, ns, name, missing=False):
    """The object; with missing, None when there is none."""
    try:
        return call("GET", path(kind, ns, name))
    except ApiError as x:
        if missing and x.status == 404:
            return None
        raise


def items(kind, ns=None, labels=None):
    p = path(kind, ns)
    if labels:
        sel = ",".join("%s=%s" % kv for kv in sorted(labels.items()))
        p += "?labelSelector=" + urllib.parse.quote(sel)
    return call("GET", p)["items"]


def create(kind, ns, obj):
    return call("POST", path(kind, ns), obj)


def merge(kind, ns, name, patch, sub=None):
    return call("PATCH", path(kind, ns, name, sub), patch,
                "application/merge-patch+json")


def apply(kind, ns, obj, manager="labtest"):
    p = path(kind, ns, obj["metadata"]["name"])
    return call("PATCH", p + "?force=true&fieldManager=" + manager, obj,
                "application/apply-patch+yaml")


def delete(kind, ns, name, grace=None):
    body = {"kind": "DeleteOptions", "apiVersion": "v1"}
    if grace is not None:
        body["gracePeriodSeconds"] = grace
    try:
        call("DELETE", path(kind, ns, name), body)
    except ApiError as x:
        if x.status != 404:
            raise


def evict(ns, pod):
    """As "kubectl drain" asks; True when it was granted."""
    try:
        call("POST", path("pods", ns, pod, "eviction"), {
            "apiVersion": "policy/v1beta1", "kind": "Eviction",
            "metadata": {"name": pod, "namespace": ns}})
        return True
    except ApiError as x:
        if x.status == 429:
            return False
        raise


def wait(what, seconds, cond, state=None, interval=0.1):
    """cond() until it is true, and its value; Failure names the last state.
    An API server or a database that is away counts as "not yet"."""
    seconds *= SLOW
    end = time.monotonic() + seconds
    note = ""
    while True:
        try:
            v = cond()
            if v:
                return v
            note = ""
        except (ApiError, Unreachable, Failure) as x:
            note = " (%s)" % x
        if time.monotonic() >= end:
            break
        time.sleep(interval)
    last = ""
    if state is not None:
        try:
            last = "; last seen: %s" % (state(),)
        except Exception as x:
            last = "; last state unreadable: %s" % x
    raise Failure("%s: not within %g s%s%s" % (what, seconds, note, last))


def holds(what, seconds, cond, interval=0.2):
    """cond() stays true for that long: what must not happen, does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if not cond():
                raise Failure("%s: no longer true" % what)
        except (ApiError, Unreachable):
            pass
        time.sleep(interval)
