//! Finds the route of a request.

use crate::parameter::Arguments;
use crate::problem::{Kind, Problem};
use crate::route::{Route, Side};
use http::Method;
use kurs_telemetry::metrics::{HttpMetrics, RouteMetrics};
use std::sync::Arc;

/// All routes at one path.
#[derive(Debug)]
pub(crate) struct PathEntry {
    side: Side,
    routes: Vec<(Arc<Route>, Counters)>,
    /// The methods, as in `Allow`.
    pub(crate) allow: String,
    /// Counts of `OPTIONS` and of methods that are not allowed.
    pub(crate) options: RouteMetrics,
    pub(crate) refused: RouteMetrics,
}

/// Counts of one route, by the methods it answers.
#[derive(Debug, Clone)]
struct Counters {
    own: RouteMetrics,
    head: RouteMetrics,
}

/// The table of routes.
#[derive(Debug)]
pub(crate) struct Table {
    paths: matchit::Router<PathEntry>,
    routes: Vec<Arc<Route>>,
    /// Counts of requests that belong to no route.
    pub(crate) unrouted: RouteMetrics,
}

/// What was found for a request.
pub(crate) enum Found<'a> {
    /// The route, its parameters, and its counts.
    Route(&'a Arc<Route>, Result<Arguments, Problem>, &'a RouteMetrics),
    /// The path, asked for its methods.
    Options(&'a PathEntry),
    /// The path, but not this method.
    WrongMethod(&'a PathEntry),
    /// No such path.
    Nothing,
}

impl Table {
    /// The table of these routes.
    ///
    /// # Errors
    /// When two paths contradict each other; a mistake of the program, found by every test.
    pub(crate) fn new(
        routes: Vec<Route>,
        metrics: &HttpMetrics,
    ) -> Result<Self, matchit::InsertError> {
        let routes: Vec<Arc<Route>> = routes.into_iter().map(Arc::new).collect();
        let mut paths: Vec<(&'static str, Vec<&Arc<Route>>)> = Vec::new();
        for route in &routes {
            for path in route.paths() {
                match paths.iter_mut().find(|(known, _)| *known == path) {
                    Some((_, together)) => together.push(route),
                    None => paths.push((path, vec![route])),
                }
            }
        }
        let mut router = matchit::Router::new();
        for (path, together) in paths {
            // An alias is counted as what it stands for, so that labels stay few.
            let template = together.first().map_or(path, |route| route.path);
            let side = together.first().map_or(Side::Public, |route| route.side);
            let entry = PathEntry {
                side,
                allow: allow_of(&together),
                options: metrics.route("OPTIONS", template),
                refused: metrics.route("other", template),
                routes: together
                    .into_iter()
                    .map(|route| (Arc::clone(route), counters_of(route, metrics)))
                    .collect(),
            };
            router.insert(path, entry)?;
        }
        Ok(Self {
            paths: router,
            routes,
            unrouted: metrics.route("other", "none"),
        })
    }

    /// The routes in the order of the page that declares them.
    pub(crate) fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// Finds the route of a request. `serves` says which side the listener answers.
    pub(crate) fn find(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        serves: impl Fn(Side) -> bool,
    ) -> Found<'_> {
        let Ok(matched) = self.paths.at(path) else {
            return Found::Nothing;
        };
        let entry = matched.value;
        if !serves(entry.side) {
            return Found::Nothing;
        }
        let is_head = *method == Method::HEAD;
        let wanted = if is_head { &Method::GET } else { method };
        match entry
            .routes
            .iter()
            .find(|(route, _)| route.method == *wanted)
        {
            Some((route, counters)) => {
                let arguments = Arguments::check(&route.parameters, matched.params.iter(), query);
                let counters = if is_head {
                    &counters.head
                } else {
                    &counters.own
                };
                Found::Route(route, arguments, counters)
            }
            None if *method == Method::OPTIONS => Found::Options(entry),
            None => Found::WrongMethod(entry),
        }
    }

    /// The counts of a route by its declared path; those of no route when it is not there.
    pub(crate) fn counters(&self, path: &str, method: &Method) -> (RouteMetrics, RouteMetrics) {
        let found = self.paths.at(path).ok().and_then(|matched| {
            matched
                .value
                .routes
                .iter()
                .find(|(route, _)| route.method == *method)
        });
        found.map_or_else(
            || (self.unrouted.clone(), self.unrouted.clone()),
            |(_, counters)| (counters.own.clone(), counters.head.clone()),
        )
    }
}

fn counters_of(route: &Route, metrics: &HttpMetrics) -> Counters {
    let own = metrics.route(method_label(&route.method), route.path);
    let head = if route.method == Method::GET {
        metrics.route("HEAD", route.path)
    } else {
        own.clone()
    };
    Counters { own, head }
}

const fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn allow_of(routes: &[&Arc<Route>]) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for route in routes {
        methods.push(route.method.as_str());
        if route.method == Method::GET {
            methods.push("HEAD");
        }
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

/// The problem of a method that a path does not have.
pub(crate) fn wrong_method(method: &Method, entry: &PathEntry) -> Problem {
    let method = crate::problem::clean(method.as_str());
    let mut problem = Problem::new(
        Kind::MethodNotAllowed,
        format!("{method} is not among {}", entry.allow),
    );
    problem.allow = Some(entry.allow.clone());
    problem
}
