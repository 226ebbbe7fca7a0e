//! Answers to commands and pings: `{"success":true,"ret_msg":"subscribe","req_id":"1",...}`.

use super::wire::{Topic, topic_named};
use crate::levels::shortened;
use crate::venue::codec::{Said, Symbols};

/// An answer without the number of its command.
const NO_COMMAND: u64 = 0;

/// What an answer says.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) operation: String,
    pub(super) is_success: Option<bool>,
    pub(super) message: String,
    pub(super) command: Option<u64>,
}

impl Answer {
    /// True when the frame was an answer at all.
    pub(super) fn is_there(&self) -> bool {
        !self.operation.is_empty() || self.is_success.is_some()
    }

    /// Says it. A refusal that names topics refuses those at once, and its command besides:
    /// whether the other topics of the command were subscribed is not known, so they are
    /// asked for again, one by one, and what is subscribed already counts as accepted.
    pub(super) fn say(&self, symbols: &dyn Symbols, said: &mut Vec<Said>) {
        let is_pong = self.operation == "pong" || self.message == "pong";
        if is_pong {
            return said.push(Said::Heartbeat);
        }
        let Some(is_success) = self.is_success else {
            return said.push(Said::Other);
        };
        let is_known = self.message.contains("already subscribed");
        if is_success || is_known {
            let accepted = |command| Said::Accepted {
                command: Some(command),
            };
            said.push(self.command.map_or(Said::Other, accepted));
            return;
        }
        if self.operation == "unsubscribe" {
            return said.push(Said::Other);
        }
        let why = shortened(&self.message);
        let is_topic = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
        for word in self.message.split(|letter| !is_topic(letter)) {
            if let Topic::Followed { symbol, channel } = topic_named(word, symbols) {
                let why = why.clone();
                said.push(Said::StreamRefused {
                    symbol,
                    channel,
                    why,
                });
            }
        }
        let command = Some(self.command.unwrap_or(NO_COMMAND));
        said.push(Said::Refused { command, why });
    }
}
