//! Whether the broker of the bus can be reached and used.

use super::{Finding, Verdict, finding};
use crate::compose::Who;
use crate::config::bus::Broker;
use crate::config::{BusConfig, Config};
use kurs_bus::Examination;

/// Nothing when the bus does not leave the process.
pub(super) async fn ask(config: &Config) -> Vec<Finding> {
    let (address, examination) = match examine(&config.bus).await {
        Ok(Some(examined)) => examined,
        Ok(None) => return Vec::new(),
        // Valid as far as the configuration goes; still told rather than passed over.
        Err(failure) => {
            let fix = "set bus.url";
            return vec![finding(
                "bus.url",
                Verdict::Problem,
                failure.to_string(),
                fix,
            )];
        }
    };
    let troubles = examination.troubles.iter().map(|trouble| {
        let verdict = if trouble.is_fatal {
            Verdict::Problem
        } else {
            Verdict::Warning
        };
        let found = format!("{address}: {}", trouble.what);
        finding("bus.url", verdict, found, trouble.advice)
    });
    let mut findings: Vec<Finding> = troubles.collect();
    if findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Problem)
    {
        let found = format!("{address}, {}", examination.found.join(", "));
        findings.insert(0, finding("bus.url", Verdict::Ok, found, ""));
    }
    findings
}

/// The address without its password, and what a look at it shows.
async fn examine(bus: &BusConfig) -> Result<Option<(String, Examination)>, crate::exit::Failure> {
    let who = Who {
        name: "kurs doctor",
        seed: 0,
    };
    Ok(match bus.broker() {
        Some(Broker::Nats) => {
            let options = who.options(&bus.url, &bus.nats)?;
            let seen = kurs_nats::examine(&options).await;
            Some((options.address.to_string(), seen))
        }
        Some(Broker::Redis) => {
            let options = who.options(&bus.url, &bus.redis)?;
            let seen = kurs_redis::examine(&options).await;
            Some((options.address.to_string(), seen))
        }
        Some(Broker::RabbitMq) => {
            let options = who.options(&bus.url, &bus.rabbitmq)?;
            let seen = kurs_rabbitmq::examine(&options).await;
            Some((options.address.to_string(), seen))
        }
        Some(Broker::Memory) | None => None,
    })
}
