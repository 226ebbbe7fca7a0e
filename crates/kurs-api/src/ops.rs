//! Probes and metrics (conventions 24 to 31).

use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::exposition::{OPENMETRICS, to_prometheus};
use crate::problem::{Kind, Problem};
use kurs_telemetry::{Check, Status};
use schemars::JsonSchema;
use serde::Serialize;

/// The state of this instance.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthDocument {
    /// `degraded` instances still serve honestly.
    status: Status,
    /// What was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<Check>>,
}

/// `GET /livez`: that this is answered at all says everything.
pub(crate) fn live(_: &Call) -> Outcome {
    Ok(Answer::json(&HealthDocument {
        status: Status::Ok,
        checks: None,
    }))
}

/// `GET /readyz`.
pub(crate) fn ready(call: &Call) -> Outcome {
    readiness(call, call.arguments.flag("verbose"))
}

/// `GET /health`.
pub(crate) fn health(call: &Call) -> Outcome {
    readiness(call, true)
}

fn readiness(call: &Call, verbose: bool) -> Outcome {
    let (_, mut checks) = call.api.health.ready();
    if !call.api.view.is_loaded() {
        checks.push(Check {
            name: "rates".into(),
            status: Status::Failed,
            detail: "the first picture of all rates is not complete".into(),
        });
    }
    let status = checks
        .iter()
        .map(|check| check.status)
        .max()
        .unwrap_or(Status::Ok);
    if status == Status::Failed {
        let failed: Vec<&str> = checks
            .iter()
            .filter(|check| check.status == Status::Failed)
            .map(|check| &*check.name)
            .collect();
        let detail = format!("failed: {}", failed.join(", "));
        return Err(Problem::new(Kind::NotReady, detail).with_extra("checks", &checks));
    }
    Ok(Answer::json(&HealthDocument {
        status,
        checks: verbose.then_some(checks),
    }))
}

/// `GET /startupz`.
pub(crate) fn started(call: &Call) -> Outcome {
    if call.api.health.is_started() && call.api.view.is_loaded() {
        live(call)
    } else {
        Err(Problem::new(Kind::NotReady, "still starting"))
    }
}

/// `GET /metrics`.
pub(crate) fn metrics(call: &Call) -> Outcome {
    let text = (call.api.metrics_text)();
    let text = if call.media == OPENMETRICS {
        text
    } else {
        to_prometheus(&text)
    };
    Ok(Answer::text(text, call.media).varies_by_accept())
}
