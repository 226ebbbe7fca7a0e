//! What all requests share.

use crate::admin::SettingsInForce;
use crate::answer::Asset;
use crate::config::ApiConfig;
use crate::page::Page;
use crate::request_id::RequestIds;
use crate::table::Table;
use crate::v1::changes::KeptChanges;
use crate::v1::pictures;
use crate::{openapi, router};
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Method};
use kurs_alert::AlertConfig;
use kurs_auth::Doors;
use kurs_bus::Bus;
use kurs_reader::RateView;
use kurs_store::Store;
use kurs_stream::Hub;
use kurs_telemetry::metrics::{HttpMetrics, RouteMetrics, StreamMetrics};
use kurs_telemetry::{Health, Metrics};
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Gives all metrics of the process as OpenMetrics text.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What the API is made from.
#[derive(Clone)]
pub struct ApiParts {
    /// All rates.
    pub view: Arc<RateView>,
    /// The way to the Writer.
    pub bus: Arc<dyn Bus>,
    /// The history.
    pub store: Arc<dyn Store>,
    /// The checks behind the probes; draining is told here.
    pub health: Arc<Health>,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// What `/metrics` shows.
    pub metrics_text: MetricsText,
    /// Version of the program, shown in `/openapi.json` and `/asyncapi.json`.
    pub version: &'static str,
    /// Who is told what changes.
    pub streams: Arc<Hub>,
    /// Who is let in.
    pub doors: Arc<Doors>,
    /// Random number for the prefix of request ids.
    pub seed: u64,
}

/// What all requests share.
pub struct ApiState {
    pub(crate) view: Arc<RateView>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) streams: Arc<Hub>,
    pub(crate) stream_metrics: StreamMetrics,
    pub(crate) doors: Arc<Doors>,
    pub(crate) health: Arc<Health>,
    pub(crate) http_metrics: HttpMetrics,
    pub(crate) metrics_text: MetricsText,
    pub(crate) config: ApiConfig,
    pub(crate) ids: Arc<RequestIds>,
    pub(crate) table: Table,
    pub(crate) openapi: Arc<Asset>,
    pub(crate) asyncapi: Arc<Asset>,
    pub(crate) origins: Vec<HeaderValue>,
    /// The files of the web page.
    pub(crate) page: Page,
    /// Changes of rates, computed once a minute.
    pub(crate) changes: KeptChanges,
    /// Bounds what history pages hold in memory.
    pub(crate) history_reads: Semaphore,
    /// Bounds how many pictures are drawn at one time.
    pub(crate) drawings: Arc<Semaphore>,
    /// Counts of the one route that has a way of its own, for GET and HEAD.
    pub(crate) hot_metrics: (RouteMetrics, RouteMetrics),
    pub(crate) panics: kurs_telemetry::metrics::Counter,
    /// What this process knows of what is set.
    pub(crate) settings: Option<Arc<dyn SettingsInForce>>,
    /// Limits of alerts.
    pub(crate) alerts: AlertConfig,
}

/// The table of routes contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the table of routes contradicts itself: {0}")]
pub struct RouteConflict(String);

/// The path of the route that has a way of its own.
pub(crate) const HOT_PATH: &str = "/api/v1/rates/{base}/{quote}";

impl ApiState {
    /// The API over these parts.
    ///
    /// # Errors
    /// [`RouteConflict`] when the program's own table of routes contradicts itself.
    pub fn new(config: ApiConfig, parts: ApiParts) -> Result<Self, RouteConflict> {
        let table = Table::new(router::routes(), &parts.metrics.http)
            .map_err(|error| RouteConflict(error.to_string()))?;
        let document = |document: serde_json::Value| {
            let text = serde_json::to_vec(&document).unwrap_or_default();
            Asset::new(text, crate::answer::JSON)
        };
        let origins = config
            .cors_origins
            .iter()
            .filter_map(|origin| HeaderValue::from_str(origin).ok())
            .collect();
        Ok(Self {
            openapi: document(openapi::document(table.routes(), parts.version)),
            asyncapi: document(crate::asyncapi::document(parts.version)),
            hot_metrics: table.counters(HOT_PATH, &Method::GET),
            ids: Arc::new(RequestIds::new(parts.seed)),
            page: Page::new(config.web_dir.clone()),
            changes: KeptChanges::default(),
            history_reads: Semaphore::new(config.limits.history_reads),
            drawings: Arc::new(Semaphore::new(pictures::DRAWN_AT_ONCE)),
            http_metrics: parts.metrics.http.clone(),
            panics: parts.metrics.process.panics("api"),
            stream_metrics: parts.metrics.streams.clone(),
            streams: parts.streams,
            view: parts.view,
            bus: parts.bus,
            store: parts.store,
            doors: parts.doors,
            health: parts.health,
            metrics_text: parts.metrics_text,
            config,
            table,
            origins,
            settings: None,
            alerts: AlertConfig::default(),
        })
    }

    /// Tells how what is set stands in this process.
    #[must_use]
    pub fn with_settings(mut self, settings: Arc<dyn SettingsInForce>) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Alerts have these limits.
    #[must_use]
    pub fn with_alerts(mut self, alerts: AlertConfig) -> Self {
        self.alerts = alerts;
        self
    }

    /// While the instance drains, every answer is the last one of its connection, so that clients
    /// go elsewhere without losing a request.
    pub(crate) fn say_goodbye(&self, headers: &mut HeaderMap) {
        if self.health.is_draining() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ApiState")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
