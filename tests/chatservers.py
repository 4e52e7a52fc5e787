"""Servers for the chat teacher's tests: one that answers by the rule teacher, and a proxy that fails in every way."""

import http.client
import json
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pandas as pd

from radbook.core.findings import Presence
from radbook.tasks import TASKS
from radbook.teachers.llm.cache import request_key
from radbook.teachers.rules import RuleTeacher

FOLLOW_UP = "This answer cannot be used"


class Server:
    """Answers chat completions: finds the report in the request, labels it by rules, and quotes what it found."""

    def __init__(
        self, *, takes_schema: bool = True, seconds: float = 0.0, counts_tokens: bool = True
    ) -> None:
        self.takes_schema, self.seconds, self.counts_tokens = takes_schema, seconds, counts_tokens
        self.served: Counter[str] = Counter()
        self.requests: list[dict] = []
        self.headers: list[dict] = []
        self._lock = threading.Lock()

    def answer(self, handler: BaseHTTPRequestHandler, request: dict) -> None:
        with self._lock:
            self.requests.append(request)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        if "response_format" in request and not self.takes_schema:
            send(handler, 400, {"error": {"message": "response_format json_schema is not supported here"}})
            return
        time.sleep(self.seconds)
        with self._lock:
            content = self.content(request)
            self.served[request_key(request)] += 1
        send(handler, 200, self.completion(request, content))

    def content(self, request: dict) -> str:
        messages = request["messages"]
        asked = [
            m["content"] for m in messages if m["role"] == "user" and not m["content"].startswith(FOLLOW_UP)
        ]
        task = "choice" if "thirteen names" in messages[0]["content"] else "open"
        labels = (
            RuleTeacher().label(pd.DataFrame({"report_id": ["r"], "text": [asked[-1]]})).set_index("task")
        )
        found = [f for f in labels.loc[task, "findings"] if f["presence"] == Presence.PRESENT]
        if "response_format" not in request:
            return TASKS[task].render(found, style="full")
        name = TASKS[task].attribute
        return json.dumps({"findings": [{name: f["code"], "quote": f["phrase"]} for f in found]})

    def completion(self, request: dict, content: str) -> dict:
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = (
            {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
            if self.counts_tokens
            else None
        )
        head = {"id": "x", "object": "chat.completion", "created": 0, "model": request["model"]}
        return {**head, "choices": [choice], "usage": usage}


class FaultyProxy:
    """Stands before a server. The first calls of a request meet the faults that are next in turn, later ones pass."""

    def __init__(self, upstream: str, faults: list[str], *, faults_per_request: int = 1) -> None:
        self.upstream = urlsplit(upstream)
        self.faults, self.per_request = faults, faults_per_request
        self.seen: Counter[str] = Counter()
        self.delivered: Counter[str] = Counter()
        self.dealt: Counter[str] = Counter()
        self._turn = 0
        self._lock = threading.Lock()

    def answer(self, handler: BaseHTTPRequestHandler, request: dict) -> None:
        key = request_key(request)
        follow_up = request["messages"][-1]["content"].startswith(FOLLOW_UP)
        with self._lock:
            self.seen[key] += 1
            fault = "none"
            if self.seen[key] <= self.per_request and not follow_up:
                fault = self.faults[self._turn % len(self.faults)]
                self._turn += 1
            self.dealt[fault] += 1
        if fault == "429":
            send(handler, 429, {"error": {"message": "slow down"}}, {"Retry-After": "0.3"})
        elif fault == "503 with a date":
            send(
                handler,
                503,
                {"error": {"message": "busy"}},
                {"Retry-After": formatdate(time.time() + 1, usegmt=True)},
            )
        elif fault == "429 with a pause of nan":
            send(handler, 429, {"error": {"message": "slow down"}}, {"retry-after-ms": "nan", "Retry-After": "nan"})
        elif fault == "no completion":
            send(handler, 200, {"hello": "world"})
        elif fault == "endless":
            send_for_ever(handler)
        elif fault == "500":
            send(handler, 500, {"error": {"message": "broken"}})
        elif fault == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            # The socket is closed, and so reset, only with the last file on it.
            for opened in (handler.rfile, handler.wfile, handler.connection):
                opened.close()
        elif fault == "stall":
            time.sleep(2.5)
            handler.close_connection = True
        elif fault == "error page":
            send(handler, 200, b"<html>welcome to the portal</html>", {"Content-Type": "text/html"})
        else:
            self._pass_on(handler, request, key, fault)

    def _pass_on(self, handler, request: dict, key: str, fault: str) -> None:
        connection = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=120)
        body = json.dumps(request)
        connection.request("POST", handler.path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        status, payload = response.status, response.read()
        connection.close()
        if fault == "cut":
            send(handler, status, payload[: len(payload) // 2], {"Content-Length": str(len(payload))})
            handler.close_connection = True
            return
        if fault in ("invalid JSON", "wrong quote"):
            answer = json.loads(payload)
            message = answer["choices"][0]["message"]
            if fault == "invalid JSON":
                message["content"] = '{"findings": [{"category": "Ede'
            else:
                made_up = {"category": "Edema", "quote": "words that nobody wrote", "icd10": "J81.1"}
                content = json.loads(message["content"])
                message["content"] = json.dumps({"findings": [*content["findings"], made_up]})
            send(handler, status, answer)
            return
        with self._lock:
            self.delivered[key] += status == 200
        send(handler, status, payload)


def send(
    handler: BaseHTTPRequestHandler, status: int, payload: dict | bytes, headers: dict | None = None
) -> None:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    handler.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def send_for_ever(handler: BaseHTTPRequestHandler, *, size: int = 1 << 16, pause: float = 0.0) -> None:
    """Send an answer that begins as it should and has no end, until the other side hangs up."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    handler.close_connection = True
    handler.wfile.write(b'{"choices": [')
    while True:
        handler.wfile.write(b" " * size)
        time.sleep(pause)


@contextmanager
def listening(server: Server | FaultyProxy):
    """Serve on a free port of this machine; gives the address of the API."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            try:
                server.answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *args) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, address) -> None:
            """Connections that the proxy resets on purpose are no errors."""

    with Quiet(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(
            target=http_server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        yield f"http://127.0.0.1:{http_server.server_port}/v1"
        http_server.shutdown()
