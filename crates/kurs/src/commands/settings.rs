//! The flags that set the configuration, shared by all commands that read it.

use crate::cli::Global;
use crate::config::{FlagValue, Inputs};
use crate::exit::{Exit, Failure};
use clap::Args;
use std::path::PathBuf;

/// Flags that set the configuration.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct SettingsArgs {
    /// Configuration file [default: kurs.toml if it is there; env: KURS_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Any other key, such as --set sources.ecb.enabled=false; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Address and port to serve on
    #[arg(long, alias = "addr", value_name = "ADDRESS")]
    pub http_addr: Option<String>,
    /// Where rates are kept, such as sqlite:kurs.db
    #[arg(long, value_name = "URL")]
    pub store_url: Option<String>,
    /// How updates travel
    #[arg(long, value_name = "URL")]
    pub bus_url: Option<String>,
    /// CRITICAL, ERROR, WARNING, INFO or DEBUG
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// auto, text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What this process does: writer, reader, bot; repeatable, none is all
    #[arg(long, value_name = "ROLE")]
    pub role: Vec<String>,
}

impl SettingsArgs {
    /// Everything the configuration is made from.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a `--set` without `=`.
    pub fn inputs(&self, global: Option<&Global>) -> Result<Inputs, Failure> {
        let mut flags = Vec::new();
        let mut put = |flag: &str, key: &str, value: &str| {
            let (flag, key, value) = (flag.to_owned(), key.to_owned(), value.to_owned());
            flags.push(FlagValue { flag, key, value });
        };
        match global {
            Some(global) if global.verbose => put("--verbose", "log.level", "DEBUG"),
            Some(global) if global.quiet => put("--quiet", "log.level", "WARNING"),
            _ => {}
        }
        let single = [
            ("--http-addr", "http.addr", &self.http_addr),
            ("--store-url", "store.url", &self.store_url),
            ("--bus-url", "bus.url", &self.bus_url),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
        ];
        for (flag, key, value) in single {
            if let Some(value) = value {
                put(flag, key, value);
            }
        }
        if !self.role.is_empty() {
            put("--role", "role", &self.role.join(","));
        }
        for text in &self.set {
            // What stands there may be a secret on its way to the wrong place: not repeated.
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    "--set is written KEY=VALUE, such as log.level=DEBUG",
                )
            })?;
            put("--set", key.trim(), value);
        }
        Ok(Inputs::from_process(flags, self.config.clone()))
    }
}
