//! Parameters of routes: declared once, checked from that, documented from that.

use crate::pattern::Form;
use crate::problem::{FieldError, Kind as ProblemKind, Problem};
use kurs_core::price::parse_decimal;
use kurs_core::{Asset, SourceId, Wall};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};

/// Most values of one repeated parameter.
pub(crate) const VALUES_MAX: usize = 500;

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the path.
    Path,
    /// After the question mark.
    Query,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// Text of a form.
    Text(Form),
    /// Text of a form, any number of times.
    Repeated(Form),
    /// `true` or `false`; false when absent.
    Flag,
    /// Like a flag, but its mere presence means true.
    Switch,
    /// A whole number.
    Whole {
        /// Least.
        least: u32,
        /// Most.
        most: u32,
        /// When absent.
        default: u32,
    },
}

/// One parameter of a route.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) required: bool,
    pub(crate) kind: Type,
    pub(crate) about: &'static str,
}

impl Parameter {
    /// The parameter as OpenAPI 3.1 describes it.
    pub(crate) fn document(&self) -> Json {
        let mut document = json!({
            "name": self.name,
            "in": match self.place { Place::Path => "path", Place::Query => "query" },
            "required": self.required,
            "description": self.about,
            "schema": self.schema(),
        });
        match self.kind {
            Type::Repeated(_) => {
                document["style"] = json!("form");
                document["explode"] = json!(true);
            }
            Type::Switch => document["allowEmptyValue"] = json!(true),
            _ => {}
        }
        document
    }

    fn schema(&self) -> Json {
        let text = |form: Form| {
            let mut schema = json!({
                "type": "string", "pattern": form.pattern(), "maxLength": form.length_max(),
            });
            if form == Form::Time {
                schema["format"] = json!("date-time");
            }
            schema
        };
        match self.kind {
            Type::Text(form) => text(form),
            Type::Repeated(form) => {
                json!({"type": "array", "items": text(form), "minItems": 1, "maxItems": VALUES_MAX})
            }
            Type::Flag => json!({"type": "boolean", "default": false}),
            Type::Switch => json!({"type": "string", "enum": ["", "true", "false"]}),
            Type::Whole {
                least,
                most,
                default,
            } => {
                json!({"type": "integer", "minimum": least, "maximum": most, "default": default})
            }
        }
    }

    fn check(&self, text: &str) -> Result<(), String> {
        match self.kind {
            Type::Text(form) | Type::Repeated(form) if form.accepts(text) => meaning(form, text),
            Type::Text(form) | Type::Repeated(form) => Err(form.words().to_owned()),
            Type::Flag if matches!(text, "true" | "false") => Ok(()),
            Type::Switch if matches!(text, "" | "true" | "false") => Ok(()),
            Type::Flag | Type::Switch => Err("must be true or false".to_owned()),
            Type::Whole { least, most, .. } => match whole(text) {
                Some(number) if (least..=most).contains(&number) => Ok(()),
                _ => Err(format!("must be a whole number from {least} to {most}")),
            },
        }
    }
}

/// Checks what a pattern cannot: that a time exists, that a number can be held.
fn meaning(form: Form, text: &str) -> Result<(), String> {
    let sound = match form {
        Form::Time => text.parse::<Wall>().is_ok(),
        Form::Amount => parse_decimal(text).is_ok(),
        _ => true,
    };
    if sound {
        Ok(())
    } else {
        Err(form.words().to_owned())
    }
}

fn whole(text: &str) -> Option<u32> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// The parameters of one request, all of them checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments {
    values: Vec<(&'static str, String)>,
}

