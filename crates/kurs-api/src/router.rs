//! The whole HTTP surface on one page. What is declared here is what is routed, checked and
//! documented.

mod about;

use crate::admin::audit::{self, AuditDocument};
use crate::admin::keys::{self, KeysDocument, MadeKeyDocument, MakeKeyRequest, RotateKeyRequest};
use crate::admin::settings::{self, ChangeDocument, PatchRequest, SetRequest, SettingsDocument};
use crate::call::Call;
use crate::parameter::Type;
use crate::pattern::Form;
use crate::problem::Kind;
use crate::route::{Route, Work, schema_of};
use crate::state::HOT_PATH;
use crate::v1::alerts::{
    self, AlertDocument, AlertPatch, AlertRequest, AlertsDocument, DeliveriesDocument,
    DeliveryDocument, MadeAlertDocument,
};
use crate::v1::books::{self, BookDocument};
use crate::v1::candles::{self, CandleRow, CandlesDocument};
use crate::v1::changes::{self, ChangesDocument};
use crate::v1::courses::{self, CoursesDocument};
use crate::v1::currency::{self, CurrenciesDocument, TrackRequest};
use crate::v1::history::{self, HistoryDocument, PointDocument};
use crate::v1::kept::{self, GapsDocument, OfficialDocument, SnapshotsDocument};
use crate::v1::past;
use crate::v1::pictures;
use crate::v1::rates::{self, BatchDocument, RATE_PROBLEMS, RateAnswerSchema};
use crate::v1::sources::{self, PairsDocument, SourcesDocument, TrackedDocument};
use crate::{admin, auth, stream};
use http::{Method, StatusCode};
use kurs_auth::Scope;
use kurs_reader::{ListDocument, RateDocument};

const OK: StatusCode = StatusCode::OK;
const STALE: &str = "Answer an expired rate with 200 and its state instead of 503.";
const TICKET: &str = "A ticket of `/api/v1/stream/ticket`, in the place of a key.";
const BATCH: &str = "Up to 500 pairs with commas between them, each as BASE-QUOTE, also with `/` or `_`, without a separator (`BTCUSDT`), or by CoinGecko ids (`bitcoin-usd`). What is none of these is named in `errors`.";
const CHANGED: &str = "Up to 500 pairs with commas between them. None: all configured directions.";
const PAIR: &str = "A pair as BASE-QUOTE, also with `/` or `_`, without a separator (`BTCUSDT`), or by CoinGecko ids (`bitcoin-usd`).";

/// Every route.
pub(crate) fn routes() -> Vec<Route> {
    let mut all = rate_routes();
    all.extend(stream_routes());
    all.extend(candle_routes());
    all.extend(kept_routes());
    all.extend(tracking_routes());
    all.extend(alert_routes());
    all.extend(admin_routes());
    all.extend(about::operations());
    all.extend(about::documentation());
    all
}

