//! `/openapi.json`, made from the table of routes.

mod plain;
mod webhooks;

use crate::answer::JSON;
use crate::auth;
use crate::parameter::{Parameter, Type};
use crate::pattern::Form;
use crate::problem::{Kind, PROBLEM_JSON, ProblemSchema};
use crate::route::{Route, Success};
use crate::stream::EVENT_STREAM;
use crate::v1::pictures::PNG;
use http::Method;
use kurs_auth::Scope;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Problems that any route may answer with.
const ALWAYS: [Kind; 5] = [
    Kind::InvalidParameter,
    Kind::MalformedRequest,
    Kind::UriTooLong,
    Kind::HeadTooLarge,
    Kind::Internal,
];

/// The document of these routes, OpenAPI 3.1.
pub(crate) fn document(routes: &[Arc<Route>], version: &str) -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    // What is sent has rules of its own: what has a default need not be there.
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut sent = settings.into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        for path in route.paths() {
            let operation = operation(route, path, &mut generator, &mut sent);
            let methods = paths.entry(path).or_default();
            methods.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    generator.subschema_for::<ProblemSchema>();
    let webhooks = webhooks::document(&mut generator);
    let mut schemas = sent.take_definitions(true);
    // Of a type that goes both ways the form in which it is told counts.
    schemas.extend(generator.take_definitions(true));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "kurs",
            "version": version,
            "description": "Exchange rates that can be trusted and explained. Prices are exact decimals, \
                written as strings. HEAD works wherever GET does; clients must ignore members they do not know.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `kurs keys create`, or a token (JWT) of a trusted issuer.",
                },
                "api_key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Api-Key",
                    "description": "A key of `kurs keys create`.",
                },
            },
            "headers": {
                "x-request-id": {
                    "description": "Id of the request: the client's own if it was of this form.",
                    "schema": {"type": "string", "pattern": "^[A-Za-z0-9-]{8,64}$"},
                },
                "api-supported-versions": {
                    "description": "Versions of the API that this server has.",
                    "schema": {"type": "string"},
                },
            },
        },
    });
    plain::plain(&mut document);
    document
}

fn operation(
    route: &Route,
    path: &str,
    generator: &mut SchemaGenerator,
    sent: &mut SchemaGenerator,
) -> Value {
    let alias = route.aliases.iter().position(|alias| *alias == path);
    let name = match alias {
        None => route.name.to_owned(),
        Some(place) => format!("{}Alias{}", route.name, place + 1),
    };
    let mut operation = json!({
        "operationId": name,
        "tags": [if alias.is_some() { "aliases" } else { route.tag }],
        "summary": route.summary,
        "parameters": route.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses(route, generator),
    });
    if !route.about.is_empty() {
        operation["description"] = json!(route.about);
    }
    if alias.is_some() {
        operation["deprecated"] = json!(true);
        operation["description"] = json!(format!("Answers as `{}` does.", route.path));
    }
    if let Some(scope) = route.scope {
        operation["x-scope"] = json!(scope.as_str());
        // Whether it is needed is a setting; a wrong one is never accepted.
        operation["security"] = json!([{}, {"bearer": []}, {"api_key": []}]);
        let needs = match scope {
            Scope::Admin => format!(
                "Needs the scope `{scope}`; as long as there is no key, it may be asked from the server's own machine."
            ),
            _ => format!(
                "Needs the scope `{scope}`, which everybody has unless the server is set otherwise."
            ),
        };
        let about = operation["description"]
            .as_str()
            .map_or_else(|| needs.clone(), |about| format!("{about} {needs}"));
        operation["description"] = json!(about);
    }
    if let Some(schema) = route.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": schema(sent)}},
        });
    }
    operation
}

/// A parameter, with a value that can be tried where there is one that is good everywhere.
fn parameter(parameter: &Parameter) -> Value {
    let mut document = parameter.document();
    let form = match parameter.kind {
        Type::Text(form) | Type::Repeated(form) => form,
        Type::Flag | Type::Switch | Type::Whole { .. } => return document,
    };
    let example = match (form, parameter.name) {
        (Form::Asset, "base") => json!("BTC"),
        (Form::Asset, "quote") => json!("USDT"),
        (Form::Symbol | Form::Pair, _) => json!("BTC-USDT"),
        (Form::Source, _) => json!("binance"),
        (Form::Amount, _) => json!("2.5"),
        (Form::Interval, _) => json!("1m"),
        (Form::Theme, _) => json!("dark"),
        (Form::Pairs, _) | (Form::Listing, "pairs") => json!(["BTC-USD", "ETH-USD"]),
        _ => return document,
    };
    document["example"] = example;
    document
}

