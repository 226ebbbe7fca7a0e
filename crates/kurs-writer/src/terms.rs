//! Under which terms rates were made, so that a Writer with another configuration does not stand
//! behind what its predecessor published: a margin that was changed, a source that was switched
//! off.

use kurs_core::rate::PolicyKind;
use kurs_core::{Pair, Rate, SourceId};
use kurs_pricing::EngineConfig;
use kurs_store::{Fence, Store, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a rate depends on besides prices. Kept in the store beside the current rates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Fingerprint of each policy.
    policies: BTreeMap<Pair, String>,
    /// Fingerprint of each source: where its prices come from and how they are read.
    sources: BTreeMap<SourceId, String>,
    /// Pairs that are priced without a policy, over other markets if need be.
    directions: BTreeSet<Pair>,
}

/// The terms of the last Writer of each shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsByShard {
    shards: BTreeMap<u16, Terms>,
}

impl TermsByShard {
    /// What `save` wrote; a text without shards is of the first one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            shards: BTreeMap<u16, Terms>,
        }
        if let Ok(Written { shards }) = serde_json::from_str(text) {
            return Some(Self { shards });
        }
        let shards = BTreeMap::from([(0, Terms::parse(text)?)]);
        Some(Self { shards })
    }

    /// The terms of the last Writer of a shard.
    #[must_use]
    pub fn of(&self, shard: u16) -> Option<&Terms> {
        self.shards.get(&shard)
    }

    /// The stored ones; `None` when there are none or the store does not say. Where a take-over
    /// waits for it, it is not waited for longer than `patience`.
    pub(crate) async fn of_store(
        store: &dyn Store,
        patience: Duration,
        is_hot: bool,
    ) -> Option<Self> {
        let asked = store.terms();
        let answer = if is_hot {
            tokio::time::timeout(patience, asked).await.ok()?
        } else {
            asked.await
        };
        match answer {
            Ok(text) => text.as_deref().and_then(Self::parse),
            Err(error) => {
                tracing::warn!(%error, "cannot read the former terms");
                None
            }
        }
    }

    /// Writes the terms of one shard down beside those of the others.
    pub(crate) async fn save(
        store: &dyn Store,
        fence: Fence,
        terms: &Terms,
    ) -> Result<(), StoreError> {
        let stored = store.terms().await?;
        let mut all = stored.as_deref().and_then(Self::parse).unwrap_or_default();
        all.shards.insert(fence.shard, terms.clone());
        let text = serde_json::to_string(&all).unwrap_or_default();
        store.save_terms(text, Some(fence)).await
    }
}

impl Terms {
    /// The terms of a configuration. `sources` says for each source, in any form that is stable,
    /// where its prices come from.
    #[must_use]
    pub fn of(engine: &EngineConfig, sources: &BTreeMap<SourceId, String>) -> Self {
        let policies = engine.policies.iter().map(|(pair, policy)| {
            // Numbers, texts and lists of these: that they can be written is certain.
            let text = serde_json::to_string(policy).unwrap_or_default();
            (pair.canonical(), fingerprint(&text))
        });
        Self {
            policies: policies.collect(),
            sources: sources
                .iter()
                .map(|(source, text)| (*source, fingerprint(text)))
                .collect(),
            directions: engine
                .directions
                .iter()
                .map(|pair| pair.canonical())
                .collect(),
        }
    }

    /// As [`Store::save_terms`] takes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What [`Self::to_text`] wrote; nothing is known of anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// True when the pair has a policy of its own.
    #[must_use]
    pub fn has_policy(&self, pair: Pair) -> bool {
        self.policies.contains_key(&pair)
    }

    /// Pairs whose policy came, went or changed since `former`.
    #[must_use]
    pub fn changed_pairs(&self, former: &Self) -> BTreeSet<Pair> {
        let both = self.policies.keys().chain(former.policies.keys());
        both.filter(|pair| self.policies.get(pair) != former.policies.get(pair))
            .copied()
            .collect()
    }

