//! A replay over the API: the recorded rates at the recorded pace, under names that say so.

use super::Speed;
use super::files::Files;
use crate::compose::Prepared;
use crate::config::{Config, Role};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::server::{self, Signals};
use kurs_bus::{Bus, Command, Reply, Update};
use kurs_core::{Clock, ManualClock, Now, SourceId};
use kurs_telemetry::{Health, Status};
use kurs_writer::capture::replay::Audience;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

const BANNER: &str = "\
*** REPLAYED PRICES: every rate here is of the past. Sources are marked replay:... ***";

/// After the end of the capture its time goes on in steps of this.
const AFTERWARDS: Duration = Duration::from_millis(50);
/// Longest sleep before it is looked whether the end was asked for.
const LONGEST_SLEEP: Duration = Duration::from_millis(200);

pub(super) async fn run(
    prepared: Prepared,
    files: Files,
    speed: Speed,
    config: &Config,
    output: Output,
) -> Result<Exit, Failure> {
    let mut config = config.clone();
    // The rates come from the capture: no sources here.
    config.role = vec![Role::Reader];
    let mut signals = Signals::new()?;
    let listeners = server::bind(&config.http.addr, config.http.ops_addr).await?;
    let clock = Arc::new(ManualClock::new(Now::default()));
    let built = crate::compose::build_at(&config, false, Arc::clone(&clock) as Arc<dyn Clock>)?;
    let built = Arc::new(built);
    built.view.set_directions(prepared.directions.clone());
    let (stop, stopped) = watch::channel(false);
    let (end_api, api_ended) = watch::channel(false);
    let mut roles = JoinSet::new();
    roles.spawn(crate::compose::start_roles(
        Arc::clone(&built),
        config.clone(),
        stopped,
    ));
    let mut api = JoinSet::new();
    crate::output::complain(BANNER);
    roles.spawn(refuse(Arc::clone(&built.bus), prepared.sources.clone()));
    let names: Vec<String> = prepared.sources.iter().map(ToString::to_string).collect();
    tracing::info!(sources = names.join(", "), "replays");
    let (_, no_past) = watch::channel(true);
    server::serve(&mut api, &built, &config, listeners, no_past, &api_ended)?;

    let ended = Arc::new(AtomicBool::new(false));
    let mut pace = Pace {
        bus: Arc::clone(&built.bus),
        health: Arc::clone(&built.health),
        clock,
        speed,
        begun: None,
        ended: Arc::clone(&ended),
    };
    let view = Arc::clone(&built.view);
    let playing = tokio::task::spawn_blocking(move || {
        // Nothing is lost on whoever looks from the start.
        while !view.is_loaded() && !pace.ended.load(Ordering::Relaxed) {
            std::thread::sleep(crate::compose::START_CHECK);
        }
        pace.play(prepared, files, output)
    });
    let exit = signals.next().await;
    ended.store(true, Ordering::Relaxed);
    let told = playing
        .await
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    server::drain(&built, &config, &end_api, &stop, api, roles).await;
    told.map(|()| exit)
}

/// Answers in place of a Writer, of which there is none.
async fn refuse(bus: Arc<dyn Bus>, sources: Vec<SourceId>) {
    let Ok(mut requests) = bus.requests().await else {
        return;
    };
    while let Some(request) = requests.next().await {
        let reply = match request.command {
            Command::Book { source, .. } => no_book(&sources, source),
            Command::Track { .. } | Command::Untrack { .. } => Reply::Unavailable {
                why: "a replay follows what was recorded: nothing can be tracked".into(),
            },
            Command::Change { .. } => Reply::Unavailable {
                why: "a replay shows what was recorded: nothing can be set".into(),
            },
        };
        // Nobody may be waiting any more.
        let _ = request.reply.send(reply);
    }
}

fn no_book(sources: &[SourceId], asked: SourceId) -> Reply {
    let is_known = sources
        .iter()
        .any(|source| *source == asked || source.plain() == asked.as_str());
    Reply::NoBook {
        unknown_source: !is_known,
        why: match is_known {
            true => "a replay shows rates, and no order books".into(),
            false => format!("no source {asked} is in this replay").into(),
        },
    }
}

/// Publishes updates when their time has come.
struct Pace {
    bus: Arc<dyn Bus>,
    health: Arc<Health>,
    clock: Arc<ManualClock>,
    speed: Speed,
    /// Recorded and real time of the first line.
    begun: Option<(Now, Instant)>,
    ended: Arc<AtomicBool>,
}

impl Pace {
    fn play(
        &mut self,
        prepared: Prepared,
        mut files: Files,
        output: Output,
    ) -> Result<(), Failure> {
        self.health.set("replay", Status::Ok, "rates of the past");
        let mut replay = prepared.replay;
        files.feed(&mut replay, self, true)?;
        let outcomes = replay.finish(self);
        files.complain(&outcomes.tally, output);
        if self.ended.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (updates, hash) = (outcomes.tally.updates, outcomes.hash);
        tracing::warn!(updates, hash, "the capture has ended: its rates run out");
        self.health
            .set("replay", Status::Degraded, "the capture has ended");
        while !self.ended.load(Ordering::Relaxed) {
            std::thread::sleep(AFTERWARDS);
            self.clock.advance(AFTERWARDS);
        }
        Ok(())
    }

    /// Waits until a recorded moment is due. False when the end was asked for.
    fn wait(&mut self, now: Now) -> bool {
        let (first, since) = *self.begun.get_or_insert_with(|| (now, Instant::now()));
        if let Speed::Times(times) = self.speed {
            let due = now.mono.since(first.mono) / times;
            loop {
                let left = due.saturating_sub(since.elapsed());
                if left.is_zero() || self.ended.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(left.min(LONGEST_SLEEP));
            }
        }
        !self.ended.load(Ordering::Relaxed)
    }
}

impl Audience for Pace {
    fn time(&mut self, now: Now) -> bool {
        let goes_on = self.wait(now);
        let shown = self.clock.now();
        self.clock.advance(now.mono.since(shown.mono));
        self.clock.set_wall(now.wall);
        goes_on
    }

    fn update(&mut self, _: Now, update: Update) {
        if let Err(error) = self.bus.publish(Arc::new(update)) {
            tracing::warn!(%error, "an update could not be published");
        }
    }
}
