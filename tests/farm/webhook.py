"""A webhook on this host that remembers what it was sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook:
    """`status`: what it answers. The path of its URL is a secret, as real ones have it."""

    def __init__(self, server):
        self.url = f"http://127.0.0.1:{server.server_port}/services/T0SECRET"
        self.messages: list[str] = []
        self.paths: list[str] = []
        self.status = 200


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A webhook for the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.paths.append(self.path)
            if hook.status == 200:
                hook.messages.append(json.loads(body)["text"])
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook = Webhook(server)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield hook
        server.shutdown()
        thread.join()
