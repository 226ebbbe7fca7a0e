//! What kurs sends to programs.

use kurs_alert::AlertMessage;
use schemars::SchemaGenerator;
use serde_json::{Value, json};

/// The member `webhooks` of the document.
pub(super) fn document(generator: &mut SchemaGenerator) -> Value {
    let message = generator.subschema_for::<AlertMessage>();
    let header = |name: &str, about: &str, pattern: &str| {
        json!({
            "name": name,
            "in": "header",
            "required": true,
            "description": about,
            "schema": {"type": "string", "pattern": pattern},
        })
    };
    json!({
        "alert": {
            "post": {
                "operationId": "alertFired",
                "tags": ["alerts"],
                "summary": "An alert fired",
                "description": "Sent to the URL of the alert until it answers with a status of 2xx, \
                    or 410 for never again, with growing pauses, at most for a day. `Retry-After` is \
                    honoured, redirects are not followed. The same delivery may come more than once, \
                    always with the same `Idempotency-Key`.",
                "parameters": [
                    header(
                        "Idempotency-Key",
                        "Id of the delivery: the same at every attempt.",
                        "^[a-z0-9-]{1,128}$",
                    ),
                    header(
                        "Kurs-Signature",
                        "When it was signed in seconds since 1970, and the HMAC-SHA256 of that, a point \
                            and the body, by the secret of the alert, in hexadecimal digits.",
                        "^t=[0-9]+,v1=[0-9a-f]{64}$",
                    ),
                ],
                "requestBody": {
                    "required": true,
                    "content": {"application/json": {"schema": message}},
                },
                "responses": {
                    "2XX": {"description": "It has arrived."},
                    "410": {"description": "It shall never be sent again."},
                    "default": {"description": "It is sent again later."},
                },
            },
        },
    })
}
