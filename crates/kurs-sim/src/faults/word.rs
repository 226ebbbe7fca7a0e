//! Faults as text. The JSON of the control route and the word of a command line become the same
//! flat record, which is then checked.

use super::{Channel, Fault, FaultKind, Scope, WrongPrice};
use crate::venue::{UnknownVenue, Venue};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// A fault with its venue, as it is written: `{"venue":"binance","fault":"stall"}` in JSON,
/// `binance:stall:channel=ws` as a word.
///
/// | `fault` | its own keys |
/// |---|---|
/// | `cut`, `reset`, `refuse` | |
/// | `stall` | `pongs` (true: pings go on) |
/// | `delay` | `ms` |
/// | `drop`, `duplicate`, `malformed` | `percent` (100) |
/// | `status`, or the number itself such as `429` | `status`, `retry_after` (seconds) |
/// | `wrong_price`, also called `poison` | `factor` (decimal, a string in JSON) or `raw` (any text) |
/// | `flap` | `period_ms` (1000) |
/// | `gap` | `percent`; without it `times` is 1: the next diff is lost |
/// | `checksum`, `crossed`, `stale_snapshot` | `times` is 1 unless given |
/// | `restart`, `garbage` | |
///
/// Every fault takes `channel` (`ws`, `rest`), `symbol`, `route` (end of the path) and `times`
/// (hits until it heals by itself).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct FaultWord {
    /// Whose fault.
    pub venue: Venue,
    /// The fault.
    pub fault: Fault,
}

/// Why a text is no fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultError {
    /// The venue is not known.
    #[error(transparent)]
    Venue(#[from] UnknownVenue),
    /// The fault is not known.
    #[error(
        "{0:?} is no fault; there are cut, reset, refuse, stall, delay, drop, duplicate, malformed, wrong_price (or poison), flap, gap, checksum, crossed, stale_snapshot, restart, garbage and a status such as 429"
    )]
    Unknown(String),
    /// A value is missing or out of range.
    #[error("{key}: {why}")]
    Value {
        /// Which value.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The venue has nothing that this fault could break.
    #[error("{venue} has nothing that {fault:?} could break")]
    Misplaced {
        /// The venue.
        venue: Venue,
        /// The fault.
        fault: String,
    },
    /// Not written as `venue:fault[:key=value]...`.
    #[error("a fault is written venue:fault[:key=value]..., such as coingecko:429:retry_after=30")]
    Shape,
}

/// The flat record. `retry_after`: seconds; `ms`: of delay; `period`: ms of a flap.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    venue: String,
    fault: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<Channel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pongs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    period_ms: Option<u64>,
}

/// A delay or a flap longer than this is a mistake.
const LONGEST_MS: u64 = 3_600_000;

fn wrong(key: &str, why: &'static str) -> FaultError {
    FaultError::Value {
        key: key.to_owned(),
        why,
    }
}

impl Written {
    fn percent(&self) -> Result<u8, FaultError> {
        match self.percent.unwrap_or(100) {
            percent @ 0..=100 => Ok(percent),
            _ => Err(wrong("percent", "must be 0 to 100")),
        }
    }

    fn status(&self, status: u16) -> Result<FaultKind, FaultError> {
        if !(400..=599).contains(&status) {
            return Err(wrong("status", "must be 400 to 599"));
        }
        Ok(FaultKind::Status {
            status,
            retry_after_seconds: self.retry_after,
        })
    }

    fn kind(&self) -> Result<FaultKind, FaultError> {
        if let Ok(status) = self.fault.parse() {
            return self.status(status);
        }
        Ok(match self.fault.as_str() {
            "cut" => FaultKind::Cut,
            "reset" => FaultKind::Reset,
            "refuse" => FaultKind::Refuse,
            "stall" => FaultKind::Stall {
                pongs: self.pongs.unwrap_or(true),
            },
            "delay" => match self.ms {
                Some(ms @ 1..=LONGEST_MS) => FaultKind::Delay(Duration::from_millis(ms)),
                _ => return Err(wrong("ms", "must be 1 to 3600000")),
            },
            "drop" => FaultKind::Drop {
                percent: self.percent()?,
            },
            "duplicate" => FaultKind::Duplicate {
                percent: self.percent()?,
            },
            "malformed" => FaultKind::Malformed {
                percent: self.percent()?,
            },
            "status" => self.status(self.status.unwrap_or(0))?,
            "gap" => FaultKind::Gap {
                percent: self.percent()?,
            },
            "checksum" => FaultKind::Checksum,
            "crossed" => FaultKind::Crossed,
            "stale_snapshot" => FaultKind::StaleSnapshot,
            "restart" => FaultKind::Restart,
            "garbage" => FaultKind::Garbage,
            "wrong_price" | "poison" => FaultKind::WrongPrice(match (self.factor, &self.raw) {
                (Some(factor), None) => WrongPrice::Factor(factor),
                (None, Some(raw)) if raw.len() <= 400 => WrongPrice::Raw(raw.clone()),
                _ => return Err(wrong("wrong_price", "needs either factor or raw")),
            }),
            "flap" => match self.period_ms.unwrap_or(1_000) {
                ms @ 20..=LONGEST_MS => FaultKind::Flap {
                    period: Duration::from_millis(ms),
                },
                _ => return Err(wrong("period_ms", "must be 20 to 3600000")),
            },
            _ => return Err(FaultError::Unknown(self.fault.clone())),
        })
    }
}

