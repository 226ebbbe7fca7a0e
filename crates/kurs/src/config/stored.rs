//! The layer of what is set while kurs runs, and the one list of what may be set so.
//!
//! It lies over file and environment, or a call would have no effect; and under the flags: who
//! sits at the machine has the last word. A value is judged as that of any layer is, but one that
//! was good once and is not any more must not keep kurs from running: it is left out and told.

use super::check::match_key;
use super::load::{Layers, Loaded};
use super::merge::first_origin;
use super::mistake::{Mistake, Mistakes};
use super::origin::Origin;
use super::print::shown;
use super::schema::{Schema, Shape};
use super::tree::{Content, Node};
use kurs_store::StoredSetting;
use kurs_writer::Judged;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What may be set: never an address, a file, a key or a header, with which a caller could reach
/// further than the rates. A star stands for one part of any name. All of it can change while
/// kurs runs.
const MAY_BE_SET: [&str; 27] = [
    "directions",
    "policy.*",
    "limits.loopback",
    "limits.remembered",
    "limits.*.requests",
    "limits.*.window_seconds",
    "log.level",
    "sources.*.enabled",
    "sources.*.priority",
    "sources.*.max_age_ms",
    "sources.*.hold_ms",
    "sources.*.silence_ms",
    "sources.*.max_observed_age",
    "sources.*.anchor",
    "sources.*.period",
    "sources.*.grace",
    "sources.*.published_at",
    "sources.*.window_from",
    "sources.*.window_to",
    "sources.*.window_period",
    "sources.http.*.enabled",
    "sources.http.*.priority",
    "sources.http.*.max_age_ms",
    "sources.http.*.hold_ms",
    "sources.http.*.max_observed_age",
    "sources.http.*.anchor",
    "sources.http.*.period",
];

/// How often those that a mistake names are left out before each is tried alone.
const ROUNDS_MAX: usize = 16;
/// After so many that do not fit the rest is not tried: a start must not wait for it.
const FAILURES_MAX: usize = 16;

/// Said where something else is asked for.
const WHAT_MAY: &str = "directions, policy.PAIR, limits, log.level, and of a source whether it is \
    enabled, its priority, ages and times";

/// One setting, as a part of the layer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key as it is stored.
    pub key: Arc<str>,
    path: Vec<String>,
    value: Value,
}

/// How a stored setting stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Why it is not in force; `None`: it is.
    pub why_not: Option<String>,
    /// A flag has the last word, as whoever started kurs wanted.
    pub is_overruled: bool,
    /// What the configuration says without it, and where; `None`: nothing.
    pub configured: Option<(Value, String)>,
}

/// A configuration with the settings that fit into it.
#[derive(Debug)]
pub struct Layered {
    /// The configuration.
    pub loaded: Loaded,
    /// Each of the settings, by its key as it is stored.
    pub standings: BTreeMap<Arc<str>, Standing>,
}

impl Entry {
    /// A setting by a key as somebody wrote it.
    ///
    /// # Errors
    /// A sentence for people: this cannot be set.
    pub fn new(schema: &Schema, key: &str, value: Value) -> Result<Self, String> {
        let path = path_of(schema, key)?;
        Ok(Self {
            key: path.join(".").into(),
            path,
            value,
        })
    }

