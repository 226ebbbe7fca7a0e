//! Schemas in the words that the generators of clients understand. Nothing is allowed or forbidden
//! that was not before, but for one thing: what an answer leaves out when there is none is never
//! `null` in it, which derived schemas do not know.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const SCHEMAS: &str = "#/components/schemas/";

/// Rewrites all schemas of the document.
pub(super) fn plain(document: &mut Value) {
    let sent = sent(document);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        for (name, schema) in schemas.iter_mut() {
            if !sent.contains(name) {
                leave_out(schema);
            }
        }
    }
    let named = document["components"]["schemas"].clone();
    walk(document, &named);
}

/// Names of the schemas that requests hold: in these, `null` may be sent for what is left out.
fn sent(document: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let operations = document["paths"].as_object().into_iter();
    let operations = operations.flat_map(|paths| paths.values().filter_map(Value::as_object));
    for operation in operations.flat_map(Map::values) {
        named_in(&operation["requestBody"], document, &mut names);
    }
    names
}

fn named_in(value: &Value, document: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let name = map.get("$ref").and_then(Value::as_str);
            if let Some(name) = name.and_then(|place| place.strip_prefix(SCHEMAS))
                && names.insert(name.to_owned())
            {
                named_in(&document["components"]["schemas"][name], document, names);
            }
            map.values()
                .for_each(|item| named_in(item, document, names));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| named_in(item, document, names)),
        _ => {}
    }
}

/// A member that need not be there is left out, not `null`.
fn leave_out(schema: &mut Value) {
    let needed: BTreeSet<String> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, property) in properties {
        if let Some(property) = property.as_object_mut()
            && !needed.contains(name)
        {
            never_null(property);
        }
    }
}

fn never_null(schema: &mut Map<String, Value>) {
    if let Some(kinds) = schema.get("type").and_then(Value::as_array) {
        let mut kinds: Vec<Value> = kinds
            .iter()
            .filter(|kind| **kind != "null")
            .cloned()
            .collect();
        let kind = if kinds.len() == 1 {
            kinds.remove(0)
        } else {
            json!(kinds)
        };
        schema.insert("type".to_owned(), kind);
    }
    if let Some(choice) = or_null(schema) {
        schema.remove("anyOf");
        join(schema, choice);
    }
}

/// What it is when it is not null, of a schema that says "this, or null".
fn or_null(schema: &Map<String, Value>) -> Option<Value> {
    match schema.get("anyOf").and_then(Value::as_array)?.as_slice() {
        [choice, null] if *null == json!({"type": "null"}) => Some(choice.clone()),
        _ => None,
    }
}

/// What the schema says itself goes before what is added.
fn join(schema: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        for (key, value) in more {
            schema.entry(key).or_insert(value);
        }
    }
}

fn walk(value: &mut Value, named: &Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, named)),
        Value::Object(map) => {
            name_words(map);
            null_in_place(map, named);
            common_format(map);
            map.values_mut().for_each(|item| walk(item, named));
        }
        _ => {}
    }
}

/// A choice between constant texts is an `enum`; what each means is said in the description.
fn name_words(schema: &mut Map<String, Value>) {
    let Some(choices) = schema.get("oneOf").and_then(Value::as_array) else {
        return;
    };
    let mut words = Vec::new();
    let mut meanings = Vec::new();
    for choice in choices {
        let Some(word) = choice["const"].as_str() else {
            return;
        };
        words.push(json!(word));
        if let Some(meaning) = choice["description"].as_str() {
            meanings.push(format!("`{word}`: {meaning}"));
        }
    }
    let about = schema.get("description").and_then(Value::as_str);
    let about: Vec<String> = about
        .map(str::to_owned)
        .into_iter()
        .chain(meanings)
        .collect();
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("enum".to_owned(), json!(words));
    if !about.is_empty() {
        schema.insert("description".to_owned(), json!(about.join("\n\n")));
    }
}