fn rate_routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/courses", "getCourses", courses::courses)
            .also_at(&["/courses", "/api/courses"])
            .about("Rates as numbers", "The form of older clients: one JSON number per direction, with all digits of the exact decimal. A direction without a rate does not fail the others: it is named in `errors`, which is there only then.")
            .list("direction", Form::Pairs, PAIR)
            .list("directions", Form::Pairs, "The same as `direction`. Without either: all configured directions.")
            .query("exchanger", Form::Source, "Answer from this source, one of /api/v1/sources; what it lacks is derived. Without it every rate is as its policy makes it.")
            .flag("allow_stale", STALE)
            .gives::<CoursesDocument>(OK, "The rates that are there, in the order asked for.")
            .or(&RATE_PROBLEMS)
            .or(&[Kind::UnknownSource, Kind::RateSuspect]),
        Route::get("/api/v1/currency_pair", "getCurrencyPair", courses::currency_pair)
            .also_at(&["/currency_pair", "/api/currency_pair"])
            .about("One rate as a number", "The same body as `/courses`, with one element.")
            .required("currency_pair", Type::Text(Form::Pair), PAIR)
            .query("exchanger", Form::Source, "Answer from this source, one of /api/v1/sources.")
            .flag("allow_stale", STALE)
            .gives::<CoursesDocument>(OK, "The rate.")
            .or(&RATE_PROBLEMS)
            .or(&[Kind::UnknownSource, Kind::RateSuspect]),
        Route::get("/api/v1/rates", "getRates", rates::batch)
            .also_at(&["/rates", "/api/rates"])
            .about("A batch of rates", "One bad pair does not fail the others: it is named in `errors`.")
            .required("pairs", Type::Repeated(Form::Listing), BATCH)
            .flag("allow_stale", STALE)
            .gives::<BatchDocument>(OK, "The rates that are there, and why the others are not."),
        Route::get("/api/v1/rates/{base}", "listRates", rates::list)
            .also_at(&["/rates/{base}", "/api/rates/{base}"])
            .about("All rates of one asset", "Every quote asset that can be reached from it with a fresh rate.")
            .path("base", Form::Asset, "The asset that is priced.")
            .flag("allow_stale", "When no rate is fresh, answer the last known ones with 200 and their states instead of 503.")
            .gives::<ListDocument>(OK, "The rates, by quote asset.")
            .or(&[Kind::UnknownAsset, Kind::UnknownPair, Kind::RateExpired, Kind::NoRateYet]),
        Route::get(HOT_PATH, "getRate", rates::one)
            .also_at(&["/rates/{base}/{quote}", "/api/rates/{base}/{quote}"])
            .about("One rate", "With its state, source, path and times; on request with a converted amount, or with everything behind it.")
            .path("base", Form::Asset, "The asset that is priced.")
            .path("quote", Form::Asset, "The asset the price is counted in.")
            .query("amount", Form::Amount, "Convert this amount of the base asset.")
            .query("at", Form::Time, "Answer as at this moment of the past, to the millisecond, from what was published by then.")
            .query("seq", Form::Seq, "With `at`: of what was published in that very millisecond only what has at most this number. With `published_at` and `seq` of an answer, exactly that answer is told again.")
            .flag("explain", "Add legs, constituents, rejections and the reason for the source in use.")
            .flag("allow_stale", STALE)
            .gives::<RateAnswerSchema>(OK, "The rate.")
            .or(&RATE_PROBLEMS)
            .or(&[Kind::NoRateThen, Kind::NotRecordedYet, Kind::StoreUnavailable, Kind::TooBusy])
            .with("at", past::rate_at),
        Route::waiting(Method::GET, "/api/v1/history/{base}/{quote}", "getHistory", history::history)
            .tag("history")
            .needs(Scope::History)
            .about("Every stored rate of a pair", "Oldest first, page by page; `Link` with `rel=\"next\"` leads on. By `Accept` as JSON, NDJSON or CSV.")
            .path("base", Form::Asset, "The asset that is priced.")
            .path("quote", Form::Asset, "The asset the price is counted in.")
            .query("start", Form::Time, "Received at or after; 24 hours before `end` unless given.")
            .query("end", Form::Time, "Received before; now unless given.")
            .query("source", Form::Source, "Only from this source.")
            .flag("published", "What was published instead of what was received; it is so without asking of a pair that no source gives itself.")
            .whole("limit", history::LIMITS, "Rows per page.")
            .query("cursor", Form::Cursor, "Go on where an earlier page ended.")
            .gives_forms(OK, "A page.", history::FORMS.into_iter().zip([
                Some(schema_of::<HistoryDocument> as _),
                Some(schema_of::<PointDocument> as _),
                None,
            ]).collect())
            .or(&[Kind::UnknownAsset, Kind::UnknownPair, Kind::UnknownSource, Kind::StoreUnavailable, Kind::TooBusy]),
    ]
}

