"""Which version of PodDisruptionBudgets: the real API server, which has v1beta1
alone, behind a gateway that says otherwise and translates."""
import http.client
import http.server
import json
import ssl
import threading

import __main__ as h
from cluster import PDBS, PORT, TEST_ADDR, wait_for

V1, BETA = "policy/v1", "policy/v1beta1"


class Gateway(http.server.BaseHTTPRequestHandler):
    """Serves the versions in .served, newest first; asked: what was asked for."""
    protocol_version = "HTTP/1.1"
    served, asked = [], []
    groups = threading.Event()  # cleared: what is told of groups waits
    groups.set()
    up = None           # one to the API server for each that is made to us

    def version(self):
        """Of policies, that this request is about; None: of others."""
        for v in V1, BETA:
            if self.path.startswith(f"/apis/{v}/"):
                return v
        return None

    def one(self):
        v = self.version()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if v:
            Gateway.asked.append((self.command, v))
        if v and v not in Gateway.served:
            self.answer(404, b'{"kind":"Status","code":404}')
            return
        if v == V1:
            body = body.replace(b'"policy/v1"', b'"policy/v1beta1"')
        if self.up is None:
            self.up = http.client.HTTPSConnection(TEST_ADDR, PORT,
                                                  context=h.c.ctx)
        self.up.request(self.command, self.path.replace(f"/apis/{V1}/",
                                                        f"/apis/{BETA}/"),
                        body or None, {
                            k: x for k, x in self.headers.items()
                            if k in ("Authorization", "Accept",
                                     "Content-Type", "User-Agent")})
        r = self.up.getresponse()
        if "watch=" in self.path:
            self.stream(r, v)
        else:
            self.answer(r.status, self.back(r.read(), v))

    def finish(self):
        if self.up is not None:
            self.up.close()
        super().finish()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = one

    def back(self, body, v):
        if self.path == "/apis":
            o = json.loads(body)
            for g in o["groups"]:
                if g["name"] == "policy":
                    g["versions"] = [{"groupVersion": x, "version": x[7:]}
                                     for x in Gateway.served]
            return json.dumps(o).encode()
        return body.replace(b'"policy/v1beta1"', b'"policy/v1"') \
            if v == V1 else body

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, r, v):
        self.send_response(r.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            line = r.readline()
            if "/mysqlfailovergroups" in self.path:
                Gateway.groups.wait()
            part = self.back(line, v)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
            if not line:
                return

    def log_message(self, *a):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass            # whoever asked is gone


def gateway(served):
    """One that serves that."""
    Gateway.served, Gateway.asked = served, []
    srv = Server(("127.0.0.1", 0), Gateway)
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(f"{h.c.work}/api.crt", f"{h.c.work}/api.key")
    srv.socket = ctx.wrap_socket(srv.socket, server_side=True,
                                 do_handshake_on_connect=False)
    threading.Thread(target=srv.serve_forever, daemon=True).start()
    return srv


def begun(served):
    """A leader behind a gateway that serves that, and a group."""
    srv = gateway(served)
    d = h.leader(API_PORT=srv.server_port)
    name = h.fresh("p")
    h.make(name)
    pdb = f"{PDBS}/mysql-{name}"
    wait_for("PodDisruptionBudget", 20, lambda: h.c.get(pdb))
    h.settle(d)
    return d, srv, pdb


def watched(v, since=0):
    wait_for(f"a watch of {v}", 10, lambda: ("GET", v) in Gateway.asked[since:])


def put_back(pdb):
    h.c.merge(pdb, {"spec": {"minAvailable": 0}})
    wait_for("put back", 20, lambda: h.c.get(pdb)["spec"][
        "minAvailable"] == 1)


@h.test
def test_policy_both():
    """A server that has both versions is asked for the newer one only."""
    d, srv, pdb = begun([V1, BETA])
    watched(V1)
    put_back(pdb)
    assert {v for _, v in Gateway.asked} == {V1}, Gateway.asked
    h.stop(d)
    srv.shutdown()


@h.test
def test_policy_changes():
    """A server that begins to have the newer version is asked for it, without a
    restart of the operator; so is one that has the older one no more, at the
    first write that it refuses, and one that has gone back."""
    d, srv, pdb = begun([BETA])
    watched(BETA)
    put_back(pdb)
    assert {v for _, v in Gateway.asked} == {BETA}, Gateway.asked
    at = len(Gateway.asked)
    Gateway.served = [V1, BETA]
    wait_for("found out", 90, lambda: ("PATCH", V1) in Gateway.asked[at:])
    watched(V1, at)
    h.settle(d)
    at = len(Gateway.asked)
    put_back(pdb)
    assert {v for _, v in Gateway.asked[at:]} == {V1}, Gateway.asked[at:]
    # The watch that stands tells of the change, the write has no place.
    at = len(Gateway.asked)
    Gateway.served = [BETA]
    put_back(pdb)
    assert ("PATCH", BETA) in Gateway.asked[at:], Gateway.asked[at:]
    watched(BETA, at)
    h.settle(d)
    at = len(Gateway.asked)
    h.settle(d)
    assert Gateway.asked[at:] == [], Gateway.asked[at:]
    h.stop(d)
    srv.shutdown()
