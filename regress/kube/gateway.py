"""Between the program under test and the real API server."""
import http.client
import http.server
import ssl
import threading

import __main__ as h
from cluster import PORT, TEST_ADDR


class Gateway(http.server.BaseHTTPRequestHandler):
    """Hands everything on; what of it is another one, its subclasses say."""
    protocol_version = "HTTP/1.1"
    up = None           # one to the API server for each that is made to us

    def handed_on(self, body):
        """The request, and its answer to be read."""
        return self.path, body

    def back(self, body):
        return body

    def refused(self, body):
        """Answered here: true."""
        return False

    def answered(self):
        """The API server has done it, and whoever asked does not know yet."""

    def passed(self, line):
        """A line of a watch was written to whoever asked for it."""

    def one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.refused(body):
            return
        path, body = self.handed_on(body)
        if self.up is None:
            self.up = http.client.HTTPSConnection(TEST_ADDR, PORT,
                                                  context=h.c.ctx)
        self.up.request(self.command, path, body or None, {
            k: x for k, x in self.headers.items()
            if k in ("Authorization", "Accept", "Content-Type", "User-Agent")})
        r = self.up.getresponse()
        if "watch=" in self.path:
            self.stream(r)
        else:
            body = r.read()
            self.answered()
            self.answer(r.status, self.back(body))

    def finish(self):
        if self.up is not None:
            self.up.close()
        super().finish()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = one

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, r):
        self.send_response(r.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            line = r.readline()
            part = self.back(line)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
            if not line:
                return
            self.passed(line)

    def log_message(self, *a):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass            # whoever asked is gone


def server(handler):
    """One whose port the program is to be given."""
    srv = Server(("127.0.0.1", 0), handler)
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(f"{h.c.work}/api.crt", f"{h.c.work}/api.key")
    srv.socket = ctx.wrap_socket(srv.socket, server_side=True,
                                 do_handshake_on_connect=False)
    threading.Thread(target=srv.serve_forever, daemon=True).start()
    return srv
