//! The Reader's picture of all rates.

mod intake;
mod sources;

use crate::derive::Derived;
use crate::document::RateDocument;
use crate::list::ListEntry;
use crate::rendered::Rendered;
use crate::slot::{Held, HeldPrice, Slot};
use crate::transit::Transit;
use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use kurs_bus::{SourceStatus, Update};
use kurs_core::{
    Asset, Clock, Epoch, Mono, Now, Pair, PairError, PairParser, RateState, SourceId,
    TrackedSymbol, UpdateId,
};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Derived answers kept ready; beyond it the cache starts anew.
const DERIVED_MAX: usize = 4_096;

/// What the view must know at start.
#[derive(Debug, Clone, Default)]
pub struct ViewConfig {
    /// The configured directions under the names they are asked for, such as `USDTTRC-RUB`.
    pub directions: Vec<Pair>,
}

/// Why there is no fresh rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// No source knows this asset.
    UnknownAsset(Asset),
    /// The assets are known, but no markets connect them.
    NoPath(Pair),
    /// No such source, or it gives nothing for this pair.
    UnknownSource(SourceId),
    /// The pair is followed, but no source has given a price yet.
    NoRateYet(Pair),
    /// The pair has a policy of its own, and by it there is no rate; why.
    NoRate(Pair, Arc<str>),
    /// The rate has run out; the last one known.
    Expired(Box<RateDocument>),
}

/// An answer: the document, and its finished body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The rate.
    pub document: Arc<RateDocument>,
    /// The rate as sent.
    pub rendered: Arc<Rendered>,
}

/// Derived answers by what was asked.
type DerivedCache = HashMap<(Pair, Option<SourceId>), Arc<Derived>>;

/// The picture of all rates: written by the follower of the bus, read by every request.
#[derive(Debug)]
pub struct RateView {
    pub(crate) clock: Arc<dyn Clock>,
    directions: ArcSwap<Vec<Pair>>,
    index: ArcSwap<HashMap<Pair, Arc<Slot>, RandomState>>,
    prices: RwLock<HashMap<(SourceId, Pair), Arc<HeldPrice>, RandomState>>,
    statuses: RwLock<BTreeMap<SourceId, (Epoch, SourceStatus)>>,
    tracked: ArcSwap<Vec<TrackedSymbol>>,
    parser: RwLock<PairParser>,
    pub(crate) derived: Mutex<DerivedCache>,
    pub(crate) lists: Mutex<HashMap<Asset, Arc<ListEntry>>>,
    pub(crate) graph: Mutex<Option<Arc<crate::derive::Snapshot>>>,
    /// Held while an update is put in, and while an answer is made of several rates: so they are
    /// those of one moment.
    pub(crate) moment: RwLock<()>,
    /// The greatest epoch of each shard that was heard of: nothing of a lower one is taken in.
    transits: Mutex<BTreeMap<u16, Transit>>,
    /// Last values whose age is not known before something is heard of their Writer.
    undated: Mutex<Vec<Arc<Update>>>,
    /// Grows with every update.
    pub(crate) revision: AtomicU64,
    /// Grows when a market appears, disappears or becomes usable again.
    pub(crate) topology: AtomicU64,
    loaded: AtomicBool,
}

