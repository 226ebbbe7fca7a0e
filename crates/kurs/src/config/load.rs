//! Puts the layers together: flags over settings over environment over `.env` over credentials over
//! the file over built-in defaults.

use super::Config;
use super::check::Checker;
use super::environment;
use super::file;
use super::mistake::{Mistake, Mistakes};
use super::origin::Origin;
use super::redact::carries_secret;
use super::schema::Schema;
use super::secrets::{self, Files};
use super::tree::Node;
use serde_json::Value;
use std::path::PathBuf;

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
    /// Settings that were made while kurs ran are not looked at.
    pub ignores_settings: bool,
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

/// All layers, read and checked one by one; settings are put in by [`Layers::merge`].
#[derive(Debug)]
pub struct Layers {
    pub(super) schema: Schema,
    pub(super) defaults: Node,
    /// Everything under the settings.
    pub(super) given: Node,
    /// Everything over them.
    pub(super) flags: Node,
    pub(super) file: Option<PathBuf>,
    pub(super) mistakes: Vec<Mistake>,
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
            ignores_settings: false,
        }
    }

    /// Puts the layers together and judges them.
    ///
    /// # Errors
    /// [`Mistakes`] with everything that is wrong, not only the first of it.
    pub fn load(&self) -> Result<Loaded, Mistakes> {
        self.read().merge(&[])
    }

    /// Reads all layers, whatever is wrong with them.
    #[must_use]
    pub fn read(&self) -> Layers {
        let schema = Schema::of::<Config>();
        let mut mistakes = Vec::new();
        let files = Files {
            folder: self.folder.clone(),
            credentials: self.credentials.clone(),
        };
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
        ];
        let mut flags = self.flag_layer(&schema, &mut mistakes);
        let mut check = |layer, from_text| {
            let mut checker = Checker {
                schema: &schema,
                files: &files,
                from_text,
                takes_files: true,
                mistakes: &mut mistakes,
            };
            checker.check(layer)
        };
        for (from_text, layer) in layers {
            if let Some(good) = check(layer, from_text) {
                given.overlay(good);
            }
        }
        flags = check(flags, true).unwrap_or_else(|| Node::table(Origin::Default));
        Layers {
            schema,
            defaults: default_tree(),
            given,
            flags,
            file,
            mistakes,
        }
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
