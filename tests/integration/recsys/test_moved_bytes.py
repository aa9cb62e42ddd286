"""What a remote recommender's calls move over the network, against what a server really sent and received."""

import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from recsys_engine.contract import Event
from shop_app.core.clock import FixedClock
from shop_app.jobs.metering import write_counts
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.recsys.meter import count_calls
from shop_app.recsys.queries import calls
from shop_app.recsys.remote import RemoteGateway

DAY = timedelta(days=1)
ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0001"
GOOD = (202, json.dumps({"status": "accepted", "accepted": 1, "duplicates": 0, "rejected": []}).encode())
BUSY = (503, b"")


class Counting(socketserver.ThreadingTCPServer):
    """Answers requests by `answers`, the last one for ever, and counts every byte of both directions."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.answers, self.moved = [GOOD], 0


class Exchange(socketserver.StreamRequestHandler):
    server: Counting

    def handle(self) -> None:
        while line := self.rfile.readline():
            head = [line]
            while head[-1] != b"\r\n":
                head.append(self.rfile.readline())
            length = next(int(one.split(b":")[1]) for one in head if one.lower().startswith(b"content-length"))
            self.rfile.read(length)
            status, body = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
            answer = b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
            self.server.moved += sum(map(len, head)) + length + len(answer)
            self.wfile.write(answer)


@pytest.fixture
def server() -> Iterator[Counting]:
    with Counting() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.mark.parametrize("answers", [[GOOD], [BUSY, GOOD], [BUSY]], ids=["at once", "after a retry", "never"])
def test_a_call_counts_every_byte_of_all_its_attempts(
    app: Flask, clock: FixedClock, server: Counting, answers: list[tuple[int, bytes]]
) -> None:
    server.answers = list(answers)
    gateway = RemoteGateway(f"http://127.0.0.1:{server.server_address[1]}", ORG, "shop", timeout_s=5, retries=1)
    count_calls(gateway, app.extensions["meter"])
    with app.app_context():
        try:
            for name in ("one", "two"):
                gateway.send_events([Event(user_id="u_1", item_id="MUG", type=0, source_event_id=name)])
        except RecsysUnavailable:
            pass
        finally:
            gateway.close()
        write_counts()
        found = calls(clock.now() - DAY, clock.now() + DAY)

    assert sum(call.wire_bytes for call in found) == server.moved > 0


def test_a_thread_counts_its_own_calls_only(server: Counting) -> None:
    gateway = RemoteGateway(f"http://127.0.0.1:{server.server_address[1]}", ORG, "shop", timeout_s=5)
    elsewhere: list[int] = []

    def call() -> None:
        before = gateway.moved_bytes()
        gateway.send_events([Event(user_id="u_1", item_id="MUG", type=0, source_event_id="e")])
        elsewhere.append(gateway.moved_bytes() - before)

    here = gateway.moved_bytes()
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    gateway.close()

    assert elsewhere == [server.moved]
    assert gateway.moved_bytes() == here
