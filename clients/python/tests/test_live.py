"""Against the live server that the environment names as ``KURS_URL``: invented prices, loopback only."""

from __future__ import annotations

import itertools
import os
import threading
import time
import unittest
from decimal import Decimal
from typing import Callable, Iterator, TypeVar

from kurs_client import ApiException, Event, ProblemError, connect, problem_of, stream
from tests.cutter import Cutter

URL = os.environ["KURS_URL"]
Result = TypeVar("Result")


def eventually(attempt: Callable[[], Result]) -> Result:
    """Tries until it works: stores and markets take a moment."""
    end = time.monotonic() + 30
    while True:
        try:
            return attempt()
        except (ApiException, AssertionError, IndexError, ValueError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


class Answers(unittest.TestCase):
    def setUp(self) -> None:
        self.kurs = connect(URL)
        self.addCleanup(self.kurs.api_client.rest_client.pool_manager.clear)

    def test_a_rate_is_an_exact_decimal_in_a_text(self) -> None:
        rate = self.kurs.rates.get_rate("BTC", "RUB", explain=True)
        self.assertEqual(rate.pair, "BTC-RUB")
        self.assertIsInstance(rate.value, str)
        self.assertEqual(format(Decimal(rate.value), "f"), rate.value)
        self.assertEqual(rate.state, "fresh")
        self.assertTrue(rate.source.startswith("sim:"))
        self.assertIsNotNone(rate.expires_at.tzinfo)
        self.assertTrue(rate.constituents)

    def test_an_amount_is_converted(self) -> None:
        rate = self.kurs.rates.get_rate("BTC", "USD", amount="2.5")
        self.assertEqual(rate.amount, "2.5")
        difference = abs(Decimal(rate.result) / Decimal(rate.value) - Decimal("2.5"))
        self.assertLess(difference, Decimal("1e-12"))

    def test_the_numbers_of_courses_are_decimals_with_all_their_digits(self) -> None:
        courses = self.kurs.rates.get_courses(direction=["BTC-USD"])
        self.assertIsInstance(courses.courses[0].value, Decimal)

    def test_a_batch_names_the_pair_that_has_no_rate(self) -> None:
        batch = self.kurs.rates.get_rates(["BTC-USD,BTC-NOSUCH"])
        self.assertEqual([rate.pair for rate in batch.rates], ["BTC-USD"])
        self.assertEqual([error.pair for error in batch.errors], ["BTC-NOSUCH"])

    def test_an_asset_has_a_list_and_sources_have_a_state(self) -> None:
        pairs = [rate.pair for rate in self.kurs.rates.list_rates("BTC").rates]
        self.assertIn("BTC-USD", pairs)
        self.assertTrue(self.kurs.sources.list_sources().sources)
        self.assertEqual(self.kurs.operations.live().status, "ok")

    def test_the_history_has_pages(self) -> None:
        def pages() -> list[tuple[int, int]]:
            first = self.kurs.history.get_history("BTC", "USDT", limit=3)
            second = self.kurs.history.get_history("BTC", "USDT", limit=3, cursor=first.next)
            return [(point.epoch, point.seq) for point in first.points + second.points]

        rows = eventually(pages)
        self.assertEqual(len(set(rows)), 6)
        both = self.kurs.history.get_history("BTC", "USDT", limit=6)
        self.assertEqual([(point.epoch, point.seq) for point in both.points], rows)

    def test_an_answer_of_the_past_is_told_again(self) -> None:
        rate = self.kurs.rates.get_rate("BTC", "USDT")
        at = rate.published_at.isoformat(timespec="milliseconds")
        again = eventually(
            lambda: self.kurs.rates.get_rate("BTC", "USDT", at=at, seq=str(rate.seq))
        )
        self.assertEqual(again.value, rate.value)

    def test_a_problem_has_a_kind_and_names_the_parameter(self) -> None:
        with self.assertRaises(ApiException) as raised:
            self.kurs.rates.get_rate("BTC", "NOSUCH")
        problem = problem_of(raised.exception)
        self.assertEqual((problem.status, problem.kind), (404, "unknown-asset"))
        self.assertEqual(raised.exception.data.type, "/docs/problems#unknown-asset")
        with self.assertRaises(ApiException) as raised:
            self.kurs.rates.get_rate("BTC", "USD", amount="much")
        errors = problem_of(raised.exception).document["errors"]
        self.assertEqual([error["parameter"] for error in errors], ["amount"])


class Streams(unittest.TestCase):
    def setUp(self) -> None:
        self.cutter = Cutter(URL)
        self.addCleanup(self.cutter.close)
        # Ends a stream that tells nothing, so that a broken test fails instead of hanging.
        self.stop = threading.Event()
        guard = threading.Timer(60, self.stop.set)
        guard.daemon = True
        guard.start()
        self.addCleanup(guard.cancel)

    def test_a_stream_goes_on_after_a_cut_with_the_very_next_event(self) -> None:
        told = stream(self.cutter.url, topics=["rate:BTC-USDT"], stop=self.stop)
        rates = list(self.over_cuts(told, connections=3))
        heard = [(rate["epoch"], rate["seq"]) for rate in rates]
        self.assertEqual(len(set(heard)), len(heard))
        kurs = connect(URL)
        self.addCleanup(kurs.api_client.rest_client.pool_manager.clear)

        # What was heard is what was published, each once, in order: the history is the witness.
        def published() -> None:
            start, end = rates[0]["published_at"], rates[-1]["published_at"]
            points, cursor = [], None
            while True:
                page = kurs.history.get_history(
                    "BTC", "USDT", published=True, start=start, limit=1000, cursor=cursor
                )
                points += [(point.epoch, point.seq) for point in page.points]
                cursor = page.next
                if cursor is None:
                    break
            first, last = points.index(heard[0]), points.index(heard[-1])
            self.assertEqual(points[first : last + 1], heard, (start, end))

        eventually(published)

    def over_cuts(self, told: Iterator[Event], connections: int) -> Iterator[dict]:
        hellos, rates = 0, 0
        for event in told:
            self.assertNotEqual(event.kind, "gap")
            if event.kind == "hello":
                hellos += 1
                self.assertEqual(event.data["resumed"], hellos > 1)
            if event.kind == "rate":
                rates += 1
                yield event.data["rate"]
                if rates >= 5 * hellos:
                    if hellos == connections:
                        return
                    self.cutter.cut()
        self.fail("the stream told too little")

    def test_a_stream_goes_on_from_an_id_that_was_kept(self) -> None:
        told = stream(URL, topics=["rate:BTC-USDT"], stop=self.stop)
        kept = next(event.id for event in told if event.kind == "rate")
        told.close()
        again = stream(URL, topics=["rate:BTC-USDT"], resume_from=kept, stop=self.stop)
        first = next(again)
        again.close()
        self.assertEqual((first.kind, first.data["resumed"]), ("hello", True))

    def test_what_waiting_cannot_mend_ends_a_stream(self) -> None:
        with self.assertRaises(ProblemError) as raised:
            next(connect(URL).stream(topics=["no such topic"], stop=self.stop))
        self.assertEqual(raised.exception.status, 400)

    def test_a_stream_ends_when_it_is_stopped(self) -> None:
        stop = threading.Event()
        for count, _ in zip(itertools.count(1), stream(URL, stop=stop)):
            stop.set()
        self.assertEqual(count, 1)


if __name__ == "__main__":
    unittest.main()
