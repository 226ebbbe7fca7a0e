//! Names of what is kept on the server.

/// All under one hash tag: a cluster keeps them in one slot, as the scripts need.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) flow: String,
    pub(crate) last: String,
    pub(crate) order: String,
    pub(crate) sources: String,
    pub(crate) commands: String,
    /// Written for a moment, to see whether that can be done.
    pub(crate) attempt: String,
    reply: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        let named = |name: &str| format!("{{{prefix}}}.v1.{name}");
        Self {
            flow: named("flow"),
            last: named("last"),
            order: named("order"),
            sources: named("sources"),
            commands: named("commands"),
            attempt: named("attempt"),
            reply: named("reply"),
        }
    }

    /// Where the answer to a command goes.
    pub(crate) fn reply(&self, id: &str) -> String {
        format!("{}.{id}", self.reply)
    }
}
