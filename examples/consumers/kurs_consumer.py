#!/usr/bin/env python3
"""Reads the rates that kurs publishes, from NATS or from Redis, with nothing but Python itself.

    kurs_consumer.py                                  rates from nats://127.0.0.1:4222, for ever
    kurs_consumer.py --everything                     all updates; so that a gap can be noticed
    kurs_consumer.py --redis redis://127.0.0.1:6379   all updates, from the stream in Redis
    kurs_consumer.py --count 10 --seconds 30          ends after 10 lines, or with 1 after 30 seconds

One line for each message about a pair goes to standard output; what else there is to say goes to
standard error. `kurs asyncapi` describes the messages, docs/messages.md the rules kept here.
"""

import argparse
import json
import re
import socket
import sys
import time
from decimal import Decimal
from urllib.parse import unquote, urlsplit

FLOW = ["kurs.v1.rate.>", "kurs.v1.source.>", "kurs.v1.status.>", "kurs.v1.tracked", "kurs.v1.writer.>"]
UPDATE_ID = re.compile(r"(\d+)\.(\d+)-(\d+)", re.ASCII)


class Order:
    """Every update once, rising within its shard; tells of what is missing if all are heard."""

    def __init__(self, hears_all):
        self.hears_all = hears_all
        self.last = {}

    def accepts(self, shard, place, follows):
        """`place` and `follows` are (epoch, seq). False for what is old or was heard before."""
        last = self.last.get(shard)
        if last is not None and place <= last:
            return False
        self.last[shard] = place
        if self.hears_all and last is not None:
            if place[0] == last[0]:
                is_next = place[1] == last[1] + 1
            else:
                is_next = place[1] == 1 and (follows is None or follows <= last)
            if not is_next:
                say(f"gap in shard {shard} before {place[0]}-{place[1]}: take the last values")
        return True


def parsed_id(text):
    """(shard, (epoch, seq)) of "SHARD.EPOCH-SEQ"."""
    shard, epoch, seq = map(int, UPDATE_ID.fullmatch(text).groups())
    return shard, (epoch, seq)


def line_of(text, order):
    """What is printed of a message; None for what is passed over."""
    message = json.loads(text)
    if message.get("v") != 1:
        return None
    kind, data = message["kind"], message["data"]
    shard, place = parsed_id(message["id"])
    follows = data.get("follows") if kind == "heartbeat" else None
    follows = follows and parsed_id(follows)[1]
    if not order.accepts(shard, place, follows):
        return None
    if kind == "rate":
        # The price is a text: no digit of it passes through a binary number.
        value = Decimal(data["value"])
        # Whoever keeps the rate keeps with it until when it may be used as fresh: so many
        # milliseconds from now, by time.monotonic(). The times in it are another machine's.
        valid_ms = data["valid_for_ms"]
        return f"{message['id']} {data['pair']} {value:f} {data['state']} {data['source']} {valid_ms}"
    if kind == "no_rate":
        return f"{message['id']} {data['pair']} - {data['why']}"
    if kind == "withdrawn":
        return f"{message['id']} {data['pair']} - withdrawn"
    return None


class Server:
    """A connection read by lines and by counted bytes, until a deadline."""

    def __init__(self, url, port, deadline):
        self.url = urlsplit(url)
        self.deadline = deadline
        self.socket = socket.create_connection((self.url.hostname, self.url.port or port), timeout=5)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        """Waits for more bytes."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(min(left, 3600))
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection")
        self.buffer += more

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode()

    def take(self, length):
        """So many bytes, and the end of line after them."""
        while len(self.buffer) < length + 2:
            self.fill()
        data, self.buffer = self.buffer[:length], self.buffer[length + 2 :]
        return data


def nats(server, subjects):
    """The messages under these subjects, by the core protocol of NATS."""
    options = {"verbose": False, "pedantic": False, "headers": False, "lang": "python", "version": "1", "name": "kurs_consumer"}
    if server.url.username:
        options |= {"user": unquote(server.url.username), "pass": unquote(server.url.password or "")}
    server.line()  # INFO: what the server can do; nothing of it is needed.
    server.send(f"CONNECT {json.dumps(options)}\r\n".encode())
    for number, subject in enumerate(subjects, 1):
        server.send(f"SUB {subject} {number}\r\n".encode())
    server.send(b"PING\r\n")  # Its answer says that the subscriptions before it are there.
    while True:
        word, _, rest = server.line().partition(" ")
        if word == "MSG":  # MSG <subject> <number> [reply] <length>
            yield server.take(int(rest.split()[-1]))
        elif word == "PING":
            server.send(b"PONG\r\n")
        elif word == "PONG":
            say("listening")
        elif word == "-ERR":
            raise ConnectionError(f"the server says {rest}")


def ask_redis(server, *words):
    """One command and its answer, by the protocol of Redis (RESP2)."""
    parts = [word.encode() for word in words]
    server.send(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))

    def answer():
        line = server.line()
        mark, rest = line[0], line[1:]
        if mark == "-":
            raise ConnectionError(f"the server says {rest}")
        if mark == "$":
            return server.take(int(rest)) if rest != "-1" else None
        if mark == "*":
            return [answer() for _ in range(int(rest))] if rest != "-1" else None
        return rest

    return answer()


def redis(server, stream="{kurs}.v1.flow"):
    """The messages of the stream from now on."""
    if server.url.password:
        account = [unquote(server.url.username)] if server.url.username else []
        ask_redis(server, "AUTH", *account, unquote(server.url.password))
    newest = ask_redis(server, "XREVRANGE", stream, "+", "-", "COUNT", "1")
    place = newest[0][0].decode() if newest else "0-0"
    say("listening")
    while True:
        found = ask_redis(server, "XREAD", "COUNT", "1000", "BLOCK", "1000", "STREAMS", stream, place)
        for number, fields in found[0][1] if found else []:
            place = number.decode()
            yield dict(zip(fields[::2], fields[1::2]))[b"d"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description="Prints the rates that kurs publishes.")
    parser.add_argument("--nats", default="nats://127.0.0.1:4222", metavar="URL", help="the NATS server (default: %(default)s)")
    parser.add_argument("--redis", metavar="URL", help="read the stream of this Redis server instead")
    parser.add_argument("--everything", action="store_true", help="listen to all updates, so that a gap is noticed")
    parser.add_argument("--count", type=int, metavar="N", help="end after N lines")
    parser.add_argument("--seconds", type=float, default=float("inf"), metavar="S", help="end with code 1 after S seconds")
    options = parser.parse_args()
    deadline = time.monotonic() + options.seconds
    try:
        if options.redis:
            messages = redis(Server(options.redis, 6379, deadline))
        else:
            messages = nats(Server(options.nats, 4222, deadline), FLOW if options.everything else FLOW[:1])
        order = Order(hears_all=bool(options.redis) or options.everything)
        printed = 0
        for text in messages:
            try:
                line = line_of(text, order)
            except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
                say(f"a message that cannot be read: {text[:80]!r}")
                continue
            if line is not None:
                print(line, flush=True)
                printed += 1
            if printed == options.count:
                return 0
    except (OSError, ConnectionError) as problem:
        say(str(problem) or "the time is over")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
