//! `GET /api/v1/admin/audit`: who changed what, and when.

use crate::answer::Answer;
use crate::call::Call;
use crate::conditional::Caching;
use crate::problem::{Kind, Problem};
use crate::route::Work;
use crate::v1::history::{TURN, next_link};
use http::header::LINK;
use kurs_core::Wall;
use kurs_store::{AuditQuery, AuditRecord};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Least, most and default entries of a page.
pub(crate) const LIMITS: (u32, u32, u32) = (1, 1_000, 100);
/// What a cursor begins with.
const CURSOR_MARK: &str = "a_";

/// A page of the audit log.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditDocument {
    /// The entries, newest first.
    entries: Vec<AuditEntryDocument>,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One change that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditEntryDocument {
    /// Growing with every entry, with gaps.
    id: u64,
    /// When it was made.
    at: Wall,
    /// Who made it: `key:ID`, `token:ISSUER/SUBJECT`, `loopback` (from the server's own machine,
    /// while there was no key), `cli:USER` (`kurs keys` on the store) or `configuration`.
    who: Arc<str>,
    /// The address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Arc<str>>,
    /// What was done: `set_setting`, `unset_setting`, `track_symbol`, `untrack_symbol`,
    /// `create_key`, `rotate_key`, `revoke_key`, `create_alert`, `change_alert`, `remove_alert`,
    /// `test_alert`.
    action: Arc<str>,
    /// What it was done to: a setting by its key, a symbol, a key or an alert by its id.
    subject: Arc<str>,
    /// What was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// What is since.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
    /// What for, in the words of whoever did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Arc<str>>,
}

/// A value out of its text.
pub(super) fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

impl From<AuditRecord> for AuditEntryDocument {
    fn from(record: AuditRecord) -> Self {
        let entry = record.entry;
        Self {
            id: record.id,
            at: entry.at,
            who: entry.who,
            address: entry.address,
            action: entry.action,
            subject: entry.subject,
            before: entry.before.as_deref().map(value_of),
            after: entry.after.as_deref().map(value_of),
            why: entry.why,
        }
    }
}

/// `GET /api/v1/admin/audit`.
pub(crate) fn audit(call: Call) -> Work {
    Box::pin(async move {
        let arguments = &call.arguments;
        let limit: u32 = arguments.whole("limit").unwrap_or(LIMITS.2);
        let before = match arguments.text("cursor") {
            None => None,
            Some(text) => Some(
                cursor_of(text)
                    .ok_or_else(|| Problem::parameter("cursor", "is not a cursor of this route"))?,
            ),
        };
        let (start, end) = (arguments.time("start"), arguments.time("end"));
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            return Err(Problem::parameter("start", "must be before end"));
        }
        let query = AuditQuery {
            start,
            end,
            who: arguments.text("who").map(Arc::from),
            subject: arguments.text("subject").map(Arc::from),
            before,
            // One more tells whether there is a next page.
            limit: limit.saturating_add(1),
        };
        let turn = tokio::time::timeout(TURN, call.api.history_reads.acquire());
        let Ok(Ok(_turn)) = turn.await else {
            return Err(Problem::new(Kind::TooBusy, "too many logs are being read"));
        };
        let records = call.api.store.audit(query).await;
        let mut records = records.map_err(|error| super::settings::store_problem(&error))?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = records.len() > most;
        records.truncate(most);
        let next = records.last().filter(|_| has_more);
        let next = next.map(|last| format!("{CURSOR_MARK}{}", last.id));
        let document = AuditDocument {
            entries: records.into_iter().map(Into::into).collect(),
            next: next.clone(),
        };
        let answer = Answer::json(&document).cached(Caching::NoStore);
        Ok(match next {
            None => answer,
            Some(cursor) => answer.with_header(LINK, &next_link(&call.path, &cursor)),
        })
    })
}

fn cursor_of(text: &str) -> Option<u64> {
    text.strip_prefix(CURSOR_MARK)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_one_of_this_route() {
        assert_eq!(cursor_of("a_12"), Some(12));
        for wrong in ["12", "a_", "a_-1", "a_1_2", "p_1", "a_1x"] {
            assert_eq!(cursor_of(wrong), None, "{wrong}");
        }
        assert!(crate::pattern::Form::Cursor.accepts("a_18446744073709551615"));
    }
}
