//! Environment variables and `.env` as layers: `KURS_HTTP__ADDR` is `http.addr`.

use super::mistake::Mistake;
use super::origin::Origin;
use super::schema::{Schema, Shape};
use super::tree::Node;
use serde_json::Value;
use std::path::Path;

/// What every variable of kurs begins with.
pub const PREFIX: &str = "KURS_";

/// Variables that are no keys of the configuration: they belong to the command line, to builds
/// and to tests.
const OF_OTHERS: [&str; 6] = [
    "KURS_API_KEY",
    "KURS_API_KEY_FILE",
    "KURS_CONFIG",
    "KURS_SERVER",
    "KURS_COMMIT",
    "KURS_FIXTURES",
];

/// Short names of single keys.
const ALIASES: [(&str, &str); 1] = [("KURS_OPS_ADDR", "KURS_HTTP__OPS_ADDR")];

/// Kubernetes and Docker put addresses of services into every container; a service called
/// `kurs` must not look like a wrong setting.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_port = |text: &str| {
        text.split_once("_PORT_")
            .is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || is_port(name)
        || (name.ends_with("_PORT") && value.contains("://"))
}

/// The layer of these variables.
pub(super) fn layer(
    schema: &Schema,
    variables: &[(String, String)],
    origin: fn(String) -> Origin,
) -> Node {
    let mut layer = Node::table(Origin::Default);
    for (name, value) in variables {
        let upper = name.to_ascii_uppercase();
        let upper = ALIASES
            .iter()
            .find(|(alias, _)| *alias == upper)
            .map_or(upper.as_str(), |(_, full)| full)
            .to_owned();
        let Some(rest) = upper.strip_prefix(PREFIX) else {
            continue;
        };
        if OF_OTHERS.contains(&upper.as_str()) || is_service_link(&upper, value) {
            continue;
        }
        let path = path_of(schema, rest);
        layer.insert(
            &path,
            Node::leaf(origin(name.clone()), Value::String(value.clone())),
        );
    }
    layer
}

/// The variable of a key: `KURS_HTTP__ADDR` for `http.addr`.
pub(super) fn variable_of(path: &[String]) -> String {
    format!(
        "{PREFIX}{}",
        path.join("__").replace('-', "_").to_ascii_uppercase()
    )
}

/// `SOURCES__BINANCE__WS_URL` as a path. Names of pairs keep their upper case.
fn path_of(schema: &Schema, name: &str) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    for part in name.split("__") {
        let under_free_name = match schema.find(&path).map(|(node, _)| schema.shape(node)) {
            Some(Shape::Table {
                properties,
                extra: Some(_),
            }) => properties
                .is_none_or(|known| !known.keys().any(|key| key.eq_ignore_ascii_case(part))),
            _ => false,
        };
        let is_pair = under_free_name && path.first().is_some_and(|section| section == "policy");
        path.push(if is_pair {
            part.replace('_', "-")
        } else {
            part.to_ascii_lowercase()
        });
    }
    path
}

/// The variables of a `.env` file that begin with `KURS_`.
pub(super) fn read_dot_env(path: &Path, mistakes: &mut Vec<Mistake>) -> Vec<(String, String)> {
    let Ok(items) = dotenvy::from_path_iter(path) else {
        return Vec::new();
    };
    let mut variables = Vec::new();
    for item in items {
        match item {
            Ok((name, value)) => {
                if name.to_ascii_uppercase().starts_with(PREFIX) {
                    variables.push((name, value));
                }
            }
            Err(error) => {
                // The message of a line that cannot be read holds the line, secrets included.
                let what = match error {
                    dotenvy::Error::Io(error) => format!(".env cannot be read: {error}"),
                    _ => ".env has a line that is not NAME=VALUE".to_owned(),
                };
                mistakes.push(Mistake::general(what));
                // After a broken line the rest would be guesswork.
                break;
            }
        }
    }
    variables
}
