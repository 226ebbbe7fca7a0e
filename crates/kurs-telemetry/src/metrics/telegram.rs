//! Metrics of the Telegram bot.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// Metrics of the Telegram bot.
#[derive(Debug, Clone, Default)]
pub struct TelegramMetrics {
    /// What people said and pressed, each once.
    pub updates: Counter,
    /// Messages that Telegram took.
    pub sent: Counter,
    /// Answers 429: the message waits and is sent again.
    pub flood: Counter,
    /// Messages to chats that do not want the bot.
    pub blocked: Counter,
    /// Messages that did not go out for another reason.
    pub failed: Counter,
    /// Messages that wait for their turn.
    pub waiting: Gauge,
}

impl TelegramMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let messages = Family::<OutcomeLabels, Counter>::default();
        let of = |outcome| messages.get_or_create_owned(&OutcomeLabels { outcome });
        let metrics = Self {
            sent: of("sent"),
            flood: of("flood"),
            blocked: of("blocked"),
            failed: of("failed"),
            ..Self::default()
        };
        registry.register(
            "telegram_updates",
            "Updates of Telegram that were handled",
            metrics.updates.clone(),
        );
        registry.register(
            "telegram_messages",
            "Messages to chats, by what became of them; flood: told to wait, to be sent again",
            messages,
        );
        registry.register(
            "telegram_messages_waiting",
            "Messages that wait until the limits of Telegram let them go",
            metrics.waiting.clone(),
        );
        metrics
    }
}