/// Hits of a fault that is written without `times`.
const fn times_unless_given(kind: &FaultKind, percent: Option<u8>) -> Option<u32> {
    match kind {
        FaultKind::Gap { .. } if percent.is_none() => Some(1),
        FaultKind::Checksum | FaultKind::Crossed | FaultKind::StaleSnapshot => Some(1),
        _ => None,
    }
}

impl TryFrom<Written> for FaultWord {
    type Error = FaultError;

    fn try_from(written: Written) -> Result<Self, FaultError> {
        let venue: Venue = written.venue.parse()?;
        let kind = written.kind()?;
        if !kind.fits(venue) {
            return Err(FaultError::Misplaced {
                venue,
                fault: written.fault,
            });
        }
        let unless_given = times_unless_given(&kind, written.percent);
        let Written {
            channel,
            symbol,
            route,
            times,
            ..
        } = written;
        Ok(Self {
            venue,
            fault: Fault {
                kind,
                scope: Scope {
                    channel,
                    symbol,
                    route,
                    times: times.or(unless_given),
                },
            },
        })
    }
}

fn millis(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_millis()).ok()
}

impl From<FaultWord> for Written {
    fn from(word: FaultWord) -> Self {
        let Scope {
            channel,
            symbol,
            route,
            times,
        } = word.fault.scope;
        let mut written = Self {
            venue: word.venue.to_string(),
            channel,
            symbol,
            route,
            times,
            ..Self::default()
        };
        let name = match word.fault.kind {
            FaultKind::Cut => "cut",
            FaultKind::Reset => "reset",
            FaultKind::Refuse => "refuse",
            FaultKind::Stall { pongs } => {
                written.pongs = Some(pongs);
                "stall"
            }
            FaultKind::Delay(delay) => {
                written.ms = millis(delay);
                "delay"
            }
            FaultKind::Drop { percent } => {
                written.percent = Some(percent);
                "drop"
            }
            FaultKind::Duplicate { percent } => {
                written.percent = Some(percent);
                "duplicate"
            }
            FaultKind::Malformed { percent } => {
                written.percent = Some(percent);
                "malformed"
            }
            FaultKind::Status {
                status,
                retry_after_seconds,
            } => {
                written.status = Some(status);
                written.retry_after = retry_after_seconds;
                "status"
            }
            FaultKind::WrongPrice(WrongPrice::Factor(factor)) => {
                written.factor = Some(factor);
                "wrong_price"
            }
            FaultKind::WrongPrice(WrongPrice::Raw(raw)) => {
                written.raw = Some(raw);
                "wrong_price"
            }
            FaultKind::Flap { period } => {
                written.period_ms = millis(period);
                "flap"
            }
            FaultKind::Gap { percent } => {
                written.percent = Some(percent);
                "gap"
            }
            FaultKind::Checksum => "checksum",
            FaultKind::Crossed => "crossed",
            FaultKind::StaleSnapshot => "stale_snapshot",
            FaultKind::Restart => "restart",
            FaultKind::Garbage => "garbage",
        };
        written.fault = name.to_owned();
        written
    }
}

impl FromStr for FaultWord {
    type Err = FaultError;

    /// Reads `venue:fault[:key=value]...`, the keys being those of the JSON form.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut parts = text.split(':');
        let (Some(venue), Some(fault)) = (parts.next(), parts.next()) else {
            return Err(FaultError::Shape);
        };
        let mut written = Written {
            venue: venue.to_owned(),
            fault: fault.to_owned(),
            ..Written::default()
        };
        for part in parts {
            let (key, value) = part.split_once('=').ok_or(FaultError::Shape)?;
            let bad = |_| wrong(key, "is no number of the kind wanted here");
            match key {
                "channel" => {
                    written.channel = Some(match value {
                        "ws" => Channel::Ws,
                        "rest" => Channel::Rest,
                        _ => return Err(wrong(key, "must be ws or rest")),
                    });
                }
                "symbol" => written.symbol = Some(value.to_owned()),
                "route" => written.route = Some(value.to_owned()),
                "raw" => written.raw = Some(value.to_owned()),
                "pongs" => {
                    written.pongs = Some(
                        value
                            .parse()
                            .map_err(|_| wrong(key, "must be true or false"))?,
                    );
                }
                "factor" => {
                    written.factor = Some(
                        value
                            .parse()
                            .map_err(|_| wrong(key, "must be a decimal number"))?,
                    );
                }
                "times" => written.times = Some(value.parse().map_err(bad)?),
                "ms" => written.ms = Some(value.parse().map_err(bad)?),
                "percent" => written.percent = Some(value.parse().map_err(bad)?),
                "status" => written.status = Some(value.parse().map_err(bad)?),
                "retry_after" => written.retry_after = Some(value.parse().map_err(bad)?),
                "period_ms" => written.period_ms = Some(value.parse().map_err(bad)?),
                _ => return Err(wrong(key, "is no setting of a fault")),
            }
        }
        written.try_into()
    }
}

#[cfg(test)]
mod tests;