fn stream_routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/stream", "streamRates", stream::events)
            .tag("streams")
            .needs(Scope::Stream)
            .about("Rates as they change, as server-sent events", "First `hello`, then `snapshot` with how everything stands, then every change; `heartbeat` while there is none. The `id` of an event goes with the next request as `Last-Event-ID`, to any instance: what was missed is told first, or `gap` and a snapshot when that is not known any more. A client that is too slow hears `gap` and the newest of each topic.")
            .list("pairs", Form::Listing, "Pairs to listen to, with commas between them: published or derived.")
            .list("topics", Form::Listing, "What else to listen to: `rate:PAIR`, `rates` (all that are published), `top:SOURCE:PAIR` (a source's own best prices), `sources`. Without pairs and topics: `rates`.")
            .query("ticket", Form::Cursor, TICKET)
            .query("last_event_id", Form::Listing, "The same as the header `Last-Event-ID`.")
            .gives_forms(OK, "The events, until the client or this instance ends.", vec![(stream::EVENT_STREAM, None)])
            .or(&[Kind::NotReady, Kind::TooBusy]),
        Route::post("/api/v1/stream/ticket", "makeStreamTicket", auth::ticket)
            .tag("streams")
            .needs(Scope::Stream)
            .about("A ticket for a stream", "For pages in a browser, which cannot send a header when they open a stream: good once, for 30 seconds, on this instance, for `/api/v1/stream?ticket=` and `/api/v1/ws?ticket=`. A key must never be part of a URL.")
            .gives::<auth::TicketDocument>(OK, "The ticket.")
            .or(&[Kind::TooBusy]),
        Route::get("/api/v1/ws", "socket", stream::socket::open)
            .tag("streams")
            .needs(Scope::Stream)
            .about("The same over WebSocket", "Subprotocol `kurs.v1.json`. Commands `{\"id\":1,\"op\":\"subscribe\",\"topics\":[\"rate:BTC-USD\"],\"resume_from\":\"0.3-120\"}` with `op` in `subscribe`, `unsubscribe`, `list`, `ping`; each is answered with `{\"id\":1,\"ok\":true}` or its error. Events come as `{\"event\":\"rate\",\"id\":\"0.3-121\",\"data\":{}}`.")
            .query("ticket", Form::Cursor, TICKET)
            .gives_forms(StatusCode::SWITCHING_PROTOCOLS, "The connection speaks WebSocket.", Vec::new())
            .or(&[Kind::UpgradeRequired, Kind::Forbidden, Kind::NotReady, Kind::TooBusy]),
    ]
}

fn candle_routes() -> Vec<Route> {
    vec![
        Route::waiting(Method::GET, "/api/v1/candles/{base}/{quote}", "getCandles", candles::candles)
            .tag("history")
            .needs(Scope::History)
            .about("Candles of a pair", "Open, high, low and close of what was published, or of what one source said. A pair that is not published itself is joined from its markets, and says so. Oldest first, page by page; `Link` with `rel=\"next\"` leads on. By `Accept` as JSON, NDJSON or CSV.")
            .path("base", Form::Asset, "The asset that is priced.")
            .path("quote", Form::Asset, "The asset the price is counted in.")
            .query("interval", Form::Interval, "Length of a candle, `1m` unless given. `1s` is kept of published rates only.")
            .query("start", Form::Time, "Candles that begin at or after; as many candles before `end` as `limit` says, unless given.")
            .query("end", Form::Time, "Candles that begin before; now unless given.")
            .query("source", Form::Source, "Of what this source said, instead of what was published.")
            .whole("limit", history::LIMITS, "Candles per page.")
            .query("cursor", Form::Cursor, "Go on where an earlier page ended.")
            .gives_forms(OK, "A page. The candle that is still open is in it, with `closed` false.", history::FORMS.into_iter().zip([
                Some(schema_of::<CandlesDocument> as _),
                Some(schema_of::<CandleRow> as _),
                None,
            ]).collect())
            .or(&[Kind::UnknownAsset, Kind::UnknownPair, Kind::UnknownSource, Kind::StoreUnavailable, Kind::TooBusy]),
        Route::waiting(Method::GET, "/api/v1/changes", "getChanges", changes::changes)
            .tag("history")
            .needs(Scope::History)
            .about("How rates have changed", "Within an hour and a day, in percent, with an outline of the day of at most 48 closes. Computed once a minute from candles. One bad pair does not fail the others: it is named in `errors`.")
            .list("pairs", Form::Listing, CHANGED)
            .gives::<ChangesDocument>(OK, "The changes, in the order asked for.")
            .or(&[Kind::StoreUnavailable, Kind::TooBusy]),
        picture("/api/v1/candles/{base}/{quote}.svg", "getCandlesSvg", pictures::svg, pictures::SVG)
            .about("Candles of a pair as a picture (SVG)", PICTURE),
        picture("/api/v1/candles/{base}/{quote}.png", "getCandlesPng", pictures::png, pictures::PNG)
            .about("Candles of a pair as a picture (PNG)", PICTURE),
    ]
}

