//! `/api/v1/alerts`: what is watched, and who is told.
//!
//! All of it needs the scope `admin`: an alert makes this server send requests to a place of the
//! caller's choice.

mod body;

use crate::admin::actor;
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::conditional::{Caching, expected_versions};
use crate::problem::{FieldError, Kind, Problem};
use crate::route::Work;
pub(crate) use body::{AlertPatch, AlertRequest, TargetDocument};
use body::{Wanted, wanted, wish};
use http::StatusCode;
use http::header::LOCATION;
use kurs_alert::alert::id_of;
use kurs_alert::watcher::{current, outgoing};
use kurs_alert::webhook::sign;
use kurs_alert::{Alert, AlertMessage, AlertState, ConditionDocument, Target};
use kurs_auth::Entropy;
use kurs_core::Wall;
use kurs_store::{AlertAdded, AuditEntry, Delivery, NewAlert, StoreError, StoredAlert};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Least, most and default deliveries of an answer.
pub(crate) const LIMITS: (u32, u32, u32) = (1, 1_000, 100);
/// Longest `Idempotency-Key`, in bytes.
const REQUEST_MAX: usize = 255;

/// All alerts.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AlertsDocument {
    /// The alerts, oldest first.
    alerts: Vec<AlertDocument>,
}

/// An alert.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Alert")]
pub(crate) struct AlertDocument {
    /// Its id.
    id: Arc<str>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Arc<str>>,
    /// Who is told.
    target: TargetDocument,
    /// What is watched, and on what terms.
    condition: ConditionDocument,
    /// Nothing is looked at meanwhile.
    is_paused: bool,
    /// False after it has fired, until what it watches has come back.
    is_armed: bool,
    /// How often it has fired.
    fired: u64,
    /// When it fired last.
    #[serde(skip_serializing_if = "Option::is_none")]
    fired_at: Option<Wall>,
    /// When it was made.
    created_at: Wall,
    /// Who made it, as in the audit log; `telegram:CHAT` for one that was made in a chat.
    created_by: Arc<str>,
    /// Grows with every change; the `ETag` begins with it.
    revision: u64,
}

/// An alert that has just been made.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MadeAlert")]
pub(crate) struct MadeAlertDocument {
    #[serde(flatten)]
    alert: AlertDocument,
    /// What bodies for a webhook are signed with: told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Arc<str>>,
}

/// Deliveries of an alert.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeliveriesDocument {
    /// The deliveries, newest first.
    deliveries: Vec<DeliveryDocument>,
}

/// What was told, or is to be told.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub(crate) struct DeliveryDocument {
    /// Its id, which the target sees as `Idempotency-Key`.
    id: Arc<str>,
    /// When it came up.
    created_at: Wall,
    /// `pending`, `delivered`, `refused` by the target for good, or `gave_up`.
    state: Arc<str>,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Wall>,
    /// When it was done with.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_at: Option<Wall>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Arc<str>>,
    /// What is told.
    #[schemars(with = "AlertMessage")]
    message: Value,
}

/// `GET /api/v1/alerts`.
pub(crate) fn list(call: Call) -> Work {
    Box::pin(async move {
        let stored = call.api.store.talk().alerts().await;
        let stored = stored.map_err(|error| store_problem(&error))?;
        let alerts = stored.alerts.iter().map(document);
        let document = AlertsDocument {
            alerts: alerts.collect::<Result<_, _>>()?,
        };
        Ok(Answer::json(&document)
            .of_version(stored.version)
            .cached(Caching::NoStore))
    })
}

/// `GET /api/v1/alerts/{id}`.
pub(crate) fn get(call: Call) -> Work {
    Box::pin(async move { shown(&find(&call).await?) })
}

/// `POST /api/v1/alerts`.
pub(crate) fn add(call: Call) -> Work {
    Box::pin(async move {
        let Wanted {
            name,
            target,
            terms,
            is_paused,
        } = wanted(call.body.as_ref(), call.api.alerts.insecure_webhooks)?;
        let by = actor(&call, None);
        let request = request(&call, &by.who)?;
        let now = call.api.view.now().wall;
        let mut random = Random::default();
        let id = id_of(random.bytes());
        let secret = matches!(target, Target::Webhook { .. })
            .then(|| Arc::from(sign::secret(random.bytes())));
        random.check()?;
        let alert = Alert {
            name,
            is_paused,
            ..Alert::new(id, target, terms, by.who, now)
        };
        let stored = alert.store();
        let new = NewAlert {
            alert: stored.clone(),
            secret: secret.clone(),
            request,
            alerts_max: call.api.alerts.max,
            target_max: call.api.alerts.max_per_target,
        };
        let entry = AuditEntry {
            after: Some(noted(&stored)),
            ..entry(&call, "create_alert", &stored.id, now)
        };
        let talk = call.api.store.talk();
        let added = talk.add_alert(new, Some(entry)).await;
        match added.map_err(|error| store_problem(&error))? {
            AlertAdded::New => made(&stored, secret, StatusCode::CREATED),
            AlertAdded::Before(before) if is_same(&before, &stored) => {
                // Whoever repeats a request did not get its answer.
                let secret = talk.alert_secret(&before.id).await;
                let secret = secret.map_err(|error| store_problem(&error))?;
                made(&before, secret, StatusCode::OK)
            }
            AlertAdded::Before(_) => Err(Problem::new(
                Kind::InvalidAlert,
                "the Idempotency-Key came before with another alert",
            )),
            AlertAdded::TooMany => Err(Problem::new(
                Kind::TooManyAlerts,
                format!(
                    "there may be {} alerts, and {} of one target",
                    call.api.alerts.max, call.api.alerts.max_per_target
                ),
            )),
        }
    })
}

