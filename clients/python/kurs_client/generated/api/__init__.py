# flake8: noqa

# import apis into api package
from kurs_client.generated.api.admin_api import AdminApi
from kurs_client.generated.api.alerts_api import AlertsApi
from kurs_client.generated.api.history_api import HistoryApi
from kurs_client.generated.api.operations_api import OperationsApi
from kurs_client.generated.api.rates_api import RatesApi
from kurs_client.generated.api.sources_api import SourcesApi
from kurs_client.generated.api.streams_api import StreamsApi
from kurs_client.generated.api.tracking_api import TrackingApi

