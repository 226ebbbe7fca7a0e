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
const CHECKS: [&str; 8] = [
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
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
    name_licence(&mut document);
    if let Some(paths) = document["paths"].as_object_mut() {
        for operation in paths.values_mut().filter_map(Value::as_object_mut) {
            for described in operation.values_mut() {
                weaken_operation(described);
            }
        }
    }
    let schemas = document["components"]["schemas"].clone();
    weaken(&mut document, &schemas);
    written(&document)
}

fn with_routes_of_clients(text: &str) -> Result<Value> {
    let mut document: Value =
        serde_json::from_str(text).context("`kurs openapi` did not print JSON")?;
    let paths = document["paths"]
        .as_object_mut()
        .context("the OpenAPI document has no paths")?;
    paths.retain(|path, _| path.starts_with(API) || PROBES.contains(&path.as_str()));
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

/// Optional in OpenAPI 3.1; the generator's own check wants it.
fn name_licence(document: &mut Value) {
    if let Some(licence) = document["info"]["license"].as_object_mut()
        && let Some(name) = licence.get("name").cloned()
        && !licence.contains_key("url")
    {
        licence.entry("identifier").or_insert(name);
    }
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

/// Walks everything; `schemas` is the untouched list that references lead to.
fn weaken(value: &mut Value, schemas: &Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| weaken(item, schemas)),
        Value::Object(map) => {
            weaken_schema(map, schemas);
            map.values_mut().for_each(|item| weaken(item, schemas));
        }
        _ => {}
    }
}

fn weaken_schema(map: &mut Map<String, Value>, schemas: &Value) {
    for check in CHECKS {
        if map.get(check).is_some_and(Value::is_number) {
            map.remove(check);
        }
    }
    if map.get("pattern").is_some_and(Value::is_string) {
        map.remove("pattern");
    }
    // Formats the generator does not know become 32 bits wide, or binary floats.
    match map.get("format").and_then(Value::as_str) {
        Some("uint64" | "uint32") => drop(map.insert("format".to_owned(), json!("int64"))),
        Some("uint16") => drop(map.insert("format".to_owned(), json!("int32"))),
        Some("double") => drop(map.remove("format")),
        _ => {}
    }
    name_words(map);
    allow_null(map, schemas);
}

/// Choices between constants become texts: the generator makes a class of "one of four texts",
/// which then finds that every text is all four. A word of a later server is read as well.
fn name_words(map: &mut Map<String, Value>) {
    let Some(choices) = map.get("oneOf").and_then(Value::as_array) else {
        return;
    };
    let mut words = Vec::new();
    for choice in choices {
        let Some(word) = choice["const"].as_str() else {
            return;
        };
        let meaning = choice["description"].as_str().unwrap_or_default();
        words.push(match meaning.trim_end_matches('.') {
            "" => format!("`{word}`"),
            meaning => format!("`{word}` ({meaning})"),
        });
    }
    let known = format!("Known: {}.", words.join(", "));
    let description = match map.get("description").and_then(Value::as_str) {
        Some(text) => format!("{text} {known}"),
        None => known,
    };
    map.remove("oneOf");
    map.insert("type".to_owned(), json!("string"));
    map.insert("description".to_owned(), json!(description));
}

/// "This, or null" of a text is said in place: behind a reference the generator forgets the null.
fn allow_null(map: &mut Map<String, Value>, schemas: &Value) {
    let Some([choice, null]) = map
        .get("anyOf")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    else {
        return;
    };
    if *null != json!({"type": "null"}) {
        return;
    }
    let mut choice = choice.clone();
    let name = choice["$ref"]
        .as_str()
        .and_then(|place| place.rsplit('/').next());
    if let Some(named) = name.and_then(|name| schemas.get(name)) {
        let is_text = named["type"] == "string" || named["oneOf"][0]["type"] == "string";
        if is_text {
            choice = json!({"type": ["string", "null"]});
            if let Some(format) = named.get("format") {
                choice["format"] = format.clone();
            }
        }
    }
    map.remove("anyOf");
    if let Value::Object(choice) = choice {
        for (key, value) in choice {
            map.entry(key).or_insert(value);
        }
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
    fn whole_numbers_keep_their_width_and_decimals_are_no_binary_floats() {
        let check = |format: &str, expect: Value| {
            let schemas = weakened(json!({"type": "integer", "format": format}));
            assert_eq!(
                schemas["It"].get("format").cloned().unwrap_or_default(),
                expect
            );
        };
        check("uint64", json!("int64"));
        check("uint16", json!("int32"));
        check("double", Value::Null);
    }

    #[test]
    fn words_become_a_text_that_names_them() {
        let schemas = weakened(json!({"description": "How.", "oneOf": [
            {"const": "ok", "type": "string", "description": "Well."},
            {"const": "failed", "type": "string"},
        ]}));
        let expect = json!({"type": "string", "description": "How. Known: `ok` (Well), `failed`."});
        assert_eq!(schemas["It"], expect);
    }

    #[test]
    fn a_text_that_may_be_null_stays_one() {
        let schemas = weakened(json!({"anyOf": [
            {"$ref": "#/components/schemas/Time"}, {"type": "null"},
        ]}));
        assert_eq!(
            schemas["It"],
            json!({"type": ["string", "null"], "format": "date-time"})
        );
        let schemas = weakened(json!({"anyOf": [
            {"$ref": "#/components/schemas/Thing"}, {"type": "null"},
        ]}));
        assert_eq!(schemas["It"], json!({"$ref": "#/components/schemas/Thing"}));
    }

    #[test]
    fn the_licence_has_the_name_that_the_generator_asks_for() {
        let text = for_openapi_generator(&document(json!({}))).unwrap();
        assert!(text.contains("\"identifier\": \"MIT\""));
    }
}
