//! [`Examination`]: what a look at a broker shows to whoever sets one up.

/// What one look at a broker shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examination {
    /// What is there, such as the broker's version; a few words each.
    pub found: Vec<String>,
    /// What is not as it should be.
    pub troubles: Vec<Trouble>,
}

/// Something about a broker that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it is, in one sentence without passwords.
    pub what: String,
    /// How to mend it.
    pub advice: &'static str,
    /// Nothing can travel over the broker like this.
    pub is_fatal: bool,
}

impl Examination {
    /// Something is there.
    pub fn found(&mut self, what: impl Into<String>) {
        self.found.push(what.into());
    }

    /// Nothing can travel over the broker because of this.
    pub fn problem(&mut self, what: impl Into<String>, advice: &'static str) {
        self.trouble(what.into(), advice, true);
    }

    /// It works, though not as it should.
    pub fn warning(&mut self, what: impl Into<String>, advice: &'static str) {
        self.trouble(what.into(), advice, false);
    }

    fn trouble(&mut self, what: String, advice: &'static str, is_fatal: bool) {
        self.troubles.push(Trouble {
            what,
            advice,
            is_fatal,
        });
    }

    /// The broker calls itself by this version; `least` is the first (major, minor) that has
    /// what kurs needs. One that cannot be read is only shown.
    pub fn version(&mut self, broker: &str, version: &str, least: (u32, u32)) {
        let mut parts = version.split(|c: char| !c.is_ascii_digit());
        let mut number = || parts.next()?.parse::<u32>().ok();
        if let (Some(major), Some(minor)) = (number(), number())
            && (major, minor) < least
        {
            let (major, minor) = least;
            self.problem(
                format!("{broker} {version}; kurs needs {major}.{minor} or later"),
                "use a later version of the server",
            );
        } else {
            self.found(format!("{broker} {version}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_too_old_is_a_problem_and_any_other_is_shown() {
        let examined = |version: &str| {
            let mut seen = Examination::default();
            seen.version("Redis", version, (7, 0));
            seen
        };
        for version in ["7.0.15", "7.2", "10.0.0-rc1", "?", ""] {
            let seen = examined(version);
            assert_eq!(seen.found, [format!("Redis {version}")]);
            assert!(seen.troubles.is_empty(), "{version}");
        }
        for version in ["6.2.7", "6.9"] {
            let seen = examined(version);
            assert!(
                seen.found.is_empty() && seen.troubles[0].is_fatal,
                "{version}"
            );
        }
    }
}
