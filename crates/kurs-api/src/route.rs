//! Routes: a method, a path, what may be sent, what comes back, and who answers. One declaration
//! serves routing, checking and `/openapi.json`, so these cannot differ.

use crate::answer::{JSON, Outcome};
use crate::call::Call;
use crate::parameter::{Parameter, Place, Type};
use crate::pattern::Form;
use crate::problem::Kind;
use http::{Method, StatusCode};
use kurs_auth::Scope;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// A handler's work when it waits for something.
pub(crate) type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Who answers.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// From memory, at once.
    Now(fn(&Call) -> Outcome),
    /// After asking the store or the bus.
    Later(fn(Call) -> Work),
    /// From memory, unless this parameter is given: then after asking the store.
    LaterWith(&'static str, fn(&Call) -> Outcome, fn(Call) -> Work),
}

impl fmt::Debug for Handler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Now(_) => "Now",
            Self::Later(_) => "Later",
            Self::LaterWith(..) => "LaterWith",
        })
    }
}

/// Which of two listeners answers a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The API.
    Public,
    /// Probes and metrics, which may have an address of their own.
    Operations,
}

/// What a successful answer holds.
#[derive(Debug, Clone)]
pub(crate) struct Success {
    pub(crate) status: StatusCode,
    pub(crate) about: &'static str,
    /// Media types with the schema of each, the preferred one first.
    pub(crate) forms: Vec<(&'static str, Option<SchemaOf>)>,
}

/// One route.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// Further paths that answer the same, for clients of older services.
    pub(crate) aliases: &'static [&'static str],
    /// Name of the operation in generated clients.
    pub(crate) name: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) side: Side,
    /// What callers must be allowed; `None`: everybody may.
    pub(crate) scope: Option<Scope>,
    pub(crate) parameters: Vec<Parameter>,
    /// The schema of the body, if one is sent.
    pub(crate) body: Option<SchemaOf>,
    /// Longest body in bytes, where that is not the usual one.
    pub(crate) body_bytes: Option<usize>,
    pub(crate) successes: Vec<Success>,
    pub(crate) problems: Vec<Kind>,
    pub(crate) handler: Handler,
}

impl Route {
    fn new(method: Method, path: &'static str, name: &'static str, handler: Handler) -> Self {
        Self {
            method,
            path,
            aliases: &[],
            name,
            tag: "rates",
            summary: "",
            about: "",
            side: Side::Public,
            scope: Some(Scope::Read),
            parameters: Vec::new(),
            body: None,
            body_bytes: None,
            successes: Vec::new(),
            problems: Vec::new(),
            handler,
        }
    }

    /// A route that is read from memory.
    pub(crate) fn get(
        path: &'static str,
        name: &'static str,
        handler: fn(&Call) -> Outcome,
    ) -> Self {
        Self::new(Method::GET, path, name, Handler::Now(handler))
    }

    /// A route that makes something, from memory.
    pub(crate) fn post(
        path: &'static str,
        name: &'static str,
        handler: fn(&Call) -> Outcome,
    ) -> Self {
        Self::new(Method::POST, path, name, Handler::Now(handler))
    }

    /// A route whose answer has to be waited for.
    pub(crate) fn waiting(
        method: Method,
        path: &'static str,
        name: &'static str,
        handler: fn(Call) -> Work,
    ) -> Self {
        Self::new(method, path, name, Handler::Later(handler))
    }

    /// Answered by `handler` when this parameter is given.
    pub(crate) fn with(mut self, parameter: &'static str, handler: fn(Call) -> Work) -> Self {
        if let Handler::Now(now) = self.handler {
            self.handler = Handler::LaterWith(parameter, now, handler);
        }
        self
    }

    pub(crate) fn tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    pub(crate) fn about(mut self, summary: &'static str, about: &'static str) -> Self {
        (self.summary, self.about) = (summary, about);
        self
    }

