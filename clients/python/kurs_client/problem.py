"""What a server says when it cannot answer."""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional

from kurs_client.generated.exceptions import ApiException

# Status codes after which the same question may be answered later.
_PASSING = (408, 429)


class ProblemError(Exception):
    """A problem document, or an answer that is no success and has none."""

    def __init__(
        self, status: int, body: bytes | str, retry_after: Optional[str] = None
    ) -> None:
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        self.document: Mapping[str, Any] = _document(text)
        """The whole document; kinds may add members, such as ``rate``."""
        self.status = status
        self.kind: str = str(self.document.get("type", "about:blank")).rpartition("#")[2]
        """Kind of problem, the same for ever: ``rate-expired``, ``unknown-asset``, ..."""
        self.retry_after_seconds: Optional[float] = _seconds(retry_after)
        """When another attempt makes sense, if the server said so."""
        title = self.document.get("title", f"status {status}")
        super().__init__(f"{title}: {self.document.get('detail', text[:200])}")

    @property
    def is_passing(self) -> bool:
        """Whether the same question may be answered later."""
        return self.status in _PASSING or self.status >= 500


def problem_of(exception: ApiException) -> ProblemError:
    """The problem behind an exception of a generated method."""
    headers = exception.headers or {}
    retry_after = headers.get("Retry-After") or headers.get("retry-after")
    return ProblemError(int(exception.status or 0), exception.body or "", retry_after)


def _document(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _seconds(text: Optional[str]) -> Optional[float]:
    return float(text) if text is not None and text.isdigit() else None
