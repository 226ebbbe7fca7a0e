"""Rules between the parameters of one request, and between them and the clock or an earlier answer.

A schema describes one value at a time. What the descriptions in the document say beyond that is done
here, to requests that are meant to be good; those that are meant to be bad stay as they were made.
"""

import os
from datetime import datetime, timezone

import schemathesis
from schemathesis import GenerationMode

NOW = datetime.now(timezone.utc)
# The id of the key that all requests are made with.
OWN_KEY = os.environ["CONTRACT_KEY"].split("_")[2]
UNKNOWN_KEY = "00000000"


def moment(text):
    try:
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except (AttributeError, ValueError, OverflowError):
        return None


@schemathesis.hook
def before_call(context, case, kwargs):
    # Whoever takes their own key away is asked for one from then on.
    path = case.path_parameters
    if path and path.get("id") == OWN_KEY:
        path["id"] = UNKNOWN_KEY
    query = case.query
    if not query or case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    # A cursor is taken from an earlier answer; no invented one is good.
    query.pop("cursor", None)
    # A moment of the past; the number of an update goes with one.
    at = moment(query.get("at"))
    if at is not None and at > NOW:
        del query["at"]
    if "at" not in query:
        query.pop("seq", None)
    # A time ends after it has begun.
    start, end = moment(query.get("start")), moment(query.get("end"))
    if "start" in query and (end is None or start is None or start >= end or start > NOW):
        del query["start"]
    # What was published was published once, whoever served it; a source has no candles of a second.
    if query.get("published") or query.get("interval") == "1s":
        query.pop("source", None)
    # As many pairs as a batch holds, by whichever name.
    first, second = query.get("direction"), query.get("directions")
    if isinstance(first, list) and isinstance(second, list) and len(first) + len(second) > 500:
        del query["directions"]
    # The result is held in 28 digits.
    if len(str(query.get("amount", ""))) > 12:
        query["amount"] = "2.5"