/// "This, or null" of a plain value is said by its type. Of an object it stays a choice.
fn null_in_place(schema: &mut Map<String, Value>, named: &Value) {
    let Some(mut choice) = or_null(schema) else {
        return;
    };
    if let Some(name) = choice["$ref"]
        .as_str()
        .and_then(|place| place.strip_prefix(SCHEMAS))
    {
        choice = named[name].clone();
    }
    let Some(kind) = choice["type"].as_str().filter(|kind| *kind != "object") else {
        return;
    };
    choice["type"] = json!([kind, "null"]);
    schema.remove("anyOf");
    join(schema, choice);
}

/// Formats of the OpenAPI registry, and the bounds that the others stood for.
fn common_format(schema: &mut Map<String, Value>) {
    let (format, maximum) = match schema.get("format").and_then(Value::as_str) {
        Some("uint64") => ("int64", None),
        Some("uint32") => ("int64", Some(json!(u32::MAX))),
        Some("uint16") => ("int32", Some(json!(u16::MAX))),
        Some("uint8") => ("int32", Some(json!(u8::MAX))),
        // A JSON number with all its digits may be more than a binary float can hold.
        Some("double" | "float") => return drop(schema.remove("format")),
        _ => return,
    };
    schema.insert("format".to_owned(), json!(format));
    schema.entry("minimum").or_insert(json!(0));
    if let Some(maximum) = maximum {
        schema.entry("maximum").or_insert(maximum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema_after(schema: Value) -> Value {
        let mut document = json!({
            "paths": {"/it": {"post": {"requestBody": {"schema": {"$ref": "#/components/schemas/Sent"}}}}},
            "components": {"schemas": {
                "It": schema,
                "Price": {"type": "string", "pattern": "^[0-9]+$", "description": "A price."},
                "Thing": {"type": "object"},
                "Sent": {"type": "object", "properties": {"a": {"type": ["integer", "null"]}}},
            }},
        });
        plain(&mut document);
        let sent = &document["components"]["schemas"]["Sent"]["properties"]["a"]["type"];
        assert_eq!(*sent, json!(["integer", "null"]), "null may be sent");
        document["components"]["schemas"]["It"].clone()
    }

    #[test]
    fn constants_become_an_enum_that_keeps_what_they_mean() {
        let told = schema_after(json!({"description": "How.", "oneOf": [
            {"const": "ok", "type": "string", "description": "Well."},
            {"const": "bad", "type": "string"},
        ]}));
        let expect = json!({
            "type": "string", "enum": ["ok", "bad"], "description": "How.\n\n`ok`: Well.",
        });
        assert_eq!(told, expect);
        let other = json!({"oneOf": [{"type": "string"}, {"const": "x"}]});
        assert_eq!(schema_after(other.clone()), other);
    }

    #[test]
    fn formats_are_those_of_the_registry_with_their_bounds() {
        let told = schema_after(json!({"type": "integer", "format": "uint64", "minimum": 0}));
        assert_eq!(
            told,
            json!({"type": "integer", "format": "int64", "minimum": 0})
        );
        let told = schema_after(json!({"type": "integer", "format": "uint16", "minimum": 400}));
        let expect =
            json!({"type": "integer", "format": "int32", "minimum": 400, "maximum": 65_535});
        assert_eq!(told, expect);
        let told = schema_after(json!({"type": "number", "format": "double"}));
        assert_eq!(told, json!({"type": "number"}));
    }

    #[test]
    fn null_is_said_where_it_comes_and_nowhere_else() {
        let price = json!({"anyOf": [{"$ref": "#/components/schemas/Price"}, {"type": "null"}]});
        let thing = json!({"anyOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "null"}]});
        let told = schema_after(json!({
            "required": ["price", "thing"],
            "properties": {
                "price": price, "thing": thing, "maybe": price, "number": {"type": ["integer", "null"]},
            },
        }));
        let told = &told["properties"];
        let in_place = json!({
            "type": ["string", "null"], "pattern": "^[0-9]+$", "description": "A price.",
        });
        assert_eq!(told["price"], in_place);
        assert_eq!(told["thing"], thing);
        assert_eq!(told["maybe"], json!({"$ref": "#/components/schemas/Price"}));
        assert_eq!(told["number"], json!({"type": "integer"}));
    }
}
