//! Answers judged by the document: the status is a declared one, the body is of its schema.

use super::plan::{Asked, Plan};
use crate::client::Reply;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The schemas of all answers, compiled.
pub(super) struct Judge {
    /// By operation, status and media type.
    schemas: HashMap<(usize, u16, String), Validator>,
    problem: Validator,
}

impl Judge {
    /// A member that the document does not name is a mistake here, though clients must bear it.
    pub(super) fn new(document: &Value, plan: &Plan) -> Self {
        let mut components = document["components"].clone();
        for schema in components["schemas"].as_object_mut().unwrap().values_mut() {
            if schema["properties"].is_object() && schema["additionalProperties"].is_null() {
                schema["additionalProperties"] = json!(false);
            }
        }
        let compile = |schema: &Value| {
            let mut whole = schema.clone();
            whole["components"] = components.clone();
            jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&whole)
                .unwrap_or_else(|error| panic!("{schema}: {error}"))
        };
        let mut schemas = HashMap::new();
        for (number, (_, _, operation)) in plan.operations.iter().enumerate() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let content = response["content"].as_object();
                for (media, content) in content.into_iter().flatten() {
                    let place = (number, status.parse().unwrap(), media.clone());
                    schemas.insert(place, compile(&content["schema"]));
                }
            }
        }
        let problem = compile(&json!({"$ref": "#/components/schemas/Problem"}));
        Self { schemas, problem }
    }

    pub(super) fn judge(&self, plan: &Plan, asked: &Asked, reply: &Reply) {
        if let Err(why) = self.is_right(plan, asked, reply) {
            panic!(
                "{why}: {}\n-> {} {:?}\n{}",
                asked.bytes,
                reply.status,
                reply.headers,
                String::from_utf8_lossy(&reply.body)
            );
        }
    }

    /// What is wrong with the answer, if anything is.
    pub(super) fn is_right(&self, plan: &Plan, asked: &Asked, reply: &Reply) -> Result<(), String> {
        let expect = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
        let status = reply.status;
        expect(status < 500 || status == 503, "a mistake of the server")?;
        expect(
            reply.header("api-supported-versions") == Some("1"),
            "no versions",
        )?;
        expect(reply.header("x-request-id").is_some(), "no id")?;
        if let Some(operation) = asked.operation {
            let declared = &plan.operations[operation].2["responses"][status.to_string()];
            expect(!declared.is_null(), "an undeclared status")?;
        }
        if asked.is_head || reply.is_stream() || reply.header("content-encoding").is_some() {
            return Ok(());
        }
        let media = reply.header("content-type").unwrap_or("");
        let media = media.split(';').next().unwrap_or("").to_owned();
        if status >= 400 {
            expect(media == "application/problem+json", "no problem document")?;
            let problem: Value =
                serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?;
            valid(&self.problem, &problem)?;
            expect(problem["status"] == status, "another status in the body")?;
            expect(
                problem["instance"].as_str() == reply.header("x-request-id"),
                "another id in the body",
            )?;
            let kind = problem["type"].as_str().unwrap_or("");
            return expect(kind.starts_with("/docs/problems#"), "an unknown type");
        }
        if reply.body.is_empty() {
            // Rows may be none.
            let may_be = media.is_empty() || media == "application/x-ndjson";
            return expect(may_be, "a type without a body");
        }
        let Some(operation) = asked.operation else {
            return Ok(());
        };
        let schema = self.schemas.get(&(operation, status, media.clone()));
        let schema = schema.ok_or_else(|| format!("{media:?} is not declared for {status}"))?;
        if media == "image/png" {
            let is_picture = reply.body.starts_with(b"\x89PNG\r\n\x1a\n");
            return expect(is_picture, "bytes that are no picture");
        }
        let text = std::str::from_utf8(&reply.body).map_err(|error| error.to_string())?;
        match &*media {
            "application/json" => valid(
                schema,
                &serde_json::from_str(text).map_err(|error| error.to_string())?,
            ),
            // One document a line.
            "application/x-ndjson" => text.lines().try_for_each(|line| {
                let row = serde_json::from_str(line).map_err(|error| error.to_string())?;
                valid(schema, &row)
            }),
            _ => valid(schema, &json!(text)),
        }
    }
}

fn valid(schema: &Validator, document: &Value) -> Result<(), String> {
    schema
        .validate(document)
        .map_err(|error| format!("off its schema at {}: {error}", error.instance_path()))
}

#[test]
fn a_body_off_its_schema_is_noticed() {
    let document = json!({
        "paths": {"/it": {"get": {"parameters": [], "responses": {"200": {"content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/It"}},
        }}}}}},
        "components": {"schemas": {
            "It": {"type": "object", "required": ["a"], "properties": {
                "a": {"type": "string", "pattern": "^x$"},
            }},
            "Problem": {"type": "object"},
        }},
    });
    let plan = Plan::new(&document, 1);
    let judge = Judge::new(&document, &plan);
    let asked = Asked {
        bytes: String::new(),
        is_head: false,
        operation: Some(0),
    };
    let answered = |status: u16, body: Value| {
        let headers = [
            ("api-supported-versions", "1"),
            ("x-request-id", "12345678"),
            ("content-type", "application/json"),
        ];
        let reply = Reply {
            status,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: body.to_string().into_bytes(),
        };
        judge.is_right(&plan, &asked, &reply)
    };
    assert_eq!(answered(200, json!({"a": "x"})), Ok(()));
    for (status, body) in [
        (200, json!({"a": "y"})),
        (200, json!({})),
        (200, json!({"a": "x", "b": 1})),
        (201, json!({"a": "x"})),
        (404, json!({"status": 404})),
        (500, json!({})),
    ] {
        assert!(answered(status, body.clone()).is_err(), "{status} {body}");
    }
}
