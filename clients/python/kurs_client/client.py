"""The generated methods, with a key and streams."""

from __future__ import annotations

from typing import Iterator, Optional

from kurs_client import streams
from kurs_client.generated import (
    ApiClient,
    Configuration,
    HistoryApi,
    OperationsApi,
    RatesApi,
    SourcesApi,
    TrackingApi,
)


def connect(url: str, api_key: Optional[str] = None) -> Kurs:
    """A client of the server at ``url``, such as ``http://127.0.0.1:8080``.

    Nothing is sent yet. The key, or a JWT, goes with each request as ``Authorization: Bearer``,
    never in an address.
    """
    return Kurs(url, api_key)


class Kurs:
    """A server of rates. Other generated classes take ``api_client``, as these do."""

    def __init__(self, url: str, api_key: Optional[str] = None) -> None:
        self._url = url.rstrip("/")
        self._api_key = api_key
        self.api_client = ApiClient(Configuration(host=self._url))
        if api_key is not None:
            self.api_client.set_default_header("Authorization", f"Bearer {api_key}")
        self.rates = RatesApi(self.api_client)
        self.history = HistoryApi(self.api_client)
        self.tracking = TrackingApi(self.api_client)
        self.sources = SourcesApi(self.api_client)
        self.operations = OperationsApi(self.api_client)

    def stream(self, **what: object) -> Iterator[streams.Event]:
        """Events as they come; see :func:`kurs_client.streams.stream`."""
        return streams.stream(self._url, api_key=self._api_key, **what)  # type: ignore[arg-type]
