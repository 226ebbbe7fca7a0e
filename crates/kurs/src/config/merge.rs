//! Lays the layers over each other, and judges what comes out.

use super::Config;
use super::check::{Checker, show};
use super::load::{Layers, Loaded};
use super::mistake::{Mistake, Mistakes};
use super::origin::Origin;
use super::schema::Schema;
use super::secrets::Files;
use super::stored::{self, Entry};
use super::tree::{Content, Node, show_path};
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest reason that is told of a value, in characters.
const LONGEST_REASON: usize = 400;

impl Layers {
    /// What a key may hold.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Puts the layers together, with these settings among them, and judges them.
    ///
    /// # Errors
    /// [`Mistakes`] with everything that is wrong, not only the first of it.
    pub fn merge(&self, settings: &[Entry]) -> Result<Loaded, Mistakes> {
        let Self {
            schema, defaults, ..
        } = self;
        let mut mistakes = self.mistakes.clone();
        let mut given = self.given.clone();
        if !settings.is_empty() {
            let mut checker = Checker {
                schema,
                files: &Files::default(),
                from_text: false,
                takes_files: false,
                mistakes: &mut mistakes,
            };
            let good = checker.check(stored::layer(settings));
            stored::make_room(&mut given, settings);
            if let Some(good) = good {
                given.overlay(good);
            }
        }
        given.overlay(self.flags.clone());
        let parts = units(schema, &given);
        let mut merged = defaults.clone();
        for (path, node) in &parts {
            merged.insert_over(path, node.clone());
        }
        let mut read = serde_json::from_value::<Config>(merged.to_json());
        let mut wrong = Vec::new();
        // What can be read as a whole need not be looked at part by part.
        if read.is_err() {
            let mut judge = Judge {
                schema,
                defaults,
                mistakes: &mut mistakes,
                wrong,
            };
            merged = defaults.clone();
            for (path, node) in parts {
                if let Some(good) = judge.sift(&path, node) {
                    merged.insert_over(&path, good);
                }
            }
            wrong = judge.wrong;
            read = serde_json::from_value(merged.to_json());
        }
        match read {
            Ok(config) => {
                let mut said = Vec::new();
                config.validate(&mut said);
                // A value that was left out is not missing; it was told already.
                let is_told = |text: &String| {
                    // Without its value a policy is of another kind than was meant.
                    let of_kind = text.contains(": belongs to the kind ");
                    wrong.iter().any(|key| {
                        let table = key.strip_suffix("value:").filter(|_| of_kind);
                        text.starts_with(key) || table.is_some_and(|table| text.starts_with(table))
                    })
                };
                said.retain(|text| !is_told(text));
                mistakes.extend(said.into_iter().map(|text| with_origin(&merged, text)));
                if mistakes.is_empty() {
                    return Ok(Loaded {
                        config,
                        tree: merged,
                        file: self.file.clone(),
                    });
                }
            }
            Err(error) => mistakes.push(Mistake::general(error.to_string())),
        }
        Err(Mistakes(mistakes))
    }
}

/// The parts that can be judged alone: a value, or everything under a key of free name.
fn units(schema: &Schema, given: &Node) -> Vec<(Vec<String>, Node)> {
    let mut units: Vec<(Vec<String>, Node)> = Vec::new();
    for (path, _, _) in given.leaves() {
        let depth = match schema.find(&path) {
            Some((_, Some(free_at))) => free_at + 1,
            _ => path.len(),
        };
        let unit = path.get(..depth).unwrap_or(&path).to_vec();
        if units.iter().any(|(known, _)| *known == unit) {
            continue;
        }
        if let Some(node) = given.get(&unit) {
            units.push((unit, node.clone()));
        }
    }
    units
}

pub(super) fn first_origin(node: &Node) -> Origin {
    node.leaves()
        .first()
        .map_or_else(|| node.origin.clone(), |(_, _, origin)| (*origin).clone())
}

/// The reason, and the value where the reason does not name it.
fn with_value(why: String, node: &Node) -> String {
    match &node.content {
        Content::Leaf(value @ Value::String(text)) if !why.contains(text.as_str()) => {
            format!("{why}, got {}", show(value))
        }
        _ => why,
    }
}

/// Holds the parts against their types.
struct Judge<'a> {
    schema: &'a Schema,
    defaults: &'a Node,
    mistakes: &'a mut Vec<Mistake>,
    /// Keys that were left out, each as a sentence of `validate` would begin.
    wrong: Vec<String>,
}