/// The schema of an answer that no type of ours describes.
fn unnamed(media: &str) -> Value {
    match media {
        JSON => json!({"type": "object"}),
        PNG => json!({"type": "string", "format": "binary", "contentMediaType": PNG}),
        EVENT_STREAM => json!({
            "description": "One event of the stream.",
            "type": "object",
            "properties": {
                "event": {
                    "type": "string",
                    "enum": ["hello", "snapshot", "rate", "source", "gap", "heartbeat", "bye", "error"],
                },
                "id": {
                    "description": "Where a later stream goes on, as `Last-Event-ID`.",
                    "type": "string",
                },
                "data": {"type": "string", "contentMediaType": JSON},
                "retry": {
                    "description": "Milliseconds to wait before coming back.",
                    "type": "integer",
                    "minimum": 0,
                },
            },
        }),
        _ => json!({"type": "string"}),
    }
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses = Map::new();
    for success in &route.successes {
        responses.insert(
            success.status.as_str().to_owned(),
            success_response(success, generator),
        );
    }
    let has_body = route
        .successes
        .iter()
        .any(|success| !success.forms.is_empty());
    if route.method == Method::GET && has_body {
        responses.insert(
            "304".to_owned(),
            json!({
                "description": "Unchanged since the `ETag` that was sent in `If-None-Match`.",
                "headers": headers(),
            }),
        );
    }
    let mut kinds: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    let asked = route.scope.map_or(&[][..], |_| &auth::PROBLEMS);
    let asked = asked.iter().copied();
    let negotiated = has_body.then_some(Kind::NotAcceptable);
    for kind in route
        .problems
        .iter()
        .copied()
        .chain(ALWAYS)
        .chain(negotiated)
        .chain(asked)
    {
        let of_status = kinds.entry(kind.status().as_u16()).or_default();
        if !of_status.contains(&kind) {
            of_status.push(kind);
        }
    }
    let schema =
        serde_json::to_value(generator.subschema_for::<ProblemSchema>()).unwrap_or_default();
    for (status, kinds) in kinds {
        let lines: Vec<String> = kinds
            .iter()
            .map(|kind| format!("`{}`: {}", kind.slug(), kind.about()))
            .collect();
        let mut response = json!({
            "description": lines.join("\n\n"),
            "headers": headers(),
            "content": {PROBLEM_JSON: {"schema": schema}},
        });
        if status == 401 {
            response["headers"]["www-authenticate"] = json!({
                "description": "What would be accepted (RFC 6750).",
                "schema": {"type": "string"},
            });
        }
        if status == 429 {
            for (name, about) in [
                (
                    "ratelimit-policy",
                    "The quota, such as `\"default\";q=600;w=60`: requests in so many seconds.",
                ),
                (
                    "ratelimit",
                    "What is left of it, and for how many seconds, such as `\"default\";r=0;t=1`.",
                ),
            ] {
                response["headers"][name] = json!({
                    "description": about,
                    "schema": {"type": "string"},
                });
            }
        }
        if matches!(status, 429 | 503) {
            response["headers"]["retry-after"] = json!({
                "description": "Seconds after which another attempt makes sense.",
                "schema": {"type": "integer", "minimum": 1},
            });
        }
        responses.insert(status.to_string(), response);
    }
    responses
}

fn headers() -> Value {
    json!({
        "x-request-id": {"$ref": "#/components/headers/x-request-id"},
        "api-supported-versions": {"$ref": "#/components/headers/api-supported-versions"},
    })
}

fn success_response(success: &Success, generator: &mut SchemaGenerator) -> Value {
    let mut response = json!({"description": success.about, "headers": headers()});
    if success.forms.is_empty() {
        return response;
    }
    let mut content = Map::new();
    for (media, schema) in &success.forms {
        let plain = media.split(';').next().unwrap_or(media);
        let schema = schema.map_or_else(|| unnamed(plain), |schema| json!(schema(generator)));
        content.insert(plain.to_owned(), json!({"schema": schema}));
    }
    response["content"] = Value::Object(content);
    response
}
