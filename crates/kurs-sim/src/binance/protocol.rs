//! Control messages of the stream API and the answers to them.

use serde_json::{Value, json};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
    List,
    SetCombined(bool),
    GetCombined,
}

/// A refused message: the error frame that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

/// A longer stream name is no name.
const NAME_MAX: usize = 100;

/// Reads one text message; gives the command and the id to answer it with.
pub(crate) fn parse(text: &str) -> Result<(Command, Value), Refused> {
    let message: Value = serde_json::from_str(text).map_err(|error| {
        Refused(json!({"code":3,"msg":format!("Invalid JSON: {error}")}).to_string())
    })?;
    let id = message.get("id").cloned().unwrap_or(Value::Null);
    if !is_id(&id) {
        let why =
            "request ID must be a signed 64-bit integer, a string of up to 36 characters or null";
        return Err(invalid(why, &Value::Null));
    }
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        return Err(invalid("missing field `method`", &id));
    };
    let command = match method {
        "SUBSCRIBE" => Command::Subscribe(names(&message, &id)?),
        "UNSUBSCRIBE" => Command::Unsubscribe(names(&message, &id)?),
        "LIST_SUBSCRIPTIONS" => Command::List,
        "SET_PROPERTY" | "GET_PROPERTY" => property(method, &message, &id)?,
        _ => {
            let why = format!(
                "unknown variant `{}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
                method.chars().take(40).collect::<String>()
            );
            return Err(invalid(&why, &id));
        }
    };
    Ok((command, id))
}

fn is_id(id: &Value) -> bool {
    match id {
        Value::Null => true,
        Value::Number(number) => number.is_i64(),
        Value::String(text) => text.chars().count() <= 36,
        _ => false,
    }
}

fn invalid(why: &str, id: &Value) -> Refused {
    let mut body = json!({"code":2,"msg":format!("Invalid request: {why}")});
    if let Some(fields) = body.as_object_mut().filter(|_| !id.is_null()) {
        fields.insert("id".to_owned(), id.clone());
    }
    Refused(body.to_string())
}

fn names(message: &Value, id: &Value) -> Result<Vec<String>, Refused> {
    let params = message.get("params").and_then(Value::as_array);
    let Some(params) = params else {
        return Err(invalid("missing field `params`", id));
    };
    let mut names = Vec::with_capacity(params.len());
    for param in params {
        match param.as_str() {
            Some(name) if !name.is_empty() && name.len() <= NAME_MAX => names.push(name.to_owned()),
            _ => return Err(invalid("stream names must be strings", id)),
        }
    }
    if names.is_empty() {
        return Err(invalid("at least one stream is needed", id));
    }
    Ok(names)
}

fn property(method: &str, message: &Value, id: &Value) -> Result<Command, Refused> {
    let param = |index: usize| message.get("params").and_then(|params| params.get(index));
    if param(0).and_then(Value::as_str) != Some("combined") {
        return Err(Refused(
            json!({"code":0,"msg":"Unknown property","id":id}).to_string(),
        ));
    }
    if method == "GET_PROPERTY" {
        return Ok(Command::GetCombined);
    }
    match param(1).and_then(Value::as_bool) {
        Some(combined) => Ok(Command::SetCombined(combined)),
        None => {
            let msg = "Invalid value type: expected Boolean";
            Err(Refused(json!({"code":1,"msg":msg,"id":id}).to_string()))
        }
    }
}

/// `{"result":...,"id":...}`.
pub(crate) fn result(value: &Value, id: &Value) -> String {
    json!({"result": value, "id": id}).to_string()
}

/// The answer to a subscription over the limit of streams.
pub(crate) fn too_many_streams(limit: usize, id: &Value) -> String {
    invalid(
        &format!("a connection may hold {limit} streams at most"),
        id,
    )
    .0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_read_with_any_kind_of_id() {
        let (command, id) =
            parse(r#"{"method":"SUBSCRIBE","params":["btcusdt@bookTicker"],"id":"a"}"#).unwrap();
        assert_eq!(
            command,
            Command::Subscribe(vec!["btcusdt@bookTicker".to_owned()])
        );
        assert_eq!(result(&Value::Null, &id), r#"{"id":"a","result":null}"#);
        let (command, id) = parse(r#"{"method":"LIST_SUBSCRIPTIONS","id":-3}"#).unwrap();
        assert_eq!((command, id), (Command::List, json!(-3)));
        let (command, _) =
            parse(r#"{"method":"SET_PROPERTY","params":["combined",true],"id":null}"#).unwrap();
        assert_eq!(command, Command::SetCombined(true));
    }

    #[test]
    fn mistakes_get_the_code_of_their_kind() {
        for (text, code) in [
            ("{", 3),
            (r#"{"method":"FLY","id":1}"#, 2),
            (r#"{"method":"SUBSCRIBE","params":[1],"id":1}"#, 2),
            (r#"{"method":"SUBSCRIBE","id":1}"#, 2),
            (r#"{"method":"SUBSCRIBE","params":["a"],"id":1.5}"#, 2),
            (
                r#"{"method":"SET_PROPERTY","params":["colour",true],"id":1}"#,
                0,
            ),
            (
                r#"{"method":"SET_PROPERTY","params":["combined",1],"id":1}"#,
                1,
            ),
        ] {
            let Refused(answer) = parse(text).unwrap_err();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["code"], code, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_message_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
