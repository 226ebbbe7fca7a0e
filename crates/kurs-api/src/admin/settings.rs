//! `/api/v1/admin/settings`: what is set while kurs runs.

use super::actor;
use super::audit::value_of;
use super::body::{HOLDS_A_KEY, Members, escaped, shows_a_key};
use crate::answer::Answer;
use crate::call::Call;
use crate::conditional::{Caching, expected_versions};
use crate::problem::{FieldError, Kind, Problem};
use crate::route::Work;
use crate::v1::currency::{ask_within, unfitting};
use kurs_bus::{ChangeMistake, Command, Reply};
use kurs_core::Wall;
use kurs_store::{StoreError, StoredSetting};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the Writer may take: it asks its store, twice.
const PATIENCE: Duration = Duration::from_secs(7);
/// How long an answer waits until this instance has taken over what it speaks of.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);
/// How often that is looked at meanwhile.
const TAKEN_POLL: Duration = Duration::from_millis(5);
/// Most keys of one change.
const KEYS_MAX: usize = 500;

/// What is set.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SettingsDocument {
    /// The version of the settings: it grows with every change. The `ETag` begins with it.
    version: u64,
    /// Everything that is set, by key.
    settings: Vec<SettingDocument>,
    /// What may be set: keys, with `*` for one part of any name.
    may_be_set: Vec<&'static str>,
}

/// One setting.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SettingDocument {
    /// The key of the configuration.
    key: Arc<str>,
    /// The value.
    value: Value,
    /// When it was set.
    set_at: Wall,
    /// By whom, as in the audit log.
    who: Arc<str>,
    /// What for.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Arc<str>>,
    /// True when this instance acts by it.
    is_in_force: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// What the configuration of this instance says without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    configured: Option<ConfiguredDocument>,
}

/// A value of the configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ConfiguredDocument {
    /// The value.
    value: Value,
    /// Where it is said: a line of a file, a variable, or `default`.
    origin: String,
}

/// What became of a change.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChangeDocument {
    /// The version of the settings since.
    version: u64,
    /// False when everything was set so before: then nothing was changed, nor noted.
    changed: bool,
    /// True when this instance acts by it already; others follow within a second.
    taken_over: bool,
}

/// A value for a key.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body in openapi.json; it is read member by member"
)]
pub(crate) struct SetRequest {
    /// The value, of the type that the configuration has for the key.
    #[schemars(example = false, extend("not" = {"type": "null"}))]
    value: Value,
    /// What for, for the audit log.
    #[schemars(length(max = 1_000), example = "quotes lag since noon")]
    why: Option<String>,
}

/// Values for several keys.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body in openapi.json; it is read member by member"
)]
pub(crate) struct PatchRequest {
    /// Values by key; `null` takes what is set away.
    #[schemars(example = example(), extend("minProperties" = 1, "maxProperties" = KEYS_MAX))]
    set: BTreeMap<String, Value>,
    /// What for, for the audit log.
    #[schemars(length(max = 1_000))]
    why: Option<String>,
}

fn example() -> Value {
    serde_json::json!({"sources.binance.enabled": false, "sources.kraken.priority": null})
}

/// `GET /api/v1/admin/settings`.
pub(crate) fn list(call: Call) -> Work {
    Box::pin(async move {
        let stored = call.api.store.settings().await;
        let stored = stored.map_err(|error| store_problem(&error))?;
        let known = call.api.settings.as_deref();
        let is_known = known.and_then(|known| known.version()) == Some(stored.version);
        let mut standings = known.map(|known| known.standings()).unwrap_or_default();
        let settings = stored.settings.into_iter().map(|setting| {
            let standing = standings.remove(&setting.key);
            document(setting, standing, is_known)
        });
        let document = SettingsDocument {
            version: stored.version,
            settings: settings.collect(),
            may_be_set: known.map_or_else(Vec::new, |known| known.may_be_set().to_vec()),
        };
        Ok(Answer::json(&document)
            .of_version(stored.version)
            .cached(Caching::NoStore))
    })
}

fn document(
    setting: StoredSetting,
    standing: Option<super::SettingStanding>,
    is_known: bool,
) -> SettingDocument {
    let why_not = match &standing {
        Some(standing) if is_known => standing.why_not.clone(),
        _ => Some("this instance has not taken it over yet".to_owned()),
    };
    let configured = standing.and_then(|standing| standing.configured);
    SettingDocument {
        key: setting.key,
        value: value_of(&setting.value),
        set_at: setting.set_at,
        who: setting.who,
        why: setting.why,
        is_in_force: why_not.is_none(),
        why_not,
        configured: configured.map(|(value, origin)| ConfiguredDocument { value, origin }),
    }
}

/// `PUT /api/v1/admin/settings/{key}`.
pub(crate) fn set(call: Call) -> Work {
    Box::pin(async move {
        let mut body = Members::of(call.body.as_ref(), &["value", "why"])?;
        let why = body.why();
        let value = match body.take("value") {
            None => body.mistake("/value", "is required"),
            Some(Value::Null) => body.mistake("/value", "must not be null: DELETE takes it away"),
            Some(value) => Some(value),
        };
        body.finish()?;
        let key = call.arguments.text("key").unwrap_or("").to_owned();
        let changes = BTreeMap::from([(key, value)]);
        change(&call, changes, why, |_| "/value".to_owned()).await
    })
}