/// `PATCH /api/v1/alerts/{id}`.
pub(crate) fn change(call: Call) -> Work {
    Box::pin(async move {
        let wish = wish(call.body.as_ref(), call.api.alerts.insecure_webhooks)?;
        let before = find(&call).await?;
        if let Some(expected) = expected_versions(&call.headers)
            && !expected.contains(&before.revision)
        {
            return Err(outdated(before.revision));
        }
        let mut alert = read(&before)?;
        if let Some(name) = wish.name {
            alert.name = name;
        }
        if let Some(target) = wish.target {
            if target.courier() != alert.target.courier() {
                let error = FieldError::pointer("/target/kind", "cannot be changed");
                return Err(Problem::with_errors(Kind::InvalidAlert, vec![error]));
            }
            alert.target = target;
        }
        if let Some(is_paused) = wish.is_paused {
            if alert.is_paused != is_paused {
                // What it remembers is of another time.
                alert.state = AlertState::default();
            }
            alert.is_paused = is_paused;
        }
        if let Some(terms) = wish.terms {
            alert.terms = terms;
            alert.state = AlertState::default();
        }
        let after = alert.store();
        let now = call.api.view.now().wall;
        let entry = AuditEntry {
            before: Some(noted(&before)),
            after: Some(noted(&after)),
            ..entry(&call, "change_alert", &after.id, now)
        };
        let talk = call.api.store.talk();
        let changed = talk.change_alert(after.clone(), Some(entry)).await;
        if !changed.map_err(|error| store_problem(&error))? {
            // It was changed or removed meanwhile.
            return Err(outdated(find(&call).await?.revision));
        }
        let changed = StoredAlert {
            revision: after.revision.saturating_add(1),
            ..after
        };
        shown(&changed)
    })
}

/// `DELETE /api/v1/alerts/{id}`.
pub(crate) fn remove(call: Call) -> Work {
    Box::pin(async move {
        let before = find(&call).await?;
        let now = call.api.view.now().wall;
        let entry = AuditEntry {
            before: Some(noted(&before)),
            ..entry(&call, "remove_alert", &before.id, now)
        };
        let removed = call.api.store.talk().remove_alert(&before.id, Some(entry));
        if removed.await.map_err(|error| store_problem(&error))? {
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        } else {
            Err(unknown(&before.id))
        }
    })
}

/// `GET /api/v1/alerts/{id}/deliveries`.
pub(crate) fn deliveries(call: Call) -> Work {
    Box::pin(async move {
        let alert = find(&call).await?;
        let limit: u32 = call.arguments.whole("limit").unwrap_or(LIMITS.2);
        let deliveries = call.api.store.talk().deliveries(&alert.id, limit).await;
        let deliveries = deliveries.map_err(|error| store_problem(&error))?;
        let document = DeliveriesDocument {
            deliveries: deliveries.iter().map(delivery).collect(),
        };
        Ok(Answer::json(&document).cached(Caching::NoStore))
    })
}

/// `POST /api/v1/alerts/{id}/test`.
pub(crate) fn test(call: Call) -> Work {
    Box::pin(async move {
        let stored = find(&call).await?;
        let alert = read(&stored)?;
        let mut random = Random::default();
        let suffix = id_of(random.bytes());
        random.check()?;
        let now = call.api.view.now().wall;
        let pair = alert.terms.condition.pair();
        let rate = pair.and_then(|pair| current(&call.api.view, pair));
        let id: Arc<str> = format!("{}-test-{suffix}", alert.id).into();
        let message = AlertMessage::test(Arc::clone(&id), &alert, rate.as_deref(), now);
        let told = outgoing(id, &alert, &message, now);
        let talk = call.api.store.talk();
        let added = talk.add_delivery(told.clone()).await;
        if !added.map_err(|error| store_problem(&error))? {
            return Err(unknown(&alert.id));
        }
        let noted = talk_note(&call, &stored.id, now).await;
        noted.map_err(|error| store_problem(&error))?;
        Ok(Answer::json(&delivery(&told)).with_status(StatusCode::ACCEPTED))
    })
}

