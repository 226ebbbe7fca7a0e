//! Colours.

use std::str::FromStr;

/// Light or dark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    /// Light on near black.
    Dark,
}

impl Theme {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    /// The word used in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Its colours.
    pub(crate) const fn colors(self) -> Colors {
        match self {
            Self::Light => Colors {
                page: "#ffffff",
                text: "#1b1f24",
                soft: "#57606a",
                line: "#e3e8ed",
                frame: "#c9d1d9",
                gap: "#f1f3f6",
                rise: "#0f7b6c",
                fall: "#b3261e",
                curve: "#0a58ca",
                warn: "#8a5300",
            },
            Self::Dark => Colors {
                page: "#0d1117",
                text: "#e6edf3",
                soft: "#9da7b1",
                line: "#20262d",
                frame: "#3d444d",
                gap: "#161b22",
                rise: "#3fb89f",
                fall: "#ff8f87",
                curve: "#79b8ff",
                warn: "#e3a94b",
            },
        }
    }
}

impl FromStr for Theme {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let named = Self::ALL.into_iter().find(|theme| theme.as_str() == text);
        named.ok_or(())
    }
}

/// What is drawn in which colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Colors {
    pub(crate) page: &'static str,
    pub(crate) text: &'static str,
    pub(crate) soft: &'static str,
    /// Lines of the grid.
    pub(crate) line: &'static str,
    /// The edge of the plot.
    pub(crate) frame: &'static str,
    /// Where candles are missing.
    pub(crate) gap: &'static str,
    pub(crate) rise: &'static str,
    pub(crate) fall: &'static str,
    pub(crate) curve: &'static str,
    pub(crate) warn: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_survive_their_words() {
        for theme in Theme::ALL {
            assert_eq!(theme.as_str().parse(), Ok(theme));
        }
        assert_eq!("blue".parse::<Theme>(), Err(()));
    }
}