    fn stored(schema: &Schema, stored: &StoredSetting) -> Result<Self, String> {
        let value = serde_json::from_str(&stored.value)
            .map_err(|_| "the stored value cannot be read".to_owned())?;
        Ok(Self {
            key: Arc::clone(&stored.key),
            ..Self::new(schema, &stored.key, value)?
        })
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    fn node(&self) -> Node {
        Node::from_json(&Origin::Stored(Arc::clone(&self.key)), self.value.clone())
    }
}

/// The way to what may be set, in its one spelling.
///
/// # Errors
/// A sentence for people.
pub fn path_of(schema: &Schema, key: &str) -> Result<Vec<String>, String> {
    let mut path: Vec<String> = Vec::new();
    for part in key.split('.') {
        let known = schema.find(&path).map(|(node, _)| schema.shape(node));
        let properties = match known {
            Some(Shape::Table { properties, .. }) => properties,
            _ => None,
        };
        let part = match_key(part, properties, &path);
        path.push(part);
    }
    let Some((node, _)) = schema.find(&path) else {
        return Err(format!("there is no such key; what can be set: {WHAT_MAY}"));
    };
    let may = MAY_BE_SET.iter().any(|pattern| fits(pattern, &path));
    // Whatever the list says: a secret never travels this way.
    if !may || schema.is_secret_path(&path) {
        let is_table = matches!(schema.shape(node), Shape::Table { .. });
        let hint = if is_table {
            ", each key on its own"
        } else {
            ""
        };
        return Err(format!(
            "cannot be set while kurs runs, but in the configuration file; what can be set{hint}: \
             {WHAT_MAY}"
        ));
    }
    if let [section, pair] = path.as_slice()
        && section == "policy"
        && kurs_core::Pair::parse(pair).is_err()
    {
        return Err(format!("{pair:?} is no pair such as BTC-USD"));
    }
    Ok(path)
}

fn fits(pattern: &str, path: &[String]) -> bool {
    let parts: Vec<&str> = pattern.split('.').collect();
    parts.len() == path.len()
        && parts
            .iter()
            .zip(path)
            .all(|(part, key)| *part == "*" || part == key)
}

/// The layer that these settings make.
pub(super) fn layer(entries: &[Entry]) -> Node {
    let mut layer = Node::table(Origin::Default);
    for entry in entries {
        layer.insert(&entry.path, entry.node());
    }
    layer
}

/// What is set is set wholly: of a policy below it nothing is left.
pub(super) fn make_room(given: &mut Node, entries: &[Entry]) {
    for entry in entries {
        given.remove(&entry.path);
    }
}

impl Layers {
    /// The configuration with as many of these settings as fit into it.
    ///
    /// # Errors
    /// What is wrong without any of them.
    pub fn with_settings(&self, stored: &[StoredSetting]) -> Result<Layered, Mistakes> {
        let base = self.merge(&[])?;
        let (kept, mut reasons) = self.fitting(stored);
        let loaded = match self.merge(&kept) {
            Ok(loaded) if !kept.is_empty() => loaded,
            // They fitted a moment ago.
            _ => base.clone(),
        };
        let mut standings = BTreeMap::new();
        for setting in stored {
            let entry = kept.iter().find(|entry| entry.key == setting.key);
            let path = entry.map(|entry| entry.path.clone());
            let path = path.or_else(|| path_of(self.schema(), &setting.key).ok());
            let why_not = reasons.remove(&setting.key);
            let overruled = entry.and_then(|entry| overruled(&loaded.tree, &entry.path));
            let is_overruled = why_not.is_none() && overruled.is_some();
            let why_not = why_not.or(overruled);
            let configured = path.and_then(|path| {
                let node = base.tree.get(&path)?;
                let value = shown(self.schema(), &path, &node.to_json());
                Some((value, first_origin(node).to_string()))
            });
            let standing = Standing {
                why_not,
                is_overruled,
                configured,
            };
            standings.insert(Arc::clone(&setting.key), standing);
        }
        Ok(Layered { loaded, standings })
    }

    /// Those that fit, and why the others do not. The base must be free of mistakes.
    fn fitting(&self, stored: &[StoredSetting]) -> (Vec<Entry>, BTreeMap<Arc<str>, String>) {
        let mut reasons = BTreeMap::new();
        let mut kept = Vec::new();
        for setting in stored {
            match Entry::stored(self.schema(), setting) {
                Ok(entry) => kept.push(entry),
                Err(why) => {
                    reasons.insert(Arc::clone(&setting.key), why);
                }
            }
        }
        for _ in 0..ROUNDS_MAX {
            let Err(Mistakes(mistakes)) = self.merge(&kept) else {
                return (kept, reasons);
            };
            let before = kept.len();
            for mistake in &mistakes {
                if let Some(Origin::Stored(key)) = &mistake.origin {
                    kept.retain(|entry| entry.key != *key);
                    let why = reasons.entry(Arc::clone(key)).or_default();
                    add_reason(why, key, mistake);
                }
            }
            if kept.len() == before {
                break;
            }
        }
        (self.one_by_one(kept, &mut reasons), reasons)
    }