async fn talk_note(call: &Call, id: &str, now: Wall) -> Result<(), StoreError> {
    let entry = entry(call, "test_alert", id, now);
    call.api.store.note_audit(entry).await
}

async fn find(call: &Call) -> Result<StoredAlert, Problem> {
    let id = call.arguments.text("id").unwrap_or("");
    let found = call.api.store.talk().alert(id).await;
    let found = found.map_err(|error| store_problem(&error))?;
    found.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Problem {
    let id = crate::problem::clean(id);
    Problem::new(Kind::UnknownAlert, format!("there is no alert {id}"))
}

fn outdated(revision: u64) -> Problem {
    let detail = format!("another change came first: the alert has the revision {revision} now");
    Problem::new(Kind::PreconditionFailed, detail)
}

fn store_problem(error: &StoreError) -> Problem {
    tracing::warn!(%error, "the store could not be asked about alerts");
    Problem::new(
        Kind::StoreUnavailable,
        "alerts cannot be read or written at present",
    )
}

fn read(stored: &StoredAlert) -> Result<Alert, Problem> {
    Alert::read(stored).map_err(|error| {
        tracing::error!(%error, "an alert cannot be understood");
        Problem::new(Kind::Internal, "the alert was written by another version")
    })
}

/// The same wish, whatever has become of it since.
fn is_same(before: &StoredAlert, wanted: &StoredAlert) -> bool {
    (&before.name, &before.target, &before.condition)
        == (&wanted.name, &wanted.target, &wanted.condition)
}

fn document(stored: &StoredAlert) -> Result<AlertDocument, Problem> {
    let alert = read(stored)?;
    Ok(AlertDocument {
        id: alert.id,
        name: alert.name,
        target: TargetDocument::of(&alert.target),
        condition: alert.terms.document(),
        is_paused: alert.is_paused,
        is_armed: alert.state.is_armed,
        fired: alert.fired,
        fired_at: alert.fired_at,
        created_at: alert.created_at,
        created_by: alert.created_by,
        revision: alert.revision,
    })
}

fn shown(stored: &StoredAlert) -> Outcome {
    Ok(Answer::json(&document(stored)?)
        .of_version(stored.revision)
        .cached(Caching::NoStore))
}

fn made(stored: &StoredAlert, secret: Option<Arc<str>>, status: StatusCode) -> Outcome {
    let document = MadeAlertDocument {
        alert: document(stored)?,
        secret,
    };
    let place = format!("/api/v1/alerts/{}", stored.id);
    Ok(Answer::json(&document)
        .cached(Caching::NoStore)
        .with_status(status)
        .with_header(LOCATION, &place))
}

fn delivery(delivery: &Delivery) -> DeliveryDocument {
    let standing = &delivery.standing;
    let is_done = standing.done_at.is_some();
    DeliveryDocument {
        id: Arc::clone(&delivery.id),
        created_at: delivery.created_at,
        state: standing.outcome.clone().unwrap_or_else(|| "pending".into()),
        attempts: standing.attempts,
        due_at: (!is_done).then_some(standing.due_at),
        done_at: standing.done_at,
        error: standing.error.clone(),
        message: serde_json::from_str(&delivery.body).unwrap_or_default(),
    }
}

/// An alert in the audit log: without its secret.
fn noted(alert: &StoredAlert) -> Arc<str> {
    let condition: Value = serde_json::from_str(&alert.condition).unwrap_or_default();
    let facts = serde_json::json!({
        "name": alert.name,
        "target": alert.target,
        "condition": condition,
        "is_paused": alert.is_paused,
    });
    facts.to_string().into()
}

fn entry(call: &Call, action: &str, id: &str, at: Wall) -> AuditEntry {
    let by = actor(call, None);
    AuditEntry {
        at,
        who: by.who,
        address: by.address,
        action: action.into(),
        subject: id.into(),
        before: None,
        after: None,
        why: None,
    }
}

/// What the request is known by when it is repeated.
fn request(call: &Call, who: &str) -> Result<Option<Arc<str>>, Problem> {
    let Some(key) = call.headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > REQUEST_MAX {
        let why = format!("has 1 to {REQUEST_MAX} visible characters");
        return Err(Problem::parameter("Idempotency-Key", why));
    }
    Ok(Some(format!("{who} {key}").into()))
}

/// Random bytes of the system.
#[derive(Default)]
struct Random(Entropy);

impl Random {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    fn check(&self) -> Result<(), Problem> {
        if self.0.is_good() {
            return Ok(());
        }
        let detail = "the system gives no random numbers";
        Err(Problem::new(Kind::Internal, detail))
    }
}
