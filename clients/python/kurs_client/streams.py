"""Rates as they change: server-sent events that go on after a cut.

    for event in stream("http://127.0.0.1:8080", pairs=["BTC-USD"]):
        if event.kind == "rate":
            print(event.data["rate"]["value"])
"""

from __future__ import annotations

import json
import random
import threading
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, Sequence
from urllib.parse import urlencode

import urllib3

from kurs_client.problem import ProblemError

# A server says something every 15 s, unless its configuration says otherwise.
_HEARTBEAT_SECONDS = 15.0
# This many heartbeats may fail to come before a connection counts as dead.
_HEARTBEATS_MISSED = 3
_CONNECT_SECONDS = 10.0
_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 30.0
# One event may be a snapshot of 500 rates; beyond this it is no stream of kurs.
_EVENT_BYTES_MAX = 16 * 1024 * 1024
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Event:
    """One thing that is told."""

    kind: str
    """``hello``, ``snapshot``, ``rate``, ``source``, ``error``, ``gap``, ``heartbeat`` or ``bye``;
    a later server may tell others."""
    data: Mapping[str, Any]
    """The document."""
    id: Optional[str]
    """The place to go on from: ``resume_from`` of another stream."""


def stream(
    url: str,
    *,
    pairs: Sequence[str] = (),
    topics: Sequence[str] = (),
    api_key: Optional[str] = None,
    resume_from: Optional[str] = None,
    stop: Optional[threading.Event] = None,
) -> Iterator[Event]:
    """Events until the caller stops taking them, or sets ``stop``.

    Without pairs and topics: all published rates. A cut is not the end: the next connection
    goes on where this one had ended. Raises :class:`ProblemError` for what waiting cannot mend.
    """
    stop = stop or threading.Event()
    query = {"pairs": ",".join(pairs), "topics": ",".join(topics)}
    query = {name: value for name, value in query.items() if value}
    address = url.rstrip("/") + "/api/v1/stream" + (f"?{urlencode(query)}" if query else "")
    position = resume_from
    backoff = _Backoff()
    with urllib3.PoolManager(num_pools=1, retries=False) as pool:
        while not stop.is_set():
            try:
                for event in _connection(pool, address, api_key, position, backoff):
                    position = event.id or position
                    yield event
                    if stop.is_set():
                        return
            except ProblemError as problem:
                if not problem.is_passing:
                    raise
                backoff.ask(problem.retry_after_seconds)
            except (urllib3.exceptions.HTTPError, OSError):
                # A broken connection: it is opened again.
                pass
            stop.wait(backoff.next())


def _connection(
    pool: urllib3.PoolManager,
    address: str,
    api_key: Optional[str],
    position: Optional[str],
    backoff: _Backoff,
) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    if position is not None:
        headers["Last-Event-ID"] = position
    silence = _HEARTBEAT_SECONDS * _HEARTBEATS_MISSED
    timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=silence)
    answer = pool.request(
        "GET", address, headers=headers, timeout=timeout, preload_content=False
    )
    try:
        if answer.status != 200:
            raise ProblemError(
                answer.status, answer.read(_PIECE_BYTES), answer.headers.get("Retry-After")
            )
        parser = Parser()
        while piece := answer.read1(_PIECE_BYTES):
            for event in parser.feed(piece):
                if event.kind == "hello":
                    backoff.reset()
                elif event.kind == "bye":
                    backoff.ask(event.data.get("reconnect_after_ms", 0) / 1000)
                yield event
            if parser.retry_seconds is not None:
                backoff.ask(parser.retry_seconds)
                parser.retry_seconds = None
    finally:
        # Not given back: the rest of the stream would be the next answer.
        answer.close()
        answer.release_conn()


class Parser:
    """Reads a ``text/event-stream`` by pieces, wherever they are cut."""

    def __init__(self) -> None:
        self.retry_seconds: Optional[float] = None
        """The server's wish of how long to wait before coming back."""
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []
        self._id: Optional[str] = None

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece completes."""
        self._rest += piece
        if len(self._rest) > _EVENT_BYTES_MAX:
            raise OSError("an event of the stream is too long")
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            event = self._line(line.removesuffix(b"\r").decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> Optional[Event]:
        if not line:
            event = None
            if self._data:
                data = json.loads("\n".join(self._data))
                event = Event(self._kind or "message", data, self._id)
            self._kind, self._data, self._id = "", [], None
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._kind = value
        elif field == "data":
            self._data.append(value)
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and value.isdigit():
            self.retry_seconds = int(value) / 1000
        return None


class _Backoff:
    """How long to wait before the next attempt: doubling, with full jitter, bounded."""

    def __init__(self) -> None:
        self._attempts = 0
        self._asked: Optional[float] = None

    def reset(self) -> None:
        """Something was heard: the next cut begins from the start."""
        self._attempts = 0

    def ask(self, seconds: Optional[float]) -> None:
        """The server said when to come back; holds for one wait."""
        if seconds is not None and seconds >= 0:
            self._asked = min(seconds, _LONGEST_WAIT_SECONDS)

    def next(self) -> float:
        """The wait before the next attempt, seconds."""
        asked, self._asked = self._asked, None
        most = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 16)
        return random.uniform(0, most) if asked is None else asked
