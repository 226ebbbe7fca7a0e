//! REST answers, of our own recordings and of others'.

use super::{Player, Told};
use crate::capture::line::Line;
use crate::capture::words::{self, Head};
use kurs_core::{Mono, Now};
use kurs_sources::Input;
use kurs_sources::venue::codec::Request;
use std::borrow::Cow;

impl Player {
    pub(super) fn answered(
        &mut self,
        now: Now,
        url: &str,
        line: &Line<'_>,
        head: Option<Head>,
    ) -> Told {
        let body: Cow<'_, [u8]> = line.bytes.clone().unwrap_or_default();
        let status = line.status.unwrap_or(200);
        if !self.is_venue() {
            if head.is_none() {
                self.take(now, Input::Asked);
            }
            let answer = Ok(words::fetched(status, head, &body));
            self.take(
                now,
                Input::Reply {
                    url,
                    answer: &answer,
                },
            );
            self.answers += 1;
            return Told::Frame;
        }
        match head {
            Some(Head::Tops { weight, sent_ns }) => {
                let path = url.to_owned();
                // Where lines were shifted or are late, no answer is older than its request.
                let sent_at = Mono(sent_ns).min(now.mono);
                self.tops(now, Request { path, weight }, sent_at, status, &body);
            }
            Some(Head::Book { symbol }) => {
                let symbol: &str = &symbol;
                let body: &[u8] = &body;
                self.take(
                    now,
                    Input::Book {
                        symbol,
                        status,
                        body,
                    },
                );
            }
            Some(Head::Reply { .. }) => return Told::Unused,
            None => {
                let (path, symbol) = path_and_symbol(url);
                self.discover(now, url);
                if path.ends_with("/depth")
                    && let Some(symbol) = symbol
                {
                    let body: &[u8] = &body;
                    self.take(
                        now,
                        Input::Book {
                            symbol,
                            status,
                            body,
                        },
                    );
                } else if path.ends_with("/ticker/bookTicker") {
                    let request = Request {
                        path: path.to_owned(),
                        weight: 1,
                    };
                    self.tops(now, request, now.mono, status, &body);
                } else {
                    return Told::Unused;
                }
            }
        }
        self.answers += 1;
        Told::Frame
    }

    fn tops(&mut self, now: Now, request: Request, sent_at: Mono, status: u16, body: &[u8]) {
        let request = &request;
        self.take(
            now,
            Input::Tops {
                request,
                sent_at,
                status,
                body,
            },
        );
    }
}

/// Path of a URL as recorders write them (`GET /api/v3/depth?symbol=X (inferred)` too), and the
/// symbol in its query.
fn path_and_symbol(url: &str) -> (&str, Option<&str>) {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let symbol = query
        .split(['&', ' '])
        .find_map(|part| part.strip_prefix("symbol="));
    (path, symbol)
}
