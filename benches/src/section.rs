//! What one benchmark found.

use crate::machine::Machine;
use crate::statistics::Spread;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Names of the benchmarks in the order of the page.
pub(crate) const ORDER: [&str; 11] = [
    "http",
    "steady",
    "pipeline",
    "latency",
    "footprint",
    "books",
    "venues",
    "flood",
    "store",
    "brokers",
    "streams",
];

/// One benchmark's results.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Section {
    /// One of [`ORDER`].
    pub(crate) name: String,
    pub(crate) title: String,
    /// Whether the rounds were short.
    pub(crate) quick: bool,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// How it was measured, one sentence or more per paragraph.
    pub(crate) method: Vec<String>,
    /// Figures that have a goal first.
    pub(crate) figures: Vec<Figure>,
    pub(crate) tables: Vec<Table>,
    /// Where the time goes, and what else must be known.
    pub(crate) notes: Vec<String>,
    pub(crate) charts: Vec<Chart>,
}

/// One measured quantity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) samples: usize,
    pub(crate) goal: Option<Goal>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// A table with its first column naming the rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A picture of bars.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Chart {
    /// File name without folder.
    pub(crate) file: String,
    pub(crate) title: String,
    pub(crate) unit: String,
    /// What grey bars are, if there are any.
    pub(crate) grey: Option<String>,
    pub(crate) bars: Vec<Bar>,
}

/// One bar.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Drawn in blue, else in grey.
    pub(crate) own: bool,
    /// Where the value should end.
    pub(crate) goal: Option<f64>,
}

impl Section {
    pub(crate) fn new(name: &str, title: &str, quick: bool) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            quick,
            machine: Machine::look(),
            method: Vec::new(),
            figures: Vec::new(),
            tables: Vec::new(),
            notes: Vec::new(),
            charts: Vec::new(),
        }
    }

    pub(crate) fn method(&mut self, text: impl Into<String>) {
        self.method.push(text.into());
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub(crate) fn figure(
        &mut self,
        name: impl Into<String>,
        unit: &str,
        spread: Spread,
        goal: Option<Goal>,
    ) {
        self.figures.push(Figure {
            name: name.into(),
            unit: unit.to_owned(),
            value: spread.median,
            low: spread.low,
            high: spread.high,
            samples: spread.samples,
            goal,
        });
    }

    /// A figure without a spread of its own.
    pub(crate) fn number(
        &mut self,
        name: impl Into<String>,
        unit: &str,
        value: f64,
        goal: Option<Goal>,
    ) {
        self.figure(
            name,
            unit,
            Spread {
                median: value,
                low: value,
                high: value,
                samples: 1,
            },
            goal,
        );
    }

    /// Keeps it as `<name>.json` in a folder that is made when needed.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(format!("{}.json", self.name));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, serde_json::to_vec_pretty(self)?))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// A kept one, if it is there.
    pub(crate) fn load(folder: &Path, name: &str) -> Result<Option<Self>> {
        let path = folder.join(format!("{name}.json"));
        if !path.exists() {
            return Ok(None);
        }
        let text =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let section = serde_json::from_slice(&text);
        section
            .map(Some)
            .with_context(|| format!("{} is no result", path.display()))
    }
}

impl Figure {
    /// `None` when there is no goal.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(match self.goal? {
            Goal::AtMost(limit) => self.value <= limit,
            Goal::AtLeast(limit) => self.value >= limit,
        })
    }
}

impl Bar {
    pub(crate) fn new(
        label: impl Into<String>,
        spread: Spread,
        own: bool,
        goal: Option<f64>,
    ) -> Self {
        let Spread {
            median, low, high, ..
        } = spread;
        Self {
            label: label.into(),
            value: median,
            low,
            high,
            own,
            goal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_limit() {
        let figure = |value, goal| Figure {
            name: String::new(),
            unit: String::new(),
            value,
            low: value,
            high: value,
            samples: 1,
            goal,
        };
        assert_eq!(figure(2.0, Some(Goal::AtMost(2.0))).is_met(), Some(true));
        assert_eq!(figure(2.1, Some(Goal::AtMost(2.0))).is_met(), Some(false));
        assert_eq!(figure(1.9, Some(Goal::AtLeast(2.0))).is_met(), Some(false));
        assert_eq!(figure(1.9, None).is_met(), None);
    }
}
