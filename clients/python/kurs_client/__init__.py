"""Client of kurs, the self-hosted exchange-rate server.

Prices are texts: exact decimals that no binary float has touched; ``decimal.Decimal(rate.value)``
counts with them.

===========  ==========================================================
module       what it holds
===========  ==========================================================
client       ``connect``: the generated methods, with a key and streams
problem      what a server says when it cannot answer
streams      server-sent events that go on after a cut
generated    made from the OpenAPI document by openapi-generator
===========  ==========================================================
"""

from kurs_client.client import Kurs, connect
from kurs_client.generated.exceptions import ApiException
from kurs_client.problem import ProblemError, problem_of
from kurs_client.streams import Event, stream

__all__ = [
    "ApiException",
    "Event",
    "Kurs",
    "ProblemError",
    "connect",
    "problem_of",
    "stream",
]