    pub(crate) fn also_at(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(crate) fn operations(mut self) -> Self {
        (self.side, self.tag) = (Side::Operations, "operations");
        self.open()
    }

    /// Callers must be allowed this; to read unless said otherwise.
    pub(crate) fn needs(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Everybody may ask.
    pub(crate) fn open(mut self) -> Self {
        self.scope = None;
        self
    }

    fn parameter(
        mut self,
        name: &'static str,
        place: Place,
        required: bool,
        kind: Type,
        about: &'static str,
    ) -> Self {
        self.parameters.push(Parameter {
            name,
            place,
            required,
            kind,
            about,
        });
        self
    }

    /// A part of the path.
    pub(crate) fn path(self, name: &'static str, form: Form, about: &'static str) -> Self {
        self.parameter(name, Place::Path, true, Type::Text(form), about)
    }

    /// A parameter that may be left out.
    pub(crate) fn query(self, name: &'static str, form: Form, about: &'static str) -> Self {
        self.parameter(name, Place::Query, false, Type::Text(form), about)
    }

    /// A parameter that must be given.
    pub(crate) fn required(self, name: &'static str, kind: Type, about: &'static str) -> Self {
        self.parameter(name, Place::Query, true, kind, about)
    }

    /// A list: repeated, or with commas, or both.
    pub(crate) fn list(self, name: &'static str, form: Form, about: &'static str) -> Self {
        self.parameter(name, Place::Query, false, Type::Repeated(form), about)
    }

    /// `true` or `false`.
    pub(crate) fn flag(self, name: &'static str, about: &'static str) -> Self {
        self.parameter(name, Place::Query, false, Type::Flag, about)
    }

    /// A flag that is set by its mere presence.
    pub(crate) fn switch(self, name: &'static str, about: &'static str) -> Self {
        self.parameter(name, Place::Query, false, Type::Switch, about)
    }

    /// A whole number.
    pub(crate) fn whole(
        self,
        name: &'static str,
        (least, most, default): (u32, u32, u32),
        about: &'static str,
    ) -> Self {
        self.parameter(
            name,
            Place::Query,
            false,
            Type::Whole {
                least,
                most,
                default,
            },
            about,
        )
    }

    /// The JSON body that has to be sent.
    pub(crate) fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(schema_of::<T>);
        self.problems.extend([
            Kind::InvalidBody,
            Kind::RequestTimeout,
            Kind::BodyTooLarge,
            Kind::UnsupportedMediaType,
        ]);
        self
    }

    /// The body may be this long, in bytes.
    pub(crate) fn up_to(mut self, body_bytes: usize) -> Self {
        self.body_bytes = Some(body_bytes);
        self
    }

    /// A successful answer with a JSON document.
    pub(crate) fn gives<T: JsonSchema>(self, status: StatusCode, about: &'static str) -> Self {
        self.gives_forms(status, about, vec![(JSON, Some(schema_of::<T>))])
    }

    /// A successful answer in one of several forms.
    pub(crate) fn gives_forms(
        mut self,
        status: StatusCode,
        about: &'static str,
        forms: Vec<(&'static str, Option<SchemaOf>)>,
    ) -> Self {
        self.successes.push(Success {
            status,
            about,
            forms,
        });
        self
    }

    /// Problems beyond those any route may have.
    pub(crate) fn or(mut self, problems: &[Kind]) -> Self {
        self.problems.extend_from_slice(problems);
        self
    }

    /// The media types that can be chosen by `Accept`, the preferred one first.
    pub(crate) fn media_types(&self) -> Vec<&'static str> {
        let with_body = self
            .successes
            .iter()
            .find(|success| !success.forms.is_empty());
        with_body.map_or_else(Vec::new, |success| {
            success.forms.iter().map(|(media, _)| *media).collect()
        })
    }

    /// The paths it answers at.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.path).chain(self.aliases.iter().copied())
    }
}

/// The schema of a type, for the forms of an answer.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
