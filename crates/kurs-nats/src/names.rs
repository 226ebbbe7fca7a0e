//! Names of streams and subjects under a prefix.

use kurs_bus::{Body, Update, wire};

/// What `wire::PREFIX` begins with, in place of which the configured prefix stands.
const KURS: &str = "kurs";
/// In place of a source: the withdrawal of a pair, which goes for all of them.
const MARK: &str = "_withdrawn";

#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
    /// The stream of all updates of the last minutes.
    pub(crate) flow: String,
    /// The stream of the last update of every subject.
    pub(crate) last: String,
    /// A stream that is made to see whether one can be made, and its subject.
    pub(crate) attempt: String,
    pub(crate) attempt_subject: String,
    /// Where commands are asked.
    pub(crate) command: String,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        let capitals = prefix.to_ascii_uppercase();
        Self {
            prefix: prefix.to_owned(),
            flow: format!("{capitals}_FLOW"),
            last: format!("{capitals}_LAST"),
            attempt: format!("{capitals}_ATTEMPT"),
            attempt_subject: format!("{prefix}.v{}.attempt", wire::VERSION),
            command: format!("{prefix}.v{}.command", wire::VERSION),
        }
    }

    pub(crate) fn subject(&self, update: &Update) -> String {
        let subject = wire::subject(update);
        if self.prefix == KURS {
            return subject;
        }
        let rest = subject.strip_prefix(KURS).unwrap_or(&subject);
        format!("{}{rest}", self.prefix)
    }

    /// Where a withdrawal is published a second time. Under the subject of the pair's rate a later
    /// rate replaces it, and then nothing would say that what the sources said before is void.
    pub(crate) fn mark(&self, update: &Update) -> Option<String> {
        let Body::Withdrawn(pair) = update.body else {
            return None;
        };
        let (prefix, version) = (&self.prefix, wire::VERSION);
        Some(format!(
            "{prefix}.v{version}.source.{MARK}.{}.{}",
            pair.base, pair.quote
        ))
    }

    /// True when a subject is that of [`Names::mark`].
    #[expect(clippy::unused_self, reason = "a name like the others")]
    pub(crate) fn is_mark(&self, subject: &str) -> bool {
        subject.split('.').nth(3) == Some(MARK)
    }

    /// The subjects of the flow: everything but commands.
    pub(crate) fn subjects(&self) -> Vec<String> {
        let kinds = ["rate.>", "source.>", "status.>", "tracked", "writer.>"];
        let root = format!("{}.v{}", self.prefix, wire::VERSION);
        kinds.map(|kind| format!("{root}.{kind}")).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_bus::conformance::{rate, update_of};

    #[test]
    fn another_prefix_shares_no_name() {
        let (kurs, other) = (Names::new("kurs"), Names::new("other"));
        let update = rate("BTC-USDT", 1);
        assert_eq!(kurs.subject(&update), "kurs.v1.rate.BTC.USDT");
        assert_eq!(other.subject(&update), "other.v1.rate.BTC.USDT");
        assert_eq!(kurs.flow, "KURS_FLOW");
        assert_eq!(other.last, "OTHER_LAST");
        assert!(other.subjects().contains(&"other.v1.tracked".to_owned()));
        let gone = update_of(1, 2, Body::Withdrawn("BTC-USDT".parse().unwrap()));
        let mark = other.mark(&gone).unwrap();
        assert_eq!(mark, "other.v1.source._withdrawn.BTC.USDT");
        assert!(other.is_mark(&mark) && !other.is_mark(&other.subject(&gone)));
        assert_eq!(kurs.mark(&update), None);
        assert_eq!(other.command, "other.v1.command");
    }
}