impl Arguments {
    /// Checks path and query against the declaration. `path` holds the raw, still encoded
    /// segments by name.
    ///
    /// # Errors
    /// A problem that names every mistake.
    pub(crate) fn check<'a>(
        declared: &[Parameter],
        path: impl Iterator<Item = (&'a str, &'a str)>,
        query: Option<&str>,
    ) -> Result<Self, Problem> {
        let mut arguments = Self::default();
        let mut errors = Vec::new();
        for (name, raw) in path {
            arguments.take(declared, Place::Path, name, raw, &mut errors);
        }
        for part in query
            .unwrap_or("")
            .split('&')
            .filter(|part| !part.is_empty())
        {
            let (name, raw) = part.split_once('=').unwrap_or((part, ""));
            match decode(name) {
                Some(name) => arguments.take(declared, Place::Query, &name, raw, &mut errors),
                None => errors.push(FieldError::parameter(
                    name,
                    "is not valid percent-encoded UTF-8",
                )),
            }
            if errors.len() >= 20 {
                break;
            }
        }
        for parameter in declared.iter().filter(|parameter| parameter.required) {
            let named = errors
                .iter()
                .any(|error| error.parameter.as_deref() == Some(parameter.name));
            if arguments.text(parameter.name).is_none() && !named {
                errors.push(FieldError::parameter(parameter.name, "is required"));
            }
        }
        if errors.is_empty() {
            Ok(arguments)
        } else {
            Err(Problem::with_errors(ProblemKind::InvalidParameter, errors))
        }
    }

    fn take(
        &mut self,
        declared: &[Parameter],
        place: Place,
        name: &str,
        raw: &str,
        errors: &mut Vec<FieldError>,
    ) {
        let known = declared
            .iter()
            .find(|known| known.place == place && known.name == name);
        let Some(parameter) = known else {
            errors.push(FieldError::parameter(
                name,
                "is not a parameter of this route",
            ));
            return;
        };
        let repeated = matches!(parameter.kind, Type::Repeated(_));
        let seen = self.values.iter().filter(|(seen, _)| *seen == name).count();
        if seen > 0 && !repeated {
            errors.push(FieldError::parameter(name, "may be given once only"));
            return;
        }
        if seen >= VALUES_MAX {
            errors.push(FieldError::parameter(
                name,
                format!("may be given {VALUES_MAX} times at most"),
            ));
            return;
        }
        let Some(text) = decode(raw) else {
            errors.push(FieldError::parameter(
                name,
                "is not valid percent-encoded UTF-8",
            ));
            return;
        };
        match parameter.check(&text) {
            Ok(()) => self.values.push((parameter.name, text)),
            Err(detail) => errors.push(FieldError::parameter(name, detail)),
        }
    }

    /// The text of a parameter, the first one if there are several.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(seen, _)| *seen == name)
            .map(|(_, text)| text.as_str())
    }

    /// True when a parameter is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// All values of any of these repeated parameters, split at commas, in order.
    pub(crate) fn list<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.values
            .iter()
            .filter(|(seen, _)| names.contains(seen))
            .flat_map(|(_, text)| text.split(','))
    }

    /// A flag; false when absent, true for a switch that is merely there.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | ""))
    }

    /// A whole number, if given.
    pub(crate) fn whole(&self, name: &str) -> Option<u32> {
        self.text(name).and_then(whole)
    }

    /// An amount, if given.
    pub(crate) fn amount(&self, name: &str) -> Option<Decimal> {
        self.text(name).and_then(|text| parse_decimal(text).ok())
    }

    /// The number of an update, if given.
    pub(crate) fn seq(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// A time, if given.
    pub(crate) fn time(&self, name: &str) -> Option<Wall> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// A source, if given.
    pub(crate) fn source(&self, name: &str) -> Option<SourceId> {
        self.text(name).and_then(|text| SourceId::parse(text).ok())
    }

    /// An asset, if given.
    pub(crate) fn asset(&self, name: &str) -> Option<Asset> {
        self.text(name).and_then(|text| Asset::parse(text).ok())
    }
}

/// Undoes percent encoding. A plus stays a plus: times with an offset hold one.
fn decode(raw: &str) -> Option<String> {
    if !raw.contains('%') {
        return Some(raw.to_owned());
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<Parameter> {
        let parameter = |name, place, required, kind| Parameter {
            name,
            place,
            required,
            kind,
            about: "",
        };
        vec![
            parameter("base", Place::Path, true, Type::Text(Form::Asset)),
            parameter("amount", Place::Query, false, Type::Text(Form::Amount)),
            parameter("pairs", Place::Query, false, Type::Repeated(Form::Pairs)),
            parameter(
                "limit",
                Place::Query,
                false,
                Type::Whole {
                    least: 1,
                    most: 9,
                    default: 2,
                },
            ),
            parameter("start", Place::Query, false, Type::Text(Form::Time)),
        ]
    }

    fn check(query: &str) -> Result<Arguments, Vec<(String, String)>> {
        Arguments::check(&declared(), [("base", "b%54C")].into_iter(), Some(query)).map_err(
            |problem| {
                let named = |error: FieldError| (error.parameter.unwrap_or_default(), error.detail);
                problem.errors.into_iter().map(named).collect()
            },
        )
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let errors =
            check("amount=0&limit=10&nope=1&amount=1&start=2026-02-30T00:00:00Z").unwrap_err();
        let names: Vec<_> = errors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["amount", "limit", "nope", "start"]);
    }

    #[test]
    fn a_single_valued_parameter_is_not_repeated() {
        assert_eq!(check("limit=1&limit=1").unwrap_err()[0].0, "limit");
        let lists = check("pairs=BTC-USD,ETH-USD&pairs=A-B").unwrap();
        assert_eq!(
            lists.list(&["pairs"]).collect::<Vec<_>>(),
            ["BTC-USD", "ETH-USD", "A-B"]
        );
    }

    #[test]
    fn what_is_right_is_understood() {
        let arguments = check("amount=2.50&start=2026-01-01T00:00:00+03:00&limit=9").unwrap();
        assert_eq!(arguments.asset("base").unwrap().as_str(), "BTC");
        assert_eq!(arguments.amount("amount").unwrap().to_string(), "2.50");
        assert_eq!(
            arguments.time("start").unwrap().to_string(),
            "2025-12-31T21:00:00.000Z"
        );
        assert_eq!(arguments.whole("limit"), Some(9));
    }

    #[test]
    fn broken_percent_encoding_is_named() {
        for query in ["limit=%", "limit=%zz", "limit=%ff", "%ff=1"] {
            assert_eq!(check(query).unwrap_err().len(), 1, "{query}");
        }
    }
}
