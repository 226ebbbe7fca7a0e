"""The parser of server-sent events."""

import unittest

from kurs_client.streams import Event, Parser

STREAM = 'retry: 2108\n\n:\n\nid: 0.1-7\nevent: rate\ndata: {"a":\ndata: "ä"}\n\nevent: x\n\n'


class Pieces(unittest.TestCase):
    def test_the_same_events_are_read_wherever_the_pieces_are_cut(self) -> None:
        for ends in ("\n", "\r\n"):
            stream = STREAM.replace("\n", ends).encode()
            for cut in range(len(stream) + 1):
                parser = Parser()
                events = [*parser.feed(stream[:cut]), *parser.feed(stream[cut:])]
                self.assertEqual(events, [Event("rate", {"a": "ä"}, "0.1-7")])
                self.assertEqual(parser.retry_seconds, 2.108)


if __name__ == "__main__":
    unittest.main()