const PICTURE: &str = "The same candles, drawn: with the last value, its change over the time shown, and times in UTC. Missing candles are gaps, the one that is still open is hollow, simulated prices are marked. Where there are more candles than there is room for, neighbours are folded into one, and the picture says so.";

fn picture(
    path: &'static str,
    name: &'static str,
    handler: fn(Call) -> Work,
    media: &'static str,
) -> Route {
    Route::waiting(Method::GET, path, name, handler)
        .tag("history")
        .needs(Scope::History)
        .path("base", Form::Asset, "The asset that is priced.")
        .path("quote", Form::Asset, "The asset the price is counted in.")
        .query("interval", Form::Interval, "Length of a candle, `1m` unless given. `1s` is kept of published rates only.")
        .query("start", Form::Time, "Candles that begin at or after; as many candles before `end` as `limit` says, unless given.")
        .query("end", Form::Time, "Candles that begin before; now unless given.")
        .query("source", Form::Source, "Of what this source said, instead of what was published.")
        .whole("limit", history::LIMITS, "Candles at most.")
        .query("form", Form::Drawing, "`candles` or `line`; `candles` unless given.")
        .query("theme", Form::Theme, "`light` or `dark`; `light` unless given.")
        .whole("width", pictures::WIDTHS, "Pixels across.")
        .whole("height", pictures::HEIGHTS, "Pixels down.")
        .gives_forms(OK, "The picture.", vec![(media, None)])
        .or(&[Kind::UnknownAsset, Kind::UnknownPair, Kind::UnknownSource, Kind::StoreUnavailable, Kind::TooBusy])
}

fn kept_routes() -> Vec<Route> {
    const SOURCE: &str = "The source, one of /api/v1/sources.";
    vec![
        Route::waiting(Method::GET, "/api/v1/official/{source}/{symbol}", "getOfficial", kept::official)
            .tag("history")
            .needs(Scope::History)
            .about("Official rates of a bank", "The rate of each calendar day, apart from all blended rates. A correction is a further version; all versions stay.")
            .path("source", Form::Source, SOURCE)
            .path("symbol", Form::Pair, PAIR)
            .query("start", Form::Time, "Days from this one on; 30 days before `end` unless given.")
            .query("end", Form::Time, "Days before this one; all up to now unless given.")
            .whole("limit", kept::LIMITS, "Versions per answer.")
            .gives::<OfficialDocument>(OK, "The rates, by day and version.")
            .or(&[Kind::UnknownPair, Kind::UnknownSource, Kind::StoreUnavailable, Kind::TooBusy]),
        Route::waiting(Method::GET, "/api/v1/gaps", "getGaps", kept::gaps)
            .tag("history")
            .needs(Scope::History)
            .about("The gap ledger", "Times in which a source gave nothing usable of a pair, or in which kurs did not run.")
            .query("pair", Form::Pair, PAIR)
            .query("source", Form::Source, "Only of this source.")
            .query("start", Form::Time, "Not ended before; 30 days before `end` unless given.")
            .query("end", Form::Time, "Begun before; now unless given.")
            .whole("limit", kept::LIMITS, "Gaps per answer.")
            .gives::<GapsDocument>(OK, "The gaps, by their begin.")
            .or(&[Kind::UnknownPair, Kind::UnknownSource, Kind::StoreUnavailable, Kind::TooBusy]),
        Route::waiting(Method::GET, "/api/v1/books/{source}/{symbol}/snapshots", "getBookSnapshots", kept::snapshots)
            .tag("history")
            .needs(Scope::History)
            .about("Order books of the past", "As they were written down every `recorder.book_every_seconds`.")
            .path("source", Form::Source, SOURCE)
            .path("symbol", Form::Pair, PAIR)
            .query("start", Form::Time, "Taken at or after; an hour before `end` unless given.")
            .query("end", Form::Time, "Taken before; now unless given.")
            .whole("limit", kept::LIMITS, "Books per answer.")
            .gives::<SnapshotsDocument>(OK, "The books, oldest first.")
            .or(&[Kind::UnknownPair, Kind::UnknownSource, Kind::StoreUnavailable, Kind::TooBusy]),
    ]
}