/// `DELETE /api/v1/admin/settings/{key}`.
pub(crate) fn unset(call: Call) -> Work {
    Box::pin(async move {
        let key = call.arguments.text("key").unwrap_or("").to_owned();
        let why = call.arguments.text("why").map(str::to_owned);
        if why.as_deref().is_some_and(shows_a_key) {
            return Err(Problem::parameter("why", HOLDS_A_KEY));
        }
        change(&call, BTreeMap::from([(key, None)]), why, |_| String::new()).await
    })
}

/// `PATCH /api/v1/admin/settings`.
pub(crate) fn patch(call: Call) -> Work {
    Box::pin(async move {
        let mut body = Members::of(call.body.as_ref(), &["set", "why"])?;
        let why = body.why();
        let set = match body.take("set") {
            Some(Value::Object(set)) if set.is_empty() => body.mistake("/set", "is empty"),
            Some(Value::Object(set)) if set.len() > KEYS_MAX => {
                body.mistake("/set", format!("has more than {KEYS_MAX} keys"))
            }
            Some(Value::Object(set)) => Some(set),
            Some(_) => body.mistake("/set", "must be an object of keys with their values"),
            None => body.mistake("/set", "is required"),
        };
        body.finish()?;
        let set = set.unwrap_or_default().into_iter();
        let changes = set.map(|(key, value)| (key, Some(value).filter(|value| !value.is_null())));
        let place = |key: &str| format!("/set/{}", escaped(key));
        change(&call, changes.collect(), why, place).await
    })
}

/// Asks the Writer for a change. `place` says where in the body a key stands.
async fn change(
    call: &Call,
    changes: BTreeMap<String, Option<Value>>,
    why: Option<String>,
    place: impl Fn(&str) -> String,
) -> crate::answer::Outcome {
    let keys: Vec<String> = changes.keys().cloned().collect();
    let command = Command::Change {
        changes,
        expected: expected(call).await?,
        by: Box::new(actor(call, why.as_deref())),
    };
    match ask_within(call, command, PATIENCE).await? {
        Reply::Changed { version, changed } => {
            let document = ChangeDocument {
                version,
                changed,
                taken_over: taken_over(call, version).await,
            };
            Ok(Answer::json(&document))
        }
        Reply::Refused { mistakes } => {
            let mistakes = mistakes.iter().take(100);
            let errors = mistakes.map(|mistake| field_error(mistake, &keys, &place));
            let errors: Vec<FieldError> = errors.collect();
            Err(Problem::with_errors(Kind::InvalidSetting, errors))
        }
        Reply::Outdated { version } => Err(outdated(version)),
        Reply::Unavailable { why } => Err(Problem::new(Kind::WriterUnavailable, &*why)),
        _ => Err(unfitting()),
    }
}

fn outdated(version: u64) -> Problem {
    let detail = format!("another change came first: the settings have the version {version} now");
    Problem::new(Kind::PreconditionFailed, detail)
}

fn field_error(
    mistake: &ChangeMistake,
    keys: &[String],
    place: impl Fn(&str) -> String,
) -> FieldError {
    let key = &*mistake.key;
    let is_about = |asked: &&String| {
        key.len() >= asked.len()
            && key
                .get(..asked.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(asked))
    };
    // Of what was asked, or of what does not go with it any more.
    let pointer = keys.iter().find(is_about).map(|asked| place(asked));
    let detail = if key.is_empty() {
        mistake.what.to_string()
    } else {
        format!("{key}: {}", mistake.what)
    };
    FieldError {
        parameter: None,
        pointer: Some(pointer.unwrap_or_default()),
        detail,
    }
}

/// The version that the change is for, if it says so.
async fn expected(call: &Call) -> Result<Option<u64>, Problem> {
    let Some(named) = expected_versions(&call.headers) else {
        return Ok(None);
    };
    if let [only] = named.as_slice() {
        return Ok(Some(*only));
    }
    let version = call.api.store.settings_version().await;
    let version = version.map_err(|error| store_problem(&error))?;
    if named.contains(&version) {
        Ok(Some(version))
    } else {
        Err(outdated(version))
    }
}

/// Waits until this instance acts by the settings of a version, so that whoever got the answer
/// sees its effect here.
async fn taken_over(call: &Call, version: u64) -> bool {
    let Some(known) = call.api.settings.as_deref() else {
        return false;
    };
    let is_taken = || known.version().is_some_and(|known| known >= version);
    if known.version().is_none() {
        return false;
    }
    known.look();
    let wait = async {
        while !is_taken() {
            tokio::time::sleep(TAKEN_POLL).await;
        }
    };
    tokio::time::timeout(TAKEN_WITHIN, wait).await.is_ok()
}

pub(super) fn store_problem(error: &StoreError) -> Problem {
    tracing::warn!(%error, "the settings could not be read");
    Problem::new(
        Kind::StoreUnavailable,
        "settings and audit log cannot be read at present",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_pointed_at_where_its_key_was_written() {
        let keys = vec![
            "sources.Binance.priority".to_owned(),
            "policy.BTC-USD".to_owned(),
        ];
        let pointer = |key: &str| {
            let mistake = ChangeMistake {
                key: key.into(),
                what: "is wrong".into(),
            };
            let error = field_error(&mistake, &keys, |key| format!("/set/{}", escaped(key)));
            error.pointer.unwrap()
        };
        assert_eq!(
            pointer("sources.binance.priority"),
            "/set/sources.Binance.priority"
        );
        assert_eq!(pointer("policy.BTC-USD.rule"), "/set/policy.BTC-USD");
        assert_eq!(pointer("directions"), "");
    }
}
