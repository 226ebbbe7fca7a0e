//! Puts the layers together: flags over environment over `.env` over credentials over the file
//! over built-in defaults.

use super::Config;
use super::check::{Checker, show};
use super::environment;
use super::file;
use super::mistake::{Mistake, Mistakes};
use super::origin::Origin;
use super::redact::carries_secret;
use super::schema::Schema;
use super::secrets::{self, Files};
use super::tree::{Content, Node, show_path};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Longest reason that is told of a value, in characters.
const LONGEST_REASON: usize = 400;

/// Everything a configuration is made from. Nothing else is looked at.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Values from flags.
    pub flags: Vec<FlagValue>,
    /// The process' environment.
    pub environment: Vec<(String, String)>,
    /// Where `.env` and `kurs.toml` are looked for.
    pub folder: PathBuf,
    /// The file of `--config`, which must exist.
    pub file: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
}

/// A value given by a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagValue {
    /// The flag as it is written, such as `--http-addr`.
    pub flag: String,
    /// The key it sets, dotted.
    pub key: String,
    /// The value as text.
    pub value: String,
}

/// A configuration in which nothing is wrong.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// All values with their origins, secrets included: only for [`super::print`].
    pub tree: Node,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

impl Inputs {
    /// What this process was given.
    #[must_use]
    pub fn from_process(flags: Vec<FlagValue>, file: Option<PathBuf>) -> Self {
        // Names and values that are no text belong to others.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            flags,
            environment,
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            file: file.or_else(|| std::env::var_os("KURS_CONFIG").map(PathBuf::from)),
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        }
    }

    /// Puts the layers together and judges them.
    ///
    /// # Errors
    /// [`Mistakes`] with everything that is wrong, not only the first of it.
    pub fn load(&self) -> Result<Loaded, Mistakes> {
        let schema = Schema::of::<Config>();
        let mut mistakes = Vec::new();
        let files = Files {
            folder: self.folder.clone(),
            credentials: self.credentials.clone(),
        };
        let defaults = default_tree();
        let mut merged = defaults.clone();
        let mut given = Node::table(Origin::Default);
        let (file_layer, file) = self.file_layer(&mut mistakes);
        let dot_env = environment::read_dot_env(&self.folder.join(".env"), &mut mistakes);
        let layers = [
            (false, file_layer),
            (
                false,
                secrets::credentials_layer(&schema, &files, &mut mistakes),
            ),
            (true, environment::layer(&schema, &dot_env, Origin::DotEnv)),
            (
                true,
                environment::layer(&schema, &self.environment, Origin::Environment),
            ),
            (true, self.flag_layer(&schema, &mut mistakes)),
        ];
        for (from_text, layer) in layers {
            let mut checker = Checker {
                schema: &schema,
                files: &files,
                from_text,
                mistakes: &mut mistakes,
            };
            if let Some(good) = checker.check(layer) {
                given.overlay(good);
            }
        }
        let mut judge = Judge {
            schema: &schema,
            defaults: &defaults,
            mistakes: &mut mistakes,
            wrong: Vec::new(),
        };
        for (path, node) in units(&schema, &given) {
            if let Some(good) = judge.sift(&path, node) {
                merged.insert_over(&path, good);
            }
        }
        let wrong = judge.wrong;
        match serde_json::from_value::<Config>(merged.to_json()) {
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
                        file,
                    });
                }
            }
            Err(error) => mistakes.push(Mistake::general(error.to_string())),
        }
        Err(Mistakes(mistakes))
    }

    fn file_layer(&self, mistakes: &mut Vec<Mistake>) -> (Node, Option<PathBuf>) {
        let path = match &self.file {
            Some(path) => self.folder.join(path),
            None => self.folder.join(file::FILE_NAME),
        };
        let shown = self
            .file
            .clone()
            .unwrap_or_else(|| PathBuf::from(file::FILE_NAME));
        match std::fs::read_to_string(&path) {
            Ok(text) => (file::layer(&text, &shown, mistakes), Some(path)),
            Err(error) => {
                let is_optional =
                    self.file.is_none() && error.kind() == std::io::ErrorKind::NotFound;
                if !is_optional {
                    let what = format!("{} cannot be read: {error}", shown.display());
                    mistakes.push(Mistake::general(what));
                }
                (Node::table(Origin::Default), None)
            }
        }
    }

    fn flag_layer(&self, schema: &Schema, mistakes: &mut Vec<Mistake>) -> Node {
        let mut layer = Node::table(Origin::Default);
        for flag in &self.flags {
            let path = split_key(&flag.key);
            let origin = Origin::Flag(flag.flag.clone());
            if schema.is_secret_path(&path) {
                // Other users of the machine can read a command line.
                let what = "a secret is never a flag; use the environment, or a file by \
                            the same key with _file";
                mistakes.push(Mistake::at(&path, &origin, what));
                continue;
            }
            if carries_secret(&flag.value) {
                let what = "an address with a password or a key is never a flag; use the environment or \
                            the configuration file";
                mistakes.push(Mistake::at(&path, &origin, what));
                continue;
            }
            layer.insert(&path, Node::leaf(origin, Value::String(flag.value.clone())));
        }
        layer
    }
}

/// `policy."BTC-USD".kind` as a path; quotes are optional, since no key holds a dot.
fn split_key(key: &str) -> Vec<String> {
    key.split('.')
        .map(|part| part.trim_matches('"').to_owned())
        .collect()
}

/// The built-in defaults as a tree.
#[must_use]
pub fn default_tree() -> Node {
    let value = serde_json::to_value(Config::default()).unwrap_or(Value::Null);
    Node::from_json(&Origin::Default, value)
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

fn first_origin(node: &Node) -> Origin {
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
