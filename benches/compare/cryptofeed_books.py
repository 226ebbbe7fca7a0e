"""Diff frames per CPU second through cryptofeed's own JSON parsing and Binance book code.

Usage: cryptofeed_books.py SNAPSHOT FRAMES ROUNDS

SNAPSHOT holds one body of /api/v3/depth, FRAMES one depthUpdate frame per line, both of
BTCUSDT. Nothing is connected: the snapshot is answered from the file, and every frame goes
through the feed's message handler as if it had come from a socket. Prints one line per round:
frames and CPU seconds.
"""

import asyncio
import gc
import logging
import sys
import time

from cryptofeed.defines import L2_BOOK
from cryptofeed.exchanges.binance import Binance
from cryptofeed.symbols import Symbols

logging.disable(logging.CRITICAL)


class FromFile:
    """Answers the request for a snapshot."""

    def __init__(self, body):
        self.body = body

    async def read(self, _url):
        return self.body


def feed(snapshot, books):
    info = {"exchange": "BINANCE", "BTC-USDT": {}}
    Symbols.set("BINANCE", {"BTC-USDT": "BTCUSDT"}, {"tick_size": {}, "instrument_type": {}, **info})

    async def keep(_book, _received):
        books[0] += 1

    made = Binance(symbols=["BTC-USDT"], channels=[L2_BOOK], callbacks={L2_BOOK: keep}, depth_interval="100ms")
    made.http_conn = FromFile(snapshot)
    return made


async def round_of(snapshot, frames):
    books = [0]
    made = feed(snapshot, books)
    gc.collect()
    began = time.process_time()
    for frame in frames:
        await made.message_handler(frame, None, 0.0)
    taken = time.process_time() - began
    if books[0] < len(frames) * 0.9:
        raise SystemExit(f"only {books[0]} of {len(frames)} frames reached the book")
    return taken


def main():
    snapshot = open(sys.argv[1]).read()
    frames = open(sys.argv[2]).read().splitlines()
    for _ in range(int(sys.argv[3])):
        taken = asyncio.run(round_of(snapshot, frames))
        print(len(frames), taken, flush=True)


main()
