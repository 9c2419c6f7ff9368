"""A web server that answers, or fails to, as a test tells it."""

import http.server
from collections.abc import Callable


class Web:
    """A small web server: `answer[path]` is (status, body), or a function that is given the handler."""

    def __init__(self) -> None:
        self.answer: dict[str, tuple[int, bytes] | Callable] = {}
        self.requests: list[str] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.requests.append(f"{self.command} {self.path}")
                found = web.answer.get(self.path.partition("?")[0], (404, b""))
                if callable(found):
                    return found(self)
                status, body = found
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", '"e1"')
                self.end_headers()
                self.wfile.write(body)
                return None

            do_PUT = do_HEAD = do_GET  # noqa: N815

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def s3_error(status: int, code: str) -> tuple[int, bytes]:
    """As S3 answers what fails."""
    return status, f"<Error><Code>{code}</Code><Message>words</Message></Error>".encode()


def hang_up(handler) -> None:
    handler.close_connection = True


def cut_short(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"only this")
    handler.close_connection = True