fn tracking_routes() -> Vec<Route> {
    const SYMBOL: &str = "A symbol, such as `BTCUSDT`; any case, with or without a separator. A symbol of the same pair is found too.";
    vec![
        Route::get("/api/v1/currencies", "listCurrencies", currency::list)
            .tag("tracking")
            .also_at(&["/currencies", "/api/currencies"])
            .about("The tracked symbols", "")
            .gives::<CurrenciesDocument>(OK, "The symbols, oldest first."),
        Route::waiting(Method::POST, "/api/v1/currency", "addCurrency", currency::add)
            .tag("tracking")
            .needs(Scope::Admin)
            .also_at(&["/currency", "/api/currency"])
            .about("Track a symbol", "On every enabled streaming venue that lists it, without restart, on every instance, for good.")
            .takes::<TrackRequest>()
            .gives::<TrackedDocument>(StatusCode::CREATED, "It is tracked from now on.")
            .gives::<TrackedDocument>(OK, "It was tracked already.")
            .or(&[Kind::Forbidden, Kind::NotListed, Kind::WriterUnavailable]),
        Route::get("/api/v1/currency/{symbol}", "getCurrency", currency::get)
            .tag("tracking")
            .also_at(&["/currency/{symbol}", "/api/currency/{symbol}"])
            .about("The rate of a tracked symbol", "")
            .path("symbol", Form::Symbol, SYMBOL)
            .flag("allow_stale", STALE)
            .gives::<RateDocument>(OK, "The rate.")
            .or(&RATE_PROBLEMS)
            .or(&[Kind::UnknownSymbol]),
        Route::waiting(Method::DELETE, "/api/v1/currency/{symbol}", "removeCurrency", currency::remove)
            .tag("tracking")
            .needs(Scope::Admin)
            .also_at(&["/currency/{symbol}", "/api/currency/{symbol}"])
            .about("Stop tracking a symbol", "")
            .path("symbol", Form::Symbol, SYMBOL)
            .gives_forms(StatusCode::NO_CONTENT, "It is not tracked any more.", Vec::new())
            .or(&[Kind::Forbidden, Kind::UnknownSymbol, Kind::WriterUnavailable]),
        Route::get("/api/v1/sources", "listSources", sources::sources)
            .tag("sources")
            .about("The sources", "State, ages, reconnects, failures and limits of each.")
            .gives::<SourcesDocument>(OK, "The sources, in order of preference."),
        Route::waiting(Method::GET, "/api/v1/books/{source}/{symbol}", "getBook", books::book)
            .tag("sources")
            .about("One order book", "The book of one source as it is in step with the venue at this moment, with its fair prices. It changes many times a second and is never cached.")
            .path("source", Form::Source, "The source, such as `binance`.")
            .path("symbol", Form::Symbol, "The symbol, such as `BTCUSDT` or `BTC-USDT`; any case, with or without a separator.")
            .whole("depth", books::LEVELS, "Levels per side.")
            .gives::<BookDocument>(OK, "The book.")
            .or(&[Kind::UnknownSource, Kind::UnknownBook, Kind::UnknownPair, Kind::BookNotReady, Kind::WriterUnavailable]),
        Route::get("/api/v1/pairs", "listPairs", sources::pairs)
            .tag("sources")
            .about("What is followed", "Configured directions, published pairs, tracked symbols.")
            .gives::<PairsDocument>(OK, "The pairs."),
    ]
}

