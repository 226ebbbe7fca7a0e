//! Candles as pictures.

use super::candles::{explain_nothing, question_of, read_page};
use crate::answer::Answer;
use crate::call::Call;
use crate::conditional::{Caching, content_etag, none_match_hits};
use crate::problem::{Kind, Problem};
use crate::route::Work;
use http::header::VARY;
use kurs_chart::{Chart, ChartError, Form, Size, Theme};
use kurs_core::{Pair, Wall};
use kurs_reader::candles::{CandlesPage, Way};
use kurs_store::Interval;
use std::time::Duration;

pub(crate) const SVG: &str = "image/svg+xml";
pub(crate) const PNG: &str = "image/png";

/// Least, most and usual width and height, pixels.
pub(crate) const WIDTHS: (u32, u32, u32) = (*Size::WIDTHS.start(), *Size::WIDTHS.end(), 960);
pub(crate) const HEIGHTS: (u32, u32, u32) = (*Size::HEIGHTS.start(), *Size::HEIGHTS.end(), 540);

/// Pictures that are drawn at one time: they need a core each, and rates go first.
pub(crate) const DRAWN_AT_ONCE: usize = 2;
/// Longest wait for a place to draw in.
const TURN: Duration = Duration::from_secs(2);

/// `GET /api/v1/candles/{base}/{quote}.svg`.
pub(crate) fn svg(call: Call) -> Work {
    Box::pin(picture(call, SVG))
}

/// `GET /api/v1/candles/{base}/{quote}.png`.
pub(crate) fn png(call: Call) -> Work {
    Box::pin(picture(call, PNG))
}

/// What a picture shows, apart from its candles.
#[derive(Debug)]
struct Plan {
    pair: Pair,
    interval: Interval,
    form: Form,
    theme: Theme,
    size: Size,
    from: Option<Wall>,
    until: Option<Wall>,
    /// The moment from which on the last candle counts as closed.
    now: Wall,
    is_simulated: bool,
    note: String,
}

async fn picture(call: Call, media: &'static str) -> Result<Answer, Problem> {
    let pair = call.path_pair()?;
    let question = question_of(&call, pair)?;
    let size = size(&call)?;
    let (interval, source) = (question.interval, question.source);
    // What is yet to come, and a candle that is not over yet, are no gaps.
    let ended = interval.start_of(view_now(&call));
    let until = question.end.min(ended);
    let page = read_page(&call, question).await?;
    if page.candles.is_empty() {
        explain_nothing(&call, pair, source).await?;
    }
    let sources = call.api.view.sources();
    let arguments = &call.arguments;
    let form = match arguments.text("form") {
        Some("line") => Form::Line,
        _ => Form::Candles,
    };
    let theme = arguments.text("theme").and_then(|text| text.parse().ok());
    let mut notes: Vec<String> = source
        .map(|source| source.to_string())
        .into_iter()
        .collect();
    if page.way != Way::Own {
        let path: Vec<String> = page.way.markets().iter().map(Pair::to_string).collect();
        notes.push(format!("joined from {}", path.join(", ")));
    }
    let goes_on = page.next.is_some();
    if goes_on {
        notes.push("there is more after the last one".to_owned());
    }
    let plan = Plan {
        pair,
        interval,
        form,
        theme: theme.unwrap_or_default(),
        size,
        from: arguments.time("start"),
        // What was left out is no gap.
        until: (!goes_on).then_some(until),
        now: told_apart(&page, interval, view_now(&call)),
        is_simulated: sources.iter().any(|one| one.source.is_simulated()),
        note: notes.join(" \u{b7} "),
    };
    // The same plan over the same candles is the same picture: its tag is known before it is drawn.
    let version = env!("CARGO_PKG_VERSION");
    let tag = content_etag(format!("{version} {media} {plan:?} {:?}", page.candles).as_bytes());
    if none_match_hits(&call.headers, &tag) {
        let answer = Answer::text(Vec::new(), media).tagged(tag);
        let answer = answer.cached(Caching::Revalidate);
        return Ok(match media {
            // As the whole answer says.
            SVG => answer.with_header(VARY, "Accept-Encoding"),
            _ => answer,
        });
    }
    let drawn = drawn(&call, plan, page, media).await?;
    Ok(Answer::text(drawn, media)
        .tagged(tag)
        .cached(Caching::Revalidate))
}

/// Draws on a thread of its own, when it is its turn.
async fn drawn(
    call: &Call,
    plan: Plan,
    page: CandlesPage,
    media: &'static str,
) -> Result<Vec<u8>, Problem> {
    let turn = tokio::time::timeout(TURN, call.api.drawings.clone().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        let detail = "too many pictures are being drawn";
        return Err(Problem::new(Kind::TooBusy, detail));
    };
    let work = tokio::task::spawn_blocking(move || {
        // The place is taken until the picture is done, also when nobody waits for it any more.
        let _turn = turn;
        draw(&plan, &page, media)
    });
    match work.await {
        Ok(Ok(picture)) => Ok(picture),
        Ok(Err(error)) => Err(Problem::new(Kind::Internal, error.to_string())),
        Err(_) => Err(Problem::new(Kind::Internal, "the picture was not drawn")),
    }
}

fn draw(plan: &Plan, page: &CandlesPage, media: &str) -> Result<Vec<u8>, ChartError> {
    let mut chart = Chart::new(plan.pair, &page.candles, plan.interval, plan.now);
    (chart.form, chart.theme, chart.size) = (plan.form, plan.theme, plan.size);
    (chart.from, chart.until) = (plan.from, plan.until);
    chart.is_simulated = plan.is_simulated;
    chart.note.clone_from(&plan.note);
    match media {
        PNG => chart.png(),
        _ => chart.svg().map(String::into_bytes),
    }
}

fn view_now(call: &Call) -> Wall {
    call.api.view.now().wall
}

/// The moment itself has no say in a picture, only whether the last candle has ended by then.
fn told_apart(page: &CandlesPage, interval: Interval, now: Wall) -> Wall {
    match page.candles.last() {
        Some(last) if last.start.plus(interval.length()) > now => last.start,
        _ => Wall::MAX,
    }
}

fn size(call: &Call) -> Result<Size, Problem> {
    let width = call.arguments.whole("width").unwrap_or(WIDTHS.2);
    let height = call.arguments.whole("height").unwrap_or(HEIGHTS.2);
    Size::new(width, height).map_err(|error| Problem::parameter("width", error.to_string()))
}
