//! Where lines are sent: address, query and account.

use super::config::InfluxConfig;
use super::line::Precision;
use reqwest::Url;
use reqwest::header::HeaderValue;

/// Where lines are sent.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// With its query. Nothing secret in it.
    pub(super) url: Url,
    /// Marked as secret. `None` for a database that lets everybody in, and for 1.x.
    pub(super) authorization: Option<HeaderValue>,
    /// User and password of 1.x.
    pub(super) account: Option<(String, kurs_telemetry::Secret)>,
    /// The address as it may be shown.
    pub(super) shown: String,
}

/// Reads the address.
///
/// # Errors
/// One phrase for people, without the address: there may be a password in it.
pub(super) fn parse(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no URL, such as http://127.0.0.1:8086")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold an account: use username and password, or token");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment: kurs makes the query");
    }
    Ok(url)
}

impl Target {
    /// The target of a configuration.
    ///
    /// # Errors
    /// One phrase for people.
    pub(super) fn new(config: &InfluxConfig) -> Result<Self, &'static str> {
        let mut url = parse(&config.url)?;
        let version_2 = config.is_version_2();
        if matches!(url.path(), "" | "/") {
            url.set_path(if version_2 { "/api/v2/write" } else { "/write" });
        }
        let shown = url.to_string();
        // InfluxDB 1.6 takes `us` for nanoseconds, without a word.
        let precision = match (config.precision, version_2) {
            (Precision::Us, true) => "us",
            (Precision::Us, false) => "u",
            (Precision::Ms, _) => "ms",
        };
        {
            let mut query = url.query_pairs_mut();
            if version_2 {
                query.append_pair("org", &config.org);
                query.append_pair("bucket", &config.bucket);
            } else if !config.database.is_empty() {
                query.append_pair("db", &config.database);
            }
            query.append_pair("precision", precision);
        }
        let account = config.password.clone().filter(|_| !version_2);
        Ok(Self {
            url,
            authorization: Self::authorization(config),
            account: account.map(|password| (config.username.clone(), password)),
            shown,
        })
    }

    /// The header that carries the token, if there is one that a header can carry.
    pub(super) fn authorization(config: &InfluxConfig) -> Option<HeaderValue> {
        let token = config.token.as_ref()?;
        let mut value = HeaderValue::from_str(&format!("Token {}", token.reveal())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// True when the database is on this machine: it is not asked through a proxy.
    pub(super) fn is_loopback(&self) -> bool {
        let Some(host) = self.url.host_str() else {
            return false;
        };
        let address = host.trim_start_matches('[').trim_end_matches(']');
        match address.parse::<std::net::IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_telemetry::Secret;

    fn check(config: &InfluxConfig, expected: &str) {
        let target = Target::new(config).unwrap();
        assert_eq!(target.url.as_str(), expected);
        assert!(!format!("{target:?}").contains("canary"));
    }

    fn version_1(url: &str) -> InfluxConfig {
        InfluxConfig {
            url: url.to_owned(),
            username: "anna".to_owned(),
            password: Some(Secret::new("canary")),
            ..InfluxConfig::default()
        }
    }

    #[test]
    fn the_default_path_stands_where_none_is_given_and_names_are_encoded() {
        check(
            &version_1("http://127.0.0.1:8086"),
            "http://127.0.0.1:8086/write?db=kurs&precision=u",
        );
        check(
            &version_1("https://host.example/influx/write"),
            "https://host.example/influx/write?db=kurs&precision=u",
        );
        let version_2 = InfluxConfig {
            url: "http://[::1]:8086/".to_owned(),
            org: "my desk".to_owned(),
            bucket: "a&b=c".to_owned(),
            token: Some(Secret::new("canary")),
            ..InfluxConfig::default()
        };
        check(
            &version_2,
            "http://[::1]:8086/api/v2/write?org=my+desk&bucket=a%26b%3Dc&precision=us",
        );
        let plain = InfluxConfig {
            url: "http://127.0.0.1:9000".to_owned(),
            database: String::new(),
            precision: Precision::Ms,
            ..InfluxConfig::default()
        };
        check(&plain, "http://127.0.0.1:9000/write?precision=ms");
    }

    #[test]
    fn only_this_machine_is_asked_without_a_proxy() {
        let is_loopback = |url| Target::new(&version_1(url)).unwrap().is_loopback();
        for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://influx",
            "http://10.0.0.1",
            "http://localhost.example",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
