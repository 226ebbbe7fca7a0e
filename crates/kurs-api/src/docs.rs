//! The API browser and the pages beside it. All files are part of the program: it works offline.

use crate::answer::{Answer, Asset, Outcome};
use crate::call::Call;
use crate::problem::Kind;
use http::StatusCode;
use http::header::LOCATION;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(crate) const STYLE: &str = "text/css; charset=utf-8";

static PAGE: LazyLock<Arc<Asset>> =
    LazyLock::new(|| Asset::new(include_str!("../assets/docs.html"), HTML));
static CODE: [LazyLock<Arc<Asset>>; 5] = [
    LazyLock::new(|| Asset::new(include_str!("../assets/docs.js"), SCRIPT)),
    LazyLock::new(|| Asset::new(include_str!("../assets/elements.js"), SCRIPT)),
    LazyLock::new(|| Asset::new(include_str!("../assets/try.js"), SCRIPT)),
    LazyLock::new(|| Asset::new(include_str!("../assets/streams.js"), SCRIPT)),
    LazyLock::new(|| Asset::new(include_str!("../assets/messages.js"), SCRIPT)),
];
static LOOK: LazyLock<Arc<Asset>> =
    LazyLock::new(|| Asset::new(include_str!("../assets/docs.css"), STYLE));
static PROBLEMS: LazyLock<Arc<Asset>> = LazyLock::new(|| Asset::new(problems_page(), HTML));

/// `GET /docs`.
pub(crate) fn page(_: &Call) -> Outcome {
    Ok(Answer::asset(&PAGE))
}

/// `GET /docs/docs.js` and its modules, by their place in [`CODE`].
pub(crate) fn script<const AT: usize>(_: &Call) -> Outcome {
    Ok(Answer::asset(&CODE[AT]))
}

/// `GET /docs/docs.css`.
pub(crate) fn style(_: &Call) -> Outcome {
    Ok(Answer::asset(&LOOK))
}

/// `GET /docs/problems`: where the `type` of every problem leads.
pub(crate) fn problems(_: &Call) -> Outcome {
    Ok(Answer::asset(&PROBLEMS))
}

/// `GET /openapi.json`.
pub(crate) fn openapi(call: &Call) -> Outcome {
    Ok(Answer::asset(&call.api.openapi))
}

/// `GET /asyncapi.json`.
pub(crate) fn asyncapi(call: &Call) -> Outcome {
    Ok(Answer::asset(&call.api.asyncapi))
}

/// Leads to the API browser.
pub(crate) fn lead(_: &Call) -> Outcome {
    Ok(Answer::empty(StatusCode::FOUND).with_header(LOCATION, "/docs"))
}

fn problems_page() -> String {
    let mut list = String::new();
    for kind in Kind::ALL {
        let about = kind.about().replace('`', "");
        let _ = writeln!(
            list,
            "<section id=\"{slug}\"><h2>{status} {slug}</h2><p><b>{title}.</b> {about}</p></section>",
            slug = kind.slug(),
            status = kind.status().as_u16(),
            title = kind.title(),
        );
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>kurs: problems</title><link rel=\"stylesheet\" href=\"/docs/docs.css\"></head>\
         <body><header><h1>Problems</h1><nav><a href=\"/docs\">API</a></nav></header>\
         <main class=\"prose\">{list}</main></body></html>\n"
    )
}