    /// Where no mistake names the setting that causes it: each that fits to those before it.
    fn one_by_one(
        &self,
        entries: Vec<Entry>,
        reasons: &mut BTreeMap<Arc<str>, String>,
    ) -> Vec<Entry> {
        let mut kept = Vec::new();
        let mut failures = 0;
        for entry in entries {
            let key = Arc::clone(&entry.key);
            if failures >= FAILURES_MAX {
                let why = "left out with others that do not fit, and not tried".to_owned();
                reasons.entry(key).or_insert(why);
                continue;
            }
            kept.push(entry);
            if let Err(Mistakes(mistakes)) = self.merge(&kept) {
                kept.pop();
                failures += 1;
                let why = reasons.entry(Arc::clone(&key)).or_default();
                for mistake in &mistakes {
                    add_reason(why, &key, mistake);
                }
            }
        }
        kept
    }

    /// Judges a change of settings, together with all others that are in force. Gives the keys in
    /// their one spelling, with their values, or without one where a key is not set any more.
    ///
    /// # Errors
    /// Everything that is wrong, by its key.
    pub fn judge(
        &self,
        stored: &[StoredSetting],
        changes: &BTreeMap<String, Option<Value>>,
    ) -> Result<Judged, Vec<(String, String)>> {
        let mut judged = Judged::new();
        let mut wrong = Vec::new();
        let mut entries = Vec::new();
        for (key, value) in changes {
            let value = value.clone().filter(|value| !value.is_null());
            let is_stored = stored.iter().any(|known| *known.key == **key);
            let known = match Entry::new(self.schema(), key, value.clone().unwrap_or_default()) {
                // What a former version or file allowed can still be taken back.
                Err(_) if value.is_none() && is_stored => Arc::from(key.as_str()),
                Err(why) => {
                    wrong.push((key.clone(), why));
                    continue;
                }
                Ok(entry) => {
                    let key = Arc::clone(&entry.key);
                    if value.is_some() {
                        entries.push(entry);
                    }
                    key
                }
            };
            if judged.insert(known, value).is_some() {
                wrong.push((key.clone(), "is given twice".to_owned()));
            }
        }
        if let Err(Mistakes(mistakes)) = self.merge(&[]) {
            // Whoever changes a setting did not do this, and cannot judge what follows from it.
            let all = mistakes.iter().map(|mistake| {
                let what = format!("the configuration is wrong without any change: {mistake}");
                (mistake.key.clone(), what)
            });
            wrong.extend(all);
            return Err(wrong);
        }
        let (mut kept, _) = self.fitting(stored);
        kept.retain(|entry| !judged.contains_key(&entry.key));
        kept.extend(entries);
        if let Err(Mistakes(mistakes)) = self.merge(&kept) {
            let told = mistakes
                .iter()
                .map(|mistake| (mistake.key.clone(), what_of(mistake)));
            wrong.extend(told);
        }
        if wrong.is_empty() {
            Ok(judged)
        } else {
            Err(wrong)
        }
    }
}

fn add_reason(why: &mut String, key: &str, mistake: &Mistake) {
    if !why.is_empty() {
        why.push_str("; ");
    }
    if !mistake.key.is_empty() && mistake.key != key {
        why.push_str(&mistake.key);
        why.push_str(": ");
    }
    why.push_str(&what_of(mistake));
}

/// What is wrong, and where that was said unless by the settings themselves.
fn what_of(mistake: &Mistake) -> String {
    match &mistake.origin {
        None | Some(Origin::Default | Origin::Stored(_)) => mistake.what.clone(),
        Some(origin) => format!("{} ({origin})", mistake.what),
    }
}

/// Says which flag has the last word over a setting.
fn overruled(tree: &Node, path: &[String]) -> Option<String> {
    let node = tree.get(path)?;
    node.leaves().into_iter().find_map(|(_, _, origin)| {
        matches!(origin, Origin::Flag(_)).then(|| format!("the {origin} is stronger"))
    })
}

impl Node {
    /// Takes a node out, if it is there.
    fn remove(&mut self, path: &[String]) {
        let Some((key, rest)) = path.split_first() else {
            return;
        };
        if let Content::Table(members) = &mut self.content {
            if rest.is_empty() {
                members.remove(key);
            } else if let Some(member) = members.get_mut(key) {
                member.remove(rest);
            }
        }
    }
}

/// The patterns of what may be set, for the documentation.
#[must_use]
pub const fn may_be_set() -> &'static [&'static str] {
    &MAY_BE_SET
}