    /// Why nobody stands behind a rate that was made under the terms `former` (`None`: unknown
    /// ones); `None` when it may go on being served.
    #[must_use]
    pub fn objection(&self, former: Option<&Self>, rate: &Rate) -> Option<&'static str> {
        let nothing = Self::default();
        let changed = self.changed_pairs(former.unwrap_or(&nothing));
        let legs = rate.legs();
        let is_changed = |pair: Pair| changed.contains(&pair) || changed.contains(&pair.inverse());
        if is_changed(rate.pair) || legs.iter().any(|leg| is_changed(leg.pair)) {
            return Some("its policy is another one now");
        }
        let has_policy = self.policies.contains_key(&rate.pair);
        if former.is_none() && rate.evidence.is_some() && !has_policy {
            return Some("it was made by a policy that is not there");
        }
        let was_direction = former.is_some_and(|former| former.directions.contains(&rate.pair));
        if !rate.is_direct() && was_direction && !self.directions.contains(&rate.pair) {
            return Some("it is no direction any more");
        }
        let told = rate.evidence.iter().flat_map(|told| &told.constituents);
        let used = told
            .filter(|constituent| constituent.used)
            .map(|constituent| constituent.source);
        for source in used.chain(legs.iter().map(|leg| leg.source)) {
            if is_policy(source) {
                continue;
            }
            let Some(now) = self.sources.get(&source) else {
                return Some("one of its sources is switched off");
            };
            let before = former.and_then(|former| former.sources.get(&source));
            if before.is_some_and(|before| before != now) {
                return Some("one of its sources is read in another way now");
            }
        }
        None
    }
}

/// True for the names of rates that are made of several sources.
fn is_policy(source: SourceId) -> bool {
    let kinds = [
        PolicyKind::Priority,
        PolicyKind::Median,
        PolicyKind::Merged,
        PolicyKind::Rule,
        PolicyKind::Fixed,
    ];
    kinds.iter().any(|kind| kind.as_str() == source.plain())
}

