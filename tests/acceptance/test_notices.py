"""Notices of the real program: a worker posts them, signed, to a receiver of our own; an operator sends one by hand."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.acceptance.program import eventually
from tests.acceptance.scene import Scene

SECRET = "shared-with-the-receiver-only"
FILE = """
notices: tyler-setup
contact: the desk
routes:
  chat: {{kind: webhook, url: "http://127.0.0.1:{port}/hooks/{{HOOK}}", secret_variable: CHAT_SECRET}}
  log: {{kind: command, words: [sh, -c, "cat >> {log}; echo >> {log}"]}}
audiences: {{users: [log], team: [chat]}}
send: {{announcement: users, phase: team}}
"""


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted with a good signature, by the check that the documentation shows."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Post)
        self.letters: list[dict[str, Any]] = []

    def phases(self) -> list[str]:
        return [letter["event"]["to"] for letter in self.letters]


class Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = dict(part.split("=", 1) for part in self.headers["X-Tableturn-Signature"].split(","))
        expected = hmac.new(SECRET.encode(), told["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        good = self.path == "/hooks/hook-7c1e" and hmac.compare_digest(expected, told["v1"])
        if good:
            self.server.letters.append(json.loads(body))
        self.send_response(204 if good else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_worker_tells_of_every_phase_and_an_operator_announces(scene: Scene) -> None:
    scene.set().initialised()
    program = scene.program
    log = program.folder / "told"
    with receiver() as chat:
        path = program.folder / "notices.yaml"
        path.write_text(FILE.format(port=chat.server_port, log=log))
        program.environment |= {"TABLETURN_NOTICES_FILE": str(path), "CHAT_SECRET": SECRET, "HOOK": "hook-7c1e"}
        program.work()
        eventually("a phase is told", lambda: len(chat.phases()) > 1)
        sent = program.good("announce", "--at", "2099-12-01T21:00+01:00", "--now", "T-48h", "--json").document
        assert sent["deliveries"]["log"]["state"] == "sent"
        program.good("abort", "--reason", "not this quarter")
        eventually("the last phase is told", lambda: "ABORTED" in chat.phases())
        assert program.workers[-1].process.wait(20) == 0
    phases = [row["to"] for row in scene.rows("history") if row["event"] == "phase"]
    assert sorted(chat.phases()) == sorted(phases), "every phase, each once"
    (announced,) = log.read_text().splitlines()
    assert "planned for 2099-12-01 20:00 UTC" in json.loads(announced)["text"]
    shown = program.good("announce").out
    assert "announcement  over  ✓ log" in shown
    assert not [said for said in program.said() if SECRET in said or "hook-7c1e" in said]


def test_a_notice_file_that_is_wrong_stops_the_worker_before_it_leads(scene: Scene) -> None:
    path = scene.program.folder / "notices.yaml"
    path.write_text(FILE.format(port=1, log="x").replace("[log]", "[lag]"))
    done = scene.program.run("run", TABLETURN_NOTICES_FILE=str(path), HOOK="x")
    assert done.code == 1
    assert "audiences.users: there is no route lag" in done.err
