//! [`Options`]: what a bus over a broker is made of.

use std::str::FromStr;

/// Where a broker is, and how it is used.
#[derive(Debug, Clone)]
pub struct Options<Address, Config> {
    /// Where the broker is, and how to log in.
    pub address: Address,
    /// Settings.
    pub config: Config,
    /// What the broker shows as the name of the connections.
    pub name: String,
    /// Seed of the pauses between attempts; each process should have another.
    pub seed: u64,
}

impl<Address: FromStr, Config: Default> Options<Address, Config> {
    /// Options with default settings.
    ///
    /// # Errors
    /// When the URL is none of this broker.
    pub fn new(url: &str) -> Result<Self, Address::Err> {
        Ok(Self {
            address: url.parse()?,
            config: Config::default(),
            name: "kurs".to_owned(),
            seed: 0,
        })
    }
}