fn alert_routes() -> Vec<Route> {
    const ID: &str = "The id of the alert.";
    const ASKED: [Kind; 3] = [Kind::Forbidden, Kind::UnknownAlert, Kind::StoreUnavailable];
    let route = |method, path, name, handler| {
        Route::waiting(method, path, name, handler)
            .tag("alerts")
            .needs(Scope::Admin)
    };
    vec![
        route(Method::GET, "/api/v1/alerts", "listAlerts", alerts::list)
            .about("The alerts", "Those of chats among them; never what webhooks are signed with.")
            .gives::<AlertsDocument>(OK, "The alerts, oldest first.")
            .or(&[Kind::Forbidden, Kind::StoreUnavailable]),
        route(Method::POST, "/api/v1/alerts", "addAlert", alerts::add)
            .about("Make an alert", "It fires once, and again only after what it watches has come back. What it tells is told until the target has it, at most for a day. The answer holds the secret that bodies for a webhook are signed with; it is not told again. The same `Idempotency-Key` from the same caller makes one alert within a day, and gives the same answer.")
            .takes::<AlertRequest>()
            .gives::<MadeAlertDocument>(StatusCode::CREATED, "It is watched from now on.")
            .gives::<MadeAlertDocument>(OK, "The same request made it before.")
            .or(&[Kind::Forbidden, Kind::InvalidAlert, Kind::TooManyAlerts, Kind::StoreUnavailable]),
        route(Method::GET, "/api/v1/alerts/{id}", "getAlert", alerts::get)
            .about("One alert", "")
            .path("id", Form::Cursor, ID)
            .gives::<AlertDocument>(OK, "The alert.")
            .or(&ASKED),
        route(Method::PATCH, "/api/v1/alerts/{id}", "changeAlert", alerts::change)
            .about("Change an alert", "What is not named stays. With `If-Match` and the `ETag` of the alert only if no other change came first.")
            .path("id", Form::Cursor, ID)
            .takes::<AlertPatch>()
            .gives::<AlertDocument>(OK, "It is changed.")
            .or(&ASKED)
            .or(&[Kind::InvalidAlert, Kind::PreconditionFailed]),
        route(Method::DELETE, "/api/v1/alerts/{id}", "removeAlert", alerts::remove)
            .about("Remove an alert", "With everything that it has told, or has still to tell.")
            .path("id", Form::Cursor, ID)
            .gives_forms(StatusCode::NO_CONTENT, "It is gone.", Vec::new())
            .or(&ASKED),
        route(Method::GET, "/api/v1/alerts/{id}/deliveries", "listDeliveries", alerts::deliveries)
            .about("What an alert has told", "And has still to tell; kept for `alerts.keep_days` days.")
            .path("id", Form::Cursor, ID)
            .whole("limit", alerts::LIMITS, "Deliveries per answer.")
            .gives::<DeliveriesDocument>(OK, "The deliveries, newest first.")
            .or(&ASKED),
        route(Method::POST, "/api/v1/alerts/{id}/test", "testAlert", alerts::test)
            .about("Try the target of an alert", "Tells it something with `is_test` true, on the way of all others.")
            .path("id", Form::Cursor, ID)
            .gives::<DeliveryDocument>(StatusCode::ACCEPTED, "It will be told.")
            .or(&ASKED),
    ]
}

