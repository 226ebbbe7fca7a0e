//! The OpenAPI document as the generators of the clients can stand it.
//!
//! Nothing is invented here: paths are left out, and what a generator misreads is said in a
//! weaker way. Every weakening makes a client accept more, never less.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// Routes that clients are for; their older spellings, pages and documents are not.
const API: &str = "/api/v1/";
const PROBES: [&str; 4] = ["/health", "/livez", "/readyz", "/startupz"];
/// Checks on values. A server that comes to allow more must not break a client of today, and
/// what a caller may not send is told by the server, with the field.
const CHECKS: [&str; 10] = [
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
];

/// The document of `kurs openapi`, with the routes that clients are for.
pub(super) fn for_typescript(text: &str) -> Result<String> {
    let document = with_routes_of_clients(text)?;
    written(&document)
}

/// The same, without what openapi-generator cannot stand.
pub(super) fn for_openapi_generator(text: &str) -> Result<String> {
    let mut document = with_routes_of_clients(text)?;
    drop_streams(&mut document);
    if let Some(paths) = document["paths"].as_object_mut() {
        for operation in paths.values_mut().filter_map(Value::as_object_mut) {
            for described in operation.values_mut() {
                weaken_operation(described);
            }
        }
    }
    weaken(&mut document);
    for schema in schemas_of(&mut document) {
        free_words(schema);
    }
    written(&document)
}

fn with_routes_of_clients(text: &str) -> Result<Value> {
    let mut document: Value =
        serde_json::from_str(text).context("`kurs openapi` did not print JSON")?;
    let paths = document["paths"]
        .as_object_mut()
        .context("the OpenAPI document has no paths")?;
    // The address of a picture is all that a page or a chat needs of it.
    let is_picture = |path: &str| path.ends_with(".svg") || path.ends_with(".png");
    paths.retain(|path, _| {
        let is_of_api = path.starts_with(API) || PROBES.contains(&path.as_str());
        is_of_api && !is_picture(path)
    });
    Ok(document)
}

fn written(document: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// Generated methods wait for the end of an answer; streams have none. They are written by hand.
fn drop_streams(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for operations in paths.values_mut().filter_map(Value::as_object_mut) {
        operations.retain(|_, operation| !is_stream(operation));
    }
    paths.retain(|_, operations| operations.as_object().is_none_or(|map| !map.is_empty()));
}

fn is_stream(operation: &Value) -> bool {
    let responses = &operation["responses"];
    responses.get("101").is_some()
        || responses["200"]["content"]
            .get("text/event-stream")
            .is_some()
}

fn weaken_operation(operation: &mut Value) {
    // Moments are asked for as text: the very text of an answer finds the very same answer.
    for parameter in list(&mut operation["parameters"]) {
        if let Some(schema) = parameter["schema"].as_object_mut() {
            schema.remove("format");
        }
    }
    // One form of answer for one method.
    let responses = operation["responses"].as_object_mut();
    for response in responses.into_iter().flat_map(Map::values_mut) {
        if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut)
            && content.contains_key("application/json")
        {
            content.retain(|kind, _| kind == "application/json");
        }
    }
}

fn list(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_array_mut().into_iter().flatten()
}

fn schemas_of(document: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let schemas = document["components"]["schemas"].as_object_mut();
    let schemas = schemas.into_iter().flat_map(Map::values_mut);
    schemas.filter_map(Value::as_object_mut)
}

fn weaken(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(weaken),
        Value::Object(map) => {
            weaken_schema(map);
            map.values_mut().for_each(weaken);
        }
        _ => {}
    }
}

fn weaken_schema(map: &mut Map<String, Value>) {
    for check in CHECKS {
        if map.get(check).is_some_and(Value::is_number) {
            map.remove(check);
        }
    }
    if map.get("pattern").is_some_and(Value::is_string) {
        map.remove("pattern");
    }
    never_null(map);
}

/// The words of an answer become a text: one that a later server adds is read as well.
fn free_words(schema: &mut Map<String, Value>) {
    if schema.get("type").is_some_and(|kind| kind == "string") {
        schema.remove("enum");
    }
}

/// "This object, or null" is that object: the generators read a missing one all the same.
fn never_null(map: &mut Map<String, Value>) {
    let choices = map
        .get("anyOf")
        .and_then(Value::as_array)
        .map(Vec::as_slice);
    let Some([Value::Object(choice), null]) = choices else {
        return;
    };
    if *null != json!({"type": "null"}) {
        return;
    }
    let choice = choice.clone();
    map.remove("anyOf");
    for (key, value) in choice {
        map.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(schema: Value) -> String {
        json!({
            "info": {"license": {"name": "MIT"}},
            "components": {"schemas": {
                "It": schema,
                "Time": {"type": "string", "format": "date-time"},
                "Thing": {"type": "object", "properties": {"pattern": {"type": "string", "pattern": "x"}}},
            }},
            "paths": {
                "/rates": {"get": {"responses": {}}},
                "/livez": {"get": {"responses": {}}},
                "/api/v1/rates": {"get": {"responses": {"200": {"content": {
                    "application/json": {}, "text/csv": {},
                }}}}},
                "/api/v1/stream": {"get": {"responses": {"200": {"content": {"text/event-stream": {}}}}}},
                "/api/v1/ws": {"get": {"responses": {"101": {}}}},
            },
        })
        .to_string()
    }

    fn weakened(schema: Value) -> Value {
        let text = for_openapi_generator(&document(schema)).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        read["components"]["schemas"].clone()
    }

    fn paths(text: &str) -> Vec<String> {
        let read: Value = serde_json::from_str(text).unwrap();
        let paths = read["paths"].as_object().unwrap();
        paths.keys().cloned().collect()
    }

    #[test]
    fn clients_are_for_the_versioned_routes_and_the_probes() {
        let text = document(json!({}));
        let all = ["/api/v1/rates", "/api/v1/stream", "/api/v1/ws", "/livez"];
        assert_eq!(paths(&for_typescript(&text).unwrap()), all);
    }

    #[test]
    fn streams_are_no_generated_methods_and_an_answer_has_one_form() {
        let text = for_openapi_generator(&document(json!({}))).unwrap();
        assert_eq!(paths(&text), ["/api/v1/rates", "/livez"]);
        assert!(!text.contains("text/csv"));
    }

    #[test]
    fn checks_on_values_go_and_properties_that_are_called_like_them_stay() {
        let schemas = weakened(json!({"type": "string", "pattern": "^x$", "maxLength": 3}));
        assert_eq!(schemas["It"], json!({"type": "string"}));
        let thing = &schemas["Thing"]["properties"]["pattern"];
        assert_eq!(thing, &json!({"type": "string"}));
    }

    #[test]
    fn words_become_a_text() {
        let schemas = weakened(json!({"type": "string", "enum": ["ok"], "description": "How."}));
        let expect = json!({"type": "string", "description": "How."});
        assert_eq!(schemas["It"], expect);
    }

    #[test]
    fn an_object_that_may_be_null_stays_one() {
        let schemas = weakened(json!({"anyOf": [
            {"$ref": "#/components/schemas/Thing"}, {"type": "null"},
        ]}));
        assert_eq!(schemas["It"], json!({"$ref": "#/components/schemas/Thing"}));
    }
}
