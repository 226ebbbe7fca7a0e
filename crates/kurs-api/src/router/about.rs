//! Routes of kurs about itself: probes and metrics, documents, the pages.

use super::OK;
use crate::answer::JSON;
use crate::exposition::{OPENMETRICS, PROMETHEUS};
use crate::pattern::Form;
use crate::problem::Kind;
use crate::route::Route;
use crate::{docs, ops, page};
use http::StatusCode;

pub(super) fn operations() -> Vec<Route> {
    use ops::HealthDocument;
    vec![
        Route::get("/livez", "live", ops::live)
            .operations()
            .about("Is the process alive", "Looks at nothing else.")
            .gives::<HealthDocument>(OK, "It is."),
        Route::get("/readyz", "ready", ops::ready)
            .operations()
            .about("Can this instance serve", "")
            .switch("verbose", "Show every check.")
            .gives::<HealthDocument>(OK, "It can.")
            .or(&[Kind::NotReady]),
        Route::get("/startupz", "started", ops::started)
            .operations()
            .about("Has this instance started", "")
            .gives::<HealthDocument>(OK, "It has.")
            .or(&[Kind::NotReady]),
        Route::get("/health", "health", ops::health)
            .operations()
            .about(
                "Readiness with every check",
                "The same as `/readyz?verbose`.",
            )
            .gives::<HealthDocument>(OK, "It can serve.")
            .or(&[Kind::NotReady]),
        Route::get("/metrics", "metrics", ops::metrics)
            .operations()
            .about(
                "Metrics",
                "Prometheus text 0.0.4, or OpenMetrics by `Accept`.",
            )
            .gives_forms(
                OK,
                "All metrics.",
                vec![(PROMETHEUS, None), (OPENMETRICS, None)],
            ),
    ]
}

pub(super) fn documentation() -> Vec<Route> {
    let text = |path, name, handler, summary, media| {
        Route::get(path, name, handler)
            .tag("documentation")
            .open()
            .about(summary, "")
            .gives_forms(OK, summary, vec![(media, None)])
    };
    let script =
        |path, name, handler| text(path, name, handler, "Code of the API browser", docs::SCRIPT);
    let lead = |path, name| {
        Route::get(path, name, docs::lead)
            .tag("documentation")
            .open()
            .about("Leads to the API browser", "")
            .gives_forms(StatusCode::FOUND, "See `/docs`.", Vec::new())
    };
    vec![
        text(
            "/openapi.json",
            "openapi",
            docs::openapi,
            "This document",
            JSON,
        ),
        text(
            "/asyncapi.json",
            "asyncapi",
            docs::asyncapi,
            "What travels on streams and on a broker",
            JSON,
        ),
        text("/docs", "docs", docs::page, "API browser", docs::HTML),
        script("/docs/docs.js", "docsScript", docs::script::<0>),
        script("/docs/elements.js", "docsElements", docs::script::<1>),
        script("/docs/try.js", "docsTry", docs::script::<2>),
        script("/docs/streams.js", "docsStreams", docs::script::<3>),
        script("/docs/messages.js", "docsMessages", docs::script::<4>),
        text(
            "/docs/docs.css",
            "docsStyle",
            docs::style,
            "Look of the API browser",
            docs::STYLE,
        ),
        text(
            "/docs/problems",
            "docsProblems",
            docs::problems,
            "The kinds of problems",
            docs::HTML,
        ),
        text("/", "home", page::home, "The web page", docs::HTML),
        Route::get("/page/{file}", "pageFile", page::file)
            .tag("documentation")
            .open()
            .about("A file of the web page", "")
            .path("file", Form::File, "Its name.")
            .gives_forms(
                OK,
                "The file.",
                [docs::SCRIPT, docs::STYLE, page::PICTURE, docs::HTML]
                    .map(|media| (media, None))
                    .to_vec(),
            )
            .or(&[Kind::UnknownRoute]),
        lead("/api", "api"),
        lead("/swagger", "swagger"),
    ]
}
