//! `kurs convert`.

use super::get::{Required, moment, rate_path};
use super::text_of;
use crate::cli::ServerArgs;
use crate::client::Method;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  kurs convert 0.5 BTC RUB
  kurs convert 100 USD BTC --plain    the number alone
";

/// Arguments of `convert`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ConvertArgs {
    /// How much, such as 0.5
    amount: String,
    /// Of what, such as BTC
    from: String,
    /// Into what, such as RUB
    to: String,
    /// Exit with 6 unless the rate is in this state
    #[arg(long, value_name = "STATE")]
    require: Option<Required>,
    /// Use an expired rate instead of failing
    #[arg(long)]
    allow_stale: bool,
    /// Convert by the rate of this moment of the past (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<String>,
    /// With --at: exactly the answer that had this number, where there are several of one moment
    #[arg(long, value_name = "SEQ", requires = "at")]
    seq: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(arguments: ConvertArgs, output: Output) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    let path = rate_path(&format!("{}-{}", arguments.from, arguments.to))?;
    let mut parameters = vec![("amount", arguments.amount.as_str())];
    if arguments.allow_stale {
        parameters.push(("allow_stale", "true"));
    }
    if let Some(at) = &arguments.at {
        parameters.push(("at", at));
    }
    let seq = arguments.seq.map(|seq| seq.to_string());
    if let Some(seq) = &seq {
        parameters.push(("seq", seq));
    }
    let answer = client.send(Method::Get, &path, &parameters, None).await?;
    let expired = answer
        .problem_kind()
        .is_some_and(|kind| kind == "rate-expired");
    let answer = answer.accepted().map_err(|failure| {
        let stale = expired && arguments.require.is_some();
        if stale {
            Failure {
                exit: Exit::Stale,
                ..failure
            }
        } else {
            failure
        }
    })?;
    let document = answer.json()?;
    let member = |name| text_of(&document, name);
    let pair = member("pair");
    let (from, to) = pair
        .split_once('-')
        .unwrap_or((&arguments.from, &arguments.to));
    match output.form {
        Form::Json => output.data(&answer.body)?,
        Form::Plain => output.data(&crate::output::clean(&member("result")))?,
        Form::Text => {
            let line = format!("{} {from} = {} {to}", member("amount"), member("result"));
            output.data(&crate::output::clean(&line))?;
            let rate = format!(
                "rate {} from {}, {}, observed {}",
                member("value"),
                member("source"),
                member("state"),
                member("observed_at")
            );
            output.say(&crate::output::clean(&rate));
        }
    }
    if arguments.require.is_some() && member("state") != "fresh" {
        return Err(Failure::new(Exit::Stale, "not fresh"));
    }
    Ok(Exit::Ok)
}
