//! Which crate may use which: data flows one way, from sources to the API.
//!
//! Every crate has a place. Crates with a level use lower levels only, never their
//! neighbours, never up. A few crates stand aside with rules of their own:
//!
//! | place | may use | may be used by |
//! |---|---|---|
//! | simulator | kurs-core | the binary, the benchmarks, tests |
//! | test kit | level 0 | the benchmarks, tests |
//! | benchmarks | everything but the tasks | nobody |
//! | tasks | nothing | nobody |
//!
//! Tests (`[dev-dependencies]`) follow the same levels and may add the simulator and the test kit.

mod graph;

use std::fmt;

use anyhow::{Result, bail};

pub(crate) use graph::{Edge, Graph, Kind};

use crate::console;
use crate::workspace::Workspace;

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Level(u8),
    Simulator,
    TestKit,
    Benchmarks,
    Tasks,
}

/// The level of the binary, the only one that may compose everything.
const BINARY: u8 = 6;

/// The map of the workspace. A crate that is not here does not pass.
const PLACES: [(&str, Place); 26] = [
    ("kurs-core", Place::Level(0)),
    ("kurs-telemetry", Place::Level(0)),
    ("kurs-web", Place::Level(0)),
    ("kurs-auth", Place::Level(1)),
    ("kurs-book", Place::Level(1)),
    ("kurs-bus", Place::Level(1)),
    ("kurs-net", Place::Level(1)),
    ("kurs-store", Place::Level(1)),
    ("kurs-chart", Place::Level(2)),
    ("kurs-nats", Place::Level(2)),
    ("kurs-pricing", Place::Level(2)),
    ("kurs-rabbitmq", Place::Level(2)),
    ("kurs-redis", Place::Level(2)),
    ("kurs-sources", Place::Level(2)),
    ("kurs-reader", Place::Level(3)),
    ("kurs-writer", Place::Level(3)),
    ("kurs-alert", Place::Level(4)),
    ("kurs-stream", Place::Level(4)),
    ("kurs-api", Place::Level(5)),
    ("kurs-bot", Place::Level(5)),
    ("kurs-grpc", Place::Level(5)),
    ("kurs", Place::Level(BINARY)),
    ("kurs-sim", Place::Simulator),
    ("kurs-testkit", Place::TestKit),
    ("kurs-bench", Place::Benchmarks),
    ("xtask", Place::Tasks),
];

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
enum Mistake {
    NoPlace { name: String },
    Folder { name: String, folder: String },
    Edge { edge: Edge, rule: &'static str },
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlace { name } => {
                write!(
                    out,
                    "crate `{name}` has no level: give it one in xtask/src/layers.rs and in docs/ARCHITECTURE.md"
                )
            }
            Self::Folder { name, folder } => {
                write!(
                    out,
                    "crate `{name}` lives in crates/{folder}: folder and crate carry the same name"
                )
            }
            Self::Edge { edge, rule } => {
                write!(
                    out,
                    "`{}` uses `{}` ({}): {rule}",
                    edge.from, edge.to, edge.kind
                )
            }
        }
    }
}

/// The lane: fails with every broken rule of the workspace.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let graph = Graph::read(&workspace.metadata);
    let mistakes = check(&graph);
    for mistake in &mistakes {
        console::problem(&mistake.to_string());
    }
    if !mistakes.is_empty() {
        bail!("{} edges or crates break the layers", mistakes.len());
    }
    console::line(&format!(
        "{} crates, {} edges, all in order",
        graph.crates.len(),
        graph.edges.len()
    ));
    Ok(())
}

fn check(graph: &Graph) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (name, folder) in &graph.crates {
        if place(name).is_none() {
            mistakes.push(Mistake::NoPlace { name: name.clone() });
        }
        if let Some(folder) = folder.as_ref().filter(|folder| *folder != name) {
            mistakes.push(Mistake::Folder {
                name: name.clone(),
                folder: folder.clone(),
            });
        }
    }
    for edge in &graph.edges {
        // A crate without a place is reported once, above.
        let (Some(from), Some(to)) = (place(&edge.from), place(&edge.to)) else {
            continue;
        };
        if let Err(rule) = judge(from, to, edge) {
            mistakes.push(Mistake::Edge {
                edge: edge.clone(),
                rule,
            });
        }
    }
    mistakes
}

fn place(name: &str) -> Option<Place> {
    PLACES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, place)| *place)
}

/// Whether the edge is allowed; the error is the rule it breaks.
fn judge(from: Place, to: Place, edge: &Edge) -> Result<(), &'static str> {
    let in_tests = edge.kind == Kind::Development;
    match (from, to) {
        (Place::Tasks, _) => Err("the tasks must build when nothing else does"),
        (_, Place::Tasks) => Err("nobody uses the tasks"),
        (_, Place::Benchmarks) => Err("nobody uses the benchmarks"),
        (Place::Benchmarks, _) => Ok(()),
        (_, Place::TestKit) if in_tests => Ok(()),
        (_, Place::TestKit) => Err("the test kit is for [dev-dependencies] only"),
        (Place::TestKit, Place::Level(0)) => Ok(()),
        (Place::TestKit, _) => {
            Err("the test kit uses level 0 only, so that every crate can use it")
        }
        (Place::Simulator, Place::Level(_)) if edge.to == "kurs-core" => Ok(()),
        (Place::Simulator, _) => {
            Err("the simulator speaks the wire protocols by itself and uses kurs-core only")
        }
        (Place::Level(_), Place::Simulator) if in_tests => Ok(()),
        (Place::Level(BINARY), Place::Simulator) => Ok(()),
        (Place::Level(_), Place::Simulator) => {
            Err("the simulator is for the binary, the benchmarks and tests")
        }
        (Place::Level(upper), Place::Level(lower)) if lower < upper => Ok(()),
        // Its own tests may ask a crate for a feature of its own, such as a suite.
        (Place::Level(_), Place::Level(_)) if in_tests && edge.from == edge.to => Ok(()),
        (Place::Level(one), Place::Level(other)) if one == other => {
            Err("a crate never uses its neighbours")
        }
        (Place::Level(_), Place::Level(_)) => Err("a crate never uses a higher level"),
    }
}

#[cfg(test)]
mod tests;
