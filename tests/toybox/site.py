"""This is a toy registry over HTTP, to which versions are published while it is served."""

from __future__ import annotations

import io
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.registry_server.resources import IncomingRequest, Resource, answer, archive, json_document, missing


@dataclass
class ToySite:
    """This holds what is published so far; `base` is known while it is served."""

    base: str = ""
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    _serial: int = 0

    def publish(
        self, name: str, version: str, modules: tuple[str, ...] = (), requires: Mapping[str, str] | None = None
    ) -> None:
        """Without modules the version has no zip."""
        self._serial += 1
        package = self.packages.setdefault(name, {"name": name, "versions": {}})
        package["serial"] = self._serial
        package["versions"][version] = {"date": "2026-01-05T12:00:00Z", "requires": dict(requires or {})}
        if modules:
            self.upload(name, version, modules)

    def upload(self, name: str, version: str, modules: tuple[str, ...]) -> None:
        """Put in the zip of a version."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            for module in modules:
                file.writestr(f"{module.replace('.', '/')}.toy", "a toy")
        self.files[f"/files/{name}-{version}.zip"] = packed.getvalue()

    def find(self, path: str) -> Resource:
        if path == "/index/names.json":
            return json_document({"packages": {name: each["serial"] for name, each in self.packages.items()}})
        if path in self.files:
            return archive(self.files[path], "application/zip")
        package = self.packages.get(path.removeprefix("/index/packages/").removesuffix(".json"))
        return json_document(package) if package else missing()


@contextmanager
def served(site: ToySite) -> Iterator[ToySite]:
    """It is served from a thread until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            response = answer(site.find(self.path), IncomingRequest("toybox", "GET", self.path, headers))
            self.send_response(response.status)
            for key, value in response.headers:
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site.base = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def main() -> None:
    """Serve two toys and print how to point the program to them; each line `ball 1.1.0` publishes a version.

    It ends with the input (Ctrl-D).
    """
    site = ToySite()
    site.publish("wood", "1.0.0", ("wood",))
    site.publish("ball", "1.0.0", ("ball", "ball.red"), {"wood": ">=1.0.0"})
    with served(site):
        print(f"export SECURECHAIN_ENDPOINTS__TOYBOX_INDEX={site.base}/index", flush=True)
        print(f"export SECURECHAIN_ENDPOINTS__TOYBOX_FILES={site.base}/files", flush=True)
        for line in sys.stdin:
            name, version = line.split()
            site.publish(name, version, (name,))


if __name__ == "__main__":
    main()