/// Equal texts have equal fingerprints; the text cannot be read from it.
fn fingerprint(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::rate::{Constituent, Evidence, FairMethod};
    use kurs_core::{Choice, Leg, Price, RateState, Wall};
    use kurs_pricing::WrittenPolicy;
    use std::sync::Arc;
    use std::time::Duration;

    fn pair(text: &str) -> Pair {
        Pair::parse(text).unwrap()
    }

    fn source(text: &str) -> SourceId {
        SourceId::parse(text).unwrap()
    }

    fn terms(policies: &[(&str, &str)], sources: &[(&str, &str)], directions: &[&str]) -> Terms {
        let directions = directions.iter().map(|text| pair(text)).collect();
        let mut engine = EngineConfig::new(Vec::new(), directions);
        for (market, policy) in policies {
            let written: WrittenPolicy = serde_json::from_str(policy).unwrap();
            engine.policies.insert(pair(market), written.0);
        }
        let sources = sources
            .iter()
            .map(|(name, origin)| (source(name), (*origin).to_owned()));
        Terms::of(&engine, &sources.collect())
    }

    fn rate(market: &str, by: &str, legs: &[(&str, &str)]) -> Rate {
        let (now, value) = (
            Wall::from_unix_seconds(1_800_000_000),
            Price::parse("2").unwrap(),
        );
        let legs: Vec<Leg> = legs
            .iter()
            .map(|(market, by)| Leg {
                pair: pair(market),
                source: source(by),
                value,
                inverted: false,
                observed_at: now,
                expires_at: now,
            })
            .collect();
        Rate {
            pair: pair(market),
            value,
            bid: None,
            ask: None,
            confidence: None,
            source: source(by),
            state: RateState::Fresh,
            legs: (!legs.is_empty()).then(|| legs.into()),
            observed_at: now,
            published_at: now,
            valid_for: Duration::from_secs(5),
            evidence: None,
            depeg: None,
            choice: Arc::new(Choice {
                source: source(by),
                since: now,
                reason: "first".into(),
                skipped: Vec::new(),
            }),
        }
    }

    /// The rate as made of these sources by a policy.
    fn made_of(mut rate: Rate, policy: PolicyKind, sources: &[&str]) -> Rate {
        let constituent = |name: &&str| Constituent {
            source: source(name),
            pair: rate.pair,
            path: Vec::new(),
            value: Some(rate.value),
            bid: None,
            ask: None,
            price: FairMethod::Mid,
            used: true,
            why: "".into(),
            observed_at: None,
            expires_at: None,
        };
        let constituents = sources.iter().map(constituent).collect();
        rate.evidence = Some(Arc::new(Evidence {
            policy,
            price: FairMethod::Mid,
            rule: None,
            evaluated: None,
            constituents,
            gate: None,
            spread_percent: None,
            fixed: None,
            notes: Vec::new(),
        }));
        rate
    }

    const MARGIN: &str = r#""cbr(USD-RUB) * 1.02""#;
    const OTHER_MARGIN: &str = r#""cbr(USD-RUB) * 1.03""#;
    const SOURCES: [(&str, &str); 2] = [("binance", "b"), ("cbr", "c")];

    #[test]
    fn unchanged_terms_stand_behind_everything_and_survive_the_store() {
        let now = terms(&[("USD-RUB", MARGIN)], &SOURCES, &["BTC-RUB"]);
        let former = Terms::parse(&now.to_text()).unwrap();
        assert_eq!(former, now);
        let rates = [
            rate("BTC-USDT", "binance", &[]),
            made_of(rate("USD-RUB", "rule", &[]), PolicyKind::Rule, &["cbr"]),
            rate(
                "BTC-RUB",
                "binance",
                &[("BTC-USDT", "binance"), ("USD-RUB", "rule")],
            ),
        ];
        for rate in rates {
            assert_eq!(now.objection(Some(&former), &rate), None, "{}", rate.pair);
        }
        assert_eq!(Terms::parse("nonsense"), None);
    }

    #[test]
    fn a_policy_that_came_went_or_changed_withdraws_its_pair_and_all_over_it() {
        let before = terms(&[("USD-RUB", MARGIN)], &SOURCES, &["BTC-RUB"]);
        let changed = terms(&[("USD-RUB", OTHER_MARGIN)], &SOURCES, &["BTC-RUB"]);
        let removed = terms(&[], &SOURCES, &["BTC-RUB"]);
        let own = made_of(rate("USD-RUB", "rule", &[]), PolicyKind::Rule, &["cbr"]);
        let over = rate(
            "BTC-RUB",
            "binance",
            &[("BTC-USDT", "binance"), ("USD-RUB", "rule")],
        );
        let inverse = rate("RUB-USD", "cbr", &[]);
        let other = rate("BTC-USDT", "binance", &[]);
        for (now, former) in [
            (&changed, &before),
            (&removed, &before),
            (&before, &removed),
        ] {
            for rate in [&own, &over, &inverse] {
                assert!(now.objection(Some(former), rate).is_some(), "{}", rate.pair);
            }
            assert_eq!(now.objection(Some(former), &other), None);
        }
        assert_eq!(
            changed.changed_pairs(&before),
            BTreeSet::from([pair("USD-RUB")])
        );
    }

    #[test]
    fn a_source_that_is_gone_or_read_elsewhere_withdraws_what_it_was_used_in() {
        let former = terms(&[("BTC-USDT", r#"{"kind": "median"}"#)], &SOURCES, &[]);
        let gone = terms(&[("BTC-USDT", r#"{"kind": "median"}"#)], &SOURCES[..1], &[]);
        let moved = [("binance", "b"), ("cbr", "elsewhere")];
        let moved = terms(&[("BTC-USDT", r#"{"kind": "median"}"#)], &moved, &[]);
        let official = rate("USD-RUB", "cbr", &[]);
        let median = made_of(
            rate("BTC-USDT", "median", &[]),
            PolicyKind::Median,
            &["binance", "cbr"],
        );
        for now in [&gone, &moved] {
            for rate in [&official, &median] {
                assert!(
                    now.objection(Some(&former), rate).is_some(),
                    "{}",
                    rate.pair
                );
            }
            assert_eq!(
                now.objection(Some(&former), &rate("BTC-USD", "binance", &[])),
                None
            );
        }
    }

    #[test]
    fn without_former_terms_only_a_plain_price_of_a_running_source_is_believed() {
        let now = terms(&[], &SOURCES, &["BTC-RUB"]);
        assert_eq!(now.objection(None, &rate("USD-RUB", "cbr", &[])), None);
        assert!(now.objection(None, &rate("USD-RUB", "bank", &[])).is_some());
        let fixed = made_of(rate("USD-RUB", "fixed", &[]), PolicyKind::Fixed, &[]);
        assert!(now.objection(None, &fixed).is_some());
    }

    #[test]
    fn a_pair_that_is_no_direction_any_more_is_withdrawn_and_a_tracked_one_is_not() {
        let former = terms(&[], &SOURCES, &["EUR-RUB"]);
        let now = terms(&[], &SOURCES, &[]);
        let legs = [("EUR-USD", "cbr"), ("USD-RUB", "cbr")];
        let objection = |market| now.objection(Some(&former), &rate(market, "cbr", &legs));
        assert!(objection("EUR-RUB").is_some());
        assert_eq!(objection("EUR-AMD"), None);
    }
}