impl RateView {
    /// An empty view.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, config: ViewConfig) -> Self {
        let assets = config
            .directions
            .iter()
            .flat_map(|pair| [pair.base, pair.quote]);
        let parser = PairParser::new(assets);
        Self {
            clock,
            directions: ArcSwap::from_pointee(config.directions),
            index: ArcSwap::default(),
            prices: RwLock::default(),
            statuses: RwLock::default(),
            tracked: ArcSwap::default(),
            parser: RwLock::new(parser),
            derived: Mutex::default(),
            lists: Mutex::default(),
            graph: Mutex::default(),
            moment: RwLock::new(()),
            transits: Mutex::default(),
            undated: Mutex::default(),
            revision: AtomicU64::new(0),
            topology: AtomicU64::new(0),
            loaded: AtomicBool::new(false),
        }
    }

    /// The present moment, by the view's clock.
    #[must_use]
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// The present moment on the monotonic clock.
    #[must_use]
    pub fn mono(&self) -> Mono {
        self.clock.mono()
    }

    /// The finished body of a published pair's rate, if it is fresh and the names are canonical
    /// and in upper case. `None` sends the caller to [`Self::rate`].
    #[must_use]
    pub fn hot(&self, base: &str, quote: &str) -> Option<Arc<Rendered>> {
        let pair = Pair::new(Asset::parse(base).ok()?, Asset::parse(quote).ok()?);
        self.hot_at(pair, self.mono())
    }

    /// The same for a parsed pair at a moment that the caller has read already.
    #[must_use]
    pub fn hot_at(&self, pair: Pair, now: Mono) -> Option<Arc<Rendered>> {
        self.index.load().get(&pair)?.hot(now)
    }

    /// The rate of a pair under the names it was asked for, served by one source only when
    /// `pin` says so.
    ///
    /// # Errors
    /// [`Missing`] says why there is no fresh one.
    pub fn rate(&self, asked: Pair, pin: Option<SourceId>) -> Result<Answer, Missing> {
        let now = self.clock.now();
        if let Some(told) = self.told(asked, pin, now) {
            return told;
        }
        let _moment = self.moment.read();
        self.derive(asked, pin, now)
    }

    /// The same for whoever holds [`Self::moment`] already.
    pub(crate) fn rate_within(
        &self,
        asked: Pair,
        pin: Option<SourceId>,
    ) -> Result<Answer, Missing> {
        let now = self.clock.now();
        self.told(asked, pin, now)
            .unwrap_or_else(|| self.derive(asked, pin, now))
    }

    /// What is published of a pair, if anything is: also that there is no rate.
    fn told(
        &self,
        asked: Pair,
        pin: Option<SourceId>,
        now: Now,
    ) -> Option<Result<Answer, Missing>> {
        let pair = asked.canonical();
        if pin.is_none()
            && let Some(slot) = self.slot(pair)
        {
            match slot.load() {
                Some(held) if held.is_usable(now.mono) => {
                    return Some(self.published(asked, pair, &held));
                }
                // It has run out by its own policy: a way around it would only hide that.
                Some(held) => return Some(Err(self.expired(asked, &held, now))),
                None => {}
            }
            if let Some(none) = slot.unpriced() {
                return Some(Err(Missing::NoRate(asked, Arc::clone(&none.why))));
            }
        }
        None
    }

    fn published(&self, asked: Pair, pair: Pair, held: &Arc<Held>) -> Result<Answer, Missing> {
        if asked == pair
            && let Some(slot) = self.slot(pair)
            && let Some(rendered) = slot.hot(self.clock.now().mono)
        {
            // Read again: the slot may have moved on since, and body and document must agree.
            if rendered.etag == format!("\"{}\"", held.id()).as_bytes()
                && let Some(document) = held.document(asked, self.clock.now().mono)
            {
                return Ok(Answer {
                    document: Arc::new(document),
                    rendered,
                });
            }
        }
        self.render_held(asked, held)
            .ok_or(Missing::NoRateYet(asked))
    }

    fn render_held(&self, asked: Pair, held: &Held) -> Option<Answer> {
        let document = held.document(asked, self.clock.now().mono)?;
        let etag = format!("\"{}:{}\"", asked, held.id());
        let rendered = Rendered::new(
            crate::rendered::json_of(&document),
            etag,
            held.valid_until,
            document.state,
        );
        Some(Answer {
            document: Arc::new(document),
            rendered: Arc::new(rendered),
        })
    }

    pub(crate) fn expired(&self, asked: Pair, held: &Held, now: Now) -> Missing {
        match held.document(asked, now.mono) {
            Some(document) => Missing::Expired(Box::new(document)),
            None => Missing::NoRateYet(asked),
        }
    }

    pub(crate) fn slot(&self, pair: Pair) -> Option<Arc<Slot>> {
        self.index.load().get(&pair).cloned()
    }

    pub(crate) fn held(&self, pair: Pair) -> Option<Arc<Held>> {
        self.slot(pair)?.load()
    }

    /// All slots.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        let mut slots: Vec<Arc<Slot>> = self.index.load().values().cloned().collect();
        slots.sort_unstable_by_key(|slot| slot.pair);
        slots
    }

    fn slot_or_new(&self, pair: Pair) -> Arc<Slot> {
        if let Some(slot) = self.slot(pair) {
            return slot;
        }
        self.parser.write().learn([pair.base, pair.quote]);
        self.index.rcu(|index| {
            let mut index = HashMap::clone(index);
            index
                .entry(pair)
                .or_insert_with(|| Arc::new(Slot::new(pair)));
            index
        });
        self.slot(pair).unwrap_or_else(|| Arc::new(Slot::new(pair)))
    }

    /// Makes the slots of many pairs at once: each change of the index copies it.
    pub(crate) fn make_slots(&self, pairs: impl Iterator<Item = Pair>) {
        let known = self.index.load_full();
        let new: HashSet<Pair> = pairs.filter(|pair| !known.contains_key(pair)).collect();
        if new.is_empty() {
            return;
        }
        self.parser
            .write()
            .learn(new.iter().flat_map(|pair| [pair.base, pair.quote]));
        self.index.rcu(|index| {
            let mut index = HashMap::clone(index);
            for pair in &new {
                index
                    .entry(*pair)
                    .or_insert_with(|| Arc::new(Slot::new(*pair)));
            }
            index
        });
    }

    /// True while last values wait for a word that tells how old they are.
    pub(crate) fn has_undated(&self) -> bool {
        !self.undated.lock().is_empty()
    }

    /// The tracked symbols.
    #[must_use]
    pub fn tracked(&self) -> Arc<Vec<TrackedSymbol>> {
        self.tracked.load_full()
    }

    /// The configured directions under the names they are asked for.
    #[must_use]
    pub fn directions(&self) -> Arc<Vec<Pair>> {
        self.directions.load_full()
    }

    /// Takes new directions over while running.
    pub fn set_directions(&self, directions: Vec<Pair>) {
        let assets = directions.iter().flat_map(|pair| [pair.base, pair.quote]);
        self.parser.write().learn(assets);
        self.directions.store(Arc::new(directions));
    }

    /// Published pairs, in order.
    #[must_use]
    pub fn pairs(&self) -> Vec<Pair> {
        let slots = self.slots();
        slots
            .iter()
            .filter(|slot| slot.load().is_some())
            .map(|slot| slot.pair)
            .collect()
    }

    /// True when the pair is published under this very name, or said to have no rate: it is not
    /// made of others.
    #[must_use]
    pub fn publishes(&self, pair: Pair) -> bool {
        let slot = self.slot(pair);
        slot.is_some_and(|slot| slot.load().is_some() || slot.unpriced().is_some())
    }

    /// Tells every published pair with the state of its rate now, without making documents.
    pub fn each_state(&self, mut tell: impl FnMut(Pair, RateState)) {
        let now = self.clock.mono();
        for slot in self.index.load().values() {
            if let Some(held) = slot.load() {
                tell(slot.pair, held.state_at(now));
            }
        }
    }

    /// Grows with every change; equal values mean that nothing changed in between.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Understands every accepted spelling of a pair.
    ///
    /// # Errors
    /// [`PairError`] says what is wrong with it.
    pub fn parse_pair(&self, text: &str) -> Result<Pair, PairError> {
        self.parser.read().parse(text)
    }

    pub(crate) fn is_known(&self, asset: Asset) -> bool {
        self.parser.read().knows(asset)
    }

    /// True when the pair is configured or tracked, so that a rate is to be expected.
    pub(crate) fn is_expected(&self, asked: Pair) -> bool {
        let pair = asked.canonical();
        self.directions
            .load()
            .iter()
            .any(|direction| direction.canonical() == pair)
            || self.tracked.load().iter().any(|symbol| symbol.pair == pair)
            || self.slot(pair).is_some()
    }

    /// Marks the first picture complete.
    pub fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }

    /// True once the first picture is complete.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Keeps a derived answer ready for the next request.
    pub(crate) fn keep_derived(&self, key: (Pair, Option<SourceId>), derived: Arc<Derived>) {
        let mut cache = self.derived.lock();
        if cache.len() >= DERIVED_MAX {
            cache.clear();
        }
        cache.insert(key, derived);
    }

    /// The greatest id held, for telling how far this Reader is.
    #[must_use]
    pub fn last_id(&self) -> Option<UpdateId> {
        self.slots()
            .iter()
            .filter_map(|slot| slot.load().map(|held| held.id()))
            .max()
    }
}

#[cfg(test)]
mod tests;
