//! All of the bot.
//!
//! Whoever composes it makes a [`Bot`], gives [`Bot::courier`] to whatever delivers alerts, and
//! runs [`Bot::run`] beside it. Nothing is asked of Telegram while another process holds the
//! lease; with the lease the bot goes on from what the store says.

use crate::api::{BotApi, Call, HttpApi};
use crate::chats::Chats;
use crate::config::{Mode, TelegramConfig};
use crate::courier::TelegramCourier;
use crate::desk::Desk;
use crate::limiter::Limits;
use crate::pictures::Pictures;
use crate::polling::{self, KINDS, Poller};
use crate::sender::Sender;
use crate::webhook;
use kurs_alert::{AlertConfig, Courier, Seat};
use kurs_core::Clock;
use kurs_reader::RateView;
use kurs_store::Store;
use kurs_telemetry::metrics::TelegramMetrics;
use kurs_telemetry::{Health, Secret, Status};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Wait before an address that is taken is tried again.
const LISTEN_RETRY: Duration = Duration::from_secs(1);

/// What a bot needs.
#[derive(Clone)]
pub struct Means {
    /// Settings.
    pub config: TelegramConfig,
    /// The picture of all rates.
    pub view: Arc<RateView>,
    /// Chats, alerts, candles.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who draws charts.
    pub pictures: Arc<dyn Pictures>,
    /// How Telegram stands is told there.
    pub health: Arc<Health>,
    /// The lease of the role.
    pub seat: Seat,
    /// What is counted.
    pub metrics: TelegramMetrics,
    /// How many alerts there may be.
    pub alerts: AlertConfig,
    /// Seed of jitter and ids.
    pub seed: u64,
}

/// The bot.
#[derive(Debug)]
pub struct Bot {
    api: Arc<dyn BotApi>,
    sender: Arc<Sender>,
    desk: Arc<Desk>,
    courier: Arc<TelegramCourier>,
    config: TelegramConfig,
    health: Arc<Health>,
    seat: Seat,
    number: String,
    seed: u64,
}

/// Makes a bot and runs it until it is stopped, for those that need no courier.
///
/// # Errors
/// As [`Bot::new`].
pub async fn run(means: Means, stopped: watch::Receiver<bool>) -> Result<(), String> {
    if let Some(bot) = Bot::new(means)? {
        bot.run(stopped).await;
    }
    Ok(())
}

impl Bot {
    /// A bot that speaks HTTP; `None` without a token.
    ///
    /// # Errors
    /// A sentence without any secret when there can be no connection at all.
    pub fn new(means: Means) -> Result<Option<Self>, String> {
        let Some(token) = means.config.token.clone() else {
            return Ok(None);
        };
        let api = Arc::new(HttpApi::new(&means.config.api_url, token)?);
        Ok(Some(Self::over(api, means)))
    }

    /// A bot over any connection.
    #[must_use]
    pub fn over(api: Arc<dyn BotApi>, means: Means) -> Self {
        let Means {
            config,
            view,
            store,
            clock,
            pictures,
            health,
            seat,
            metrics,
            alerts,
            seed,
        } = means;
        let chats = Chats::new(store, Arc::clone(&clock), seat.clone(), alerts);
        let sender = Sender::new(
            Arc::clone(&api),
            Arc::clone(&clock),
            Limits::default(),
            metrics,
        );
        let courier = Arc::new(TelegramCourier::new(
            chats.clone(),
            Arc::clone(&sender),
            config.clone(),
        ));
        let desk = Desk::new(
            view,
            chats,
            Arc::clone(&sender),
            pictures,
            clock,
            config.clone(),
            seed,
        );
        Self {
            api,
            sender,
            desk: Arc::new(desk),
            courier,
            number: config.bot_number().unwrap_or("0").to_owned(),
            config,
            health,
            seat,
            seed,
        }
    }

    /// The way to chats, for whatever delivers alerts. It works while [`Self::run`] does.
    #[must_use]
    pub fn courier(&self) -> Arc<dyn Courier> {
        Arc::<TelegramCourier>::clone(&self.courier)
    }

    /// Who handles updates.
    #[must_use]
    pub fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.desk)
    }

    /// The way out.
    #[must_use]
    pub fn sender(&self) -> Arc<Sender> {
        Arc::clone(&self.sender)
    }

    /// Runs until it is stopped: no update is fetched any more then, and what is on its way is
    /// waited for.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        let mut seat = self.seat.clone();
        loop {
            self.health
                .set(polling::CHECK, Status::Ok, "another process talks");
            let taken = tokio::select! {
                fence = seat.taken() => fence,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            let Some(fence) = taken else {
                return;
            };
            let (halt, halted) = watch::channel(false);
            let taking = async {
                let mut stopped = stopped.clone();
                tokio::select! {
                    // It ends by itself with a wrong token only, and nothing comes any more.
                    () = async { self.take_updates().await; std::future::pending().await } => {}
                    () = seat.lost(fence) => {}
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                }
                halt.send_replace(true);
            };
            tokio::join!(self.sender.run(halted), taking);
            if *stopped.borrow() {
                return;
            }
        }
    }

    async fn take_updates(&self) {
        let mut poller = Poller {
            api: Arc::clone(&self.api),
            desk: Arc::clone(&self.desk),
            health: Arc::clone(&self.health),
            bot: self.number.clone(),
            random: fastrand::Rng::with_seed(self.seed),
        };
        match (self.config.mode, &self.config.webhook_secret) {
            (Mode::Webhook, Some(secret)) => {
                let listener = self.listen().await;
                let hook = self.hook(secret);
                // Telegram may send at once, and is listened to while it is still being greeted.
                tokio::join!(
                    webhook::serve(listener, Arc::clone(&self.desk), secret.clone()),
                    polling::introduce(&mut poller, Some(hook)),
                );
            }
            _ => polling::run(poller).await,
        }
    }

    fn hook(&self, secret: &Secret) -> Call {
        let params = json!({
            "url": self.config.webhook_url,
            "secret_token": secret.reveal(),
            "allowed_updates": KINDS,
        });
        Call::new("setWebhook", params)
    }

    async fn listen(&self) -> TcpListener {
        loop {
            match TcpListener::bind(self.config.webhook_addr).await {
                Ok(listener) => return listener,
                Err(error) => {
                    let detail = format!("telegram.webhook_addr: {error}");
                    self.health.set(polling::CHECK, Status::Degraded, &detail);
                    tracing::warn!(%error, "the webhook of Telegram cannot be listened for");
                    tokio::time::sleep(LISTEN_RETRY).await;
                }
            }
        }
    }
}