impl Judge<'_> {
    /// What of a part can be read. Of a table that cannot be read as a whole each key is judged
    /// alone, so that every mistake is told, with its own key and place.
    fn sift(&mut self, path: &[String], node: Node) -> Option<Node> {
        let Err(what) = try_alone(self.defaults, path, &node) else {
            return Some(node);
        };
        let told = self.mistakes.len();
        if self.schema.may_be_split(path)
            && let Content::Table(members) = &node.content
        {
            let mut kept = BTreeMap::new();
            for (key, member) in members {
                let path = [path, std::slice::from_ref(key)].concat();
                if let Some(good) = self.sift(&path, member.clone()) {
                    kept.insert(key.clone(), good);
                }
            }
            let kept = Node {
                origin: node.origin.clone(),
                content: Content::Table(kept),
            };
            if self.mistakes.len() > told {
                return try_alone(self.defaults, path, &kept).ok().map(|()| kept);
            }
        }
        let what = if self.schema.is_secret_path(path) {
            "is not of the form expected".to_owned()
        } else {
            with_value(shortened(what), &node)
        };
        self.mistakes
            .push(Mistake::at(path, &first_origin(&node), what));
        self.wrong.push(format!("{}:", show_path(path)));
        None
    }
}

/// A reason that may repeat a value, cut where it becomes too long to read.
fn shortened(why: String) -> String {
    match why.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}...", why.get(..end).unwrap_or_default()),
        None => why,
    }
}

/// Whether the defaults with this one part changed can be read.
fn try_alone(defaults: &Node, path: &[String], node: &Node) -> Result<(), String> {
    let mut tree = defaults.clone();
    tree.insert_over(path, node.clone());
    serde_json::from_value::<Config>(tree.to_json())
        .map(|_| ())
        .map_err(|error| error.to_string())
}

impl Node {
    /// Puts a node at a path, merged with what is there.
    fn insert_over(&mut self, path: &[String], node: Self) {
        let mut upper = Self::table(Origin::Default);
        upper.insert(path, node);
        self.overlay(upper);
    }
}

/// A sentence of `validate` begins with its key; where that value was said is added.
fn with_origin(tree: &Node, text: String) -> Mistake {
    let mut nearest: Option<(usize, Mistake)> = None;
    for (path, _, origin) in tree.leaves() {
        let shown = show_path(&path);
        let Some(rest) = text.strip_prefix(&shown) else {
            continue;
        };
        let is_longer = nearest
            .as_ref()
            .is_none_or(|(length, _)| shown.len() > *length);
        // `policy.BTC-RUB.rule: ...` where the policy is a text and no table.
        if is_longer && rest.starts_with([':', '[', ' ', '.']) {
            let (key, what) = text.split_once(": ").unwrap_or((&shown, &text));
            let mistake = Mistake {
                key: key.to_owned(),
                what: what.to_owned(),
                origin: Some(origin.clone()),
            };
            nearest = Some((shown.len(), mistake));
        }
    }
    match nearest {
        Some((_, mistake)) => mistake,
        None => with_table(tree, text),
    }
}

/// A sentence about a key that is not there, or a table: the first line of that table.
fn with_table(tree: &Node, text: String) -> Mistake {
    let Some((key, what)) = text.split_once(": ") else {
        return Mistake::general(text);
    };
    let lines = |table: &str| {
        let within = format!("{table}.");
        let origins = tree.leaves().into_iter().filter_map(|(path, _, origin)| {
            let is_within = show_path(&path).starts_with(&within);
            (is_within && *origin != Origin::Default).then_some(origin)
        });
        origins
            .min_by_key(|origin| match origin {
                Origin::File { line, .. } => *line,
                _ => usize::MAX,
            })
            .cloned()
    };
    let parent = key
        .rsplit_once('.')
        .map(|(parent, _)| parent)
        .filter(|parent| parent.contains('.'));
    match lines(key).or_else(|| lines(parent?)) {
        Some(origin) => Mistake {
            key: key.to_owned(),
            what: what.to_owned(),
            origin: Some(origin),
        },
        None => Mistake::general(text),
    }
}

impl Node {
    /// True for a table without values.
    #[must_use]
    pub fn is_empty_table(&self) -> bool {
        matches!(&self.content, Content::Table(members) if members.is_empty())
    }
}
