"""One browser farm: `python -m scripts.faults.traffic URL NUMBER SHARE RATE SIZE STOP_FILE`.

Reports impressions in beacons of SIZE at RATE events a second, at least SHARE of them and until STOP_FILE exists. Does
what the tracker does: an event is kept and sent again, under its own id, until the server has answered for it. At the
end it prints how many were answered for; their ids are `f<NUMBER>-<count>`.
"""

import http.client
import json
import sys
import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from scripts.local_shop import consenting_cookie

RETRY_PAUSE_S = 0.2
PATIENCE_S = 120
PRODUCTS = 50


class Farm:
    """Keeps one connection and one person's cookie."""

    def __init__(self, url: str, number: int) -> None:
        self.url = url
        self.number = number
        self.told = 0
        self.resent = 0
        self._cookie = ""
        self._connection: http.client.HTTPConnection | None = None

    def run(self, share: int, rate: float, size: int, stop: Path) -> None:
        self._cookie = self._persist(partial(consenting_cookie, self.url))
        began = time.monotonic()
        while self.told < share or not stop.exists():
            waiting = {self.event_id(self.told + n): self._event(self.told + n) for n in range(size)}
            while waiting:
                for result in self._persist(partial(self._report, waiting)):
                    if result["status"] in {"accepted", "duplicate"}:
                        waiting.pop(result["id"], None)
                if waiting:
                    time.sleep(RETRY_PAUSE_S)
            self.told += size
            time.sleep(max(0.0, began + self.told / rate - time.monotonic()))

    def event_id(self, count: int) -> str:
        return f"f{self.number}-{count:09}"

    def _event(self, count: int) -> dict[str, object]:
        return {
            "id": self.event_id(count), "type": "view", "kind": "impression", "created_at": int(time.time() * 1000),
            "item_id": f"FAULT-{count % PRODUCTS}", "surface": "home", "widget": "top_picks", "rank": 1 + count % 20,
            "request_id": "req-fault", "recommended": True,
        }  # fmt: skip

    def _report(self, waiting: dict[str, dict[str, object]]) -> list[dict[str, str]]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        body = json.dumps({"sent_at": int(time.time() * 1000), "events": list(waiting.values())})
        self._connection.request("POST", "/t/events", body, {"Origin": self.url, "Cookie": self._cookie})
        response = self._connection.getresponse()
        answer = response.read()
        if response.status not in {202, 429}:
            raise http.client.HTTPException(f"status {response.status}")
        results: list[dict[str, str]] = json.loads(answer)["results"]
        return results

    def _persist(self, call):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call()
            except (OSError, http.client.HTTPException, ValueError):
                if time.monotonic() > deadline:
                    raise
                if self._connection:
                    self._connection.close()
                    self._connection = None
                self.resent += 1
                time.sleep(RETRY_PAUSE_S)


def main() -> None:
    url, number, share, rate, size, stop = sys.argv[1:]
    farm = Farm(url, int(number))
    farm.run(int(share), float(rate), int(size), Path(stop))
    print(json.dumps({"told": farm.told, "resent": farm.resent}))


if __name__ == "__main__":
    main()