fn admin_routes() -> Vec<Route> {
    const KEY: &str = "A key of the configuration, such as `sources.binance.enabled` or `policy.BTC-RUB`; `may_be_set` of the list says which.";
    const KEY_ID: &str = "The id of a key: what stands between the second and third `_` of it.";
    const CHANGES: [Kind; 4] = [
        Kind::Forbidden,
        Kind::PreconditionFailed,
        Kind::InvalidSetting,
        Kind::WriterUnavailable,
    ];
    vec![
        Route::waiting(Method::GET, "/api/v1/admin/settings", "listSettings", settings::list)
            .tag("admin")
            .needs(Scope::Admin)
            .about("What is set", "Everything that was set while kurs ran, whether this instance acts by it, and what its configuration says without. A setting is stronger than file and environment, and weaker than a flag.")
            .gives::<SettingsDocument>(OK, "The settings, by key.")
            .or(&[Kind::Forbidden, Kind::StoreUnavailable]),
        Route::waiting(Method::PATCH, "/api/v1/admin/settings", "changeSettings", settings::patch)
            .tag("admin")
            .needs(Scope::Admin)
            .about("Change several settings", "All of them or none. With `If-Match` and the `ETag` of the list only if no other change came first. In force on every instance within a second; the answer waits for this one.")
            .takes::<PatchRequest>()
            .up_to(admin::BODY_BYTES)
            .gives::<ChangeDocument>(OK, "They are set.")
            .or(&CHANGES)
            .or(&[Kind::StoreUnavailable]),
        Route::waiting(Method::PUT, "/api/v1/admin/settings/{key}", "putSetting", settings::set)
            .tag("admin")
            .needs(Scope::Admin)
            .about("Set a value", "It is checked as a value of the configuration file is, together with all others. A value that is set already changes nothing.")
            .path("key", Form::Setting, KEY)
            .takes::<SetRequest>()
            .up_to(admin::BODY_BYTES)
            .gives::<ChangeDocument>(OK, "It is set.")
            .or(&CHANGES)
            .or(&[Kind::StoreUnavailable]),
        Route::waiting(Method::DELETE, "/api/v1/admin/settings/{key}", "deleteSetting", settings::unset)
            .tag("admin")
            .needs(Scope::Admin)
            .about("Take a setting away", "What the configuration says holds again. A key that is not set changes nothing.")
            .path("key", Form::Setting, KEY)
            .query("why", Form::Line, "What for, for the audit log.")
            .gives::<ChangeDocument>(OK, "It is not set.")
            .or(&CHANGES)
            .or(&[Kind::StoreUnavailable]),
        Route::waiting(Method::GET, "/api/v1/admin/keys", "listKeys", keys::list)
            .tag("admin")
            .needs(Scope::Admin)
            .about("The API keys", "All of them, revoked and expired ones among them; never the keys themselves.")
            .gives::<KeysDocument>(OK, "The keys, oldest first.")
            .or(&[Kind::Forbidden, Kind::StoreUnavailable]),
        Route::waiting(Method::POST, "/api/v1/admin/keys", "createKey", keys::add)
            .tag("admin")
            .needs(Scope::Admin)
            .about("Make an API key", "The answer shows it, this once. From the first key on, changes need one.")
            .takes::<MakeKeyRequest>()
            .gives::<MadeKeyDocument>(StatusCode::CREATED, "The key.")
            .or(&[Kind::Forbidden, Kind::StoreUnavailable, Kind::TooBusy]),
        Route::waiting(Method::POST, "/api/v1/admin/keys/{id}/rotate", "rotateKey", keys::rotate)
            .tag("admin")
            .needs(Scope::Admin)
            .about("Make a key in the place of another one", "With the same name and scopes; the old one is good for a while still.")
            .path("id", Form::KeyId, KEY_ID)
            .takes::<RotateKeyRequest>()
            .gives::<MadeKeyDocument>(StatusCode::CREATED, "The key.")
            .or(&[Kind::Forbidden, Kind::UnknownKey, Kind::KeyIsOver, Kind::StoreUnavailable, Kind::TooBusy]),
        Route::waiting(Method::DELETE, "/api/v1/admin/keys/{id}", "revokeKey", keys::revoke)
            .tag("admin")
            .needs(Scope::Admin)
            .about("Take a key back, for ever", "On every instance within a second; what is open for it ends.")
            .path("id", Form::KeyId, KEY_ID)
            .query("why", Form::Line, "What for, for the audit log.")
            .gives_forms(StatusCode::NO_CONTENT, "It opens nothing any more.", Vec::new())
            .or(&[Kind::Forbidden, Kind::UnknownKey, Kind::StoreUnavailable]),
        Route::waiting(Method::GET, "/api/v1/admin/audit", "getAudit", audit::audit)
            .tag("admin")
            .needs(Scope::Admin)
            .about("The audit log", "Who changed what, and when: settings, tracked symbols, keys. Newest first, page by page; `Link` with `rel=\"next\"` leads on.")
            .query("start", Form::Time, "At or after.")
            .query("end", Form::Time, "Before.")
            .query("who", Form::Line, "Only by this one, such as `key:3kTMd92x`.")
            .query("subject", Form::Line, "Only of this, such as `sources.binance.enabled`.")
            .whole("limit", audit::LIMITS, "Entries per page.")
            .query("cursor", Form::Cursor, "Go on where an earlier page ended.")
            .gives::<AuditDocument>(OK, "A page.")
            .or(&[Kind::Forbidden, Kind::StoreUnavailable, Kind::TooBusy]),
    ]
}
