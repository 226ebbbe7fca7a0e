//! Assets: `BTC`, `USD`, and network aliases of one asset such as `USDTTRC`.

use crate::text::ShortText;
use std::str::FromStr;
use thiserror::Error;

/// An asset by its ticker, `[A-Z0-9]{1,16}`. A network alias (`USDTTRC`) is an asset of its own
/// name; [`Asset::canonical`] gives the one it is priced as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asset(ShortText<16>);

/// The text is not an asset name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an asset is 1 to 16 letters or digits, such as BTC")]
pub struct AssetError;

/// One asset on one network: priced as the asset, echoed under the name that was asked for.
const NETWORK_ALIASES: [(&str, &str); 2] = [("USDTTRC", "USDT"), ("USDTERC", "USDT")];

impl Asset {
    /// Parses any case.
    ///
    /// # Errors
    /// When the text is empty, longer than 16 bytes, or has anything but ASCII letters and digits.
    pub fn parse(text: &str) -> Result<Self, AssetError> {
        let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        // Requests on the hot path are upper case already: no copy for them.
        ShortText::new(text, is_upper)
            .or_else(|| ShortText::new(&text.to_ascii_uppercase(), is_upper))
            .map(Self)
            .ok_or(AssetError)
    }

    /// The upper-case name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The asset this one is priced as: `USDT` for `USDTTRC`, itself for everything else.
    #[must_use]
    pub fn canonical(self) -> Self {
        for (alias, asset) in NETWORK_ALIASES {
            if self.as_str() == alias {
                return Self::parse(asset).unwrap_or(self);
            }
        }
        self
    }

    /// True for a network alias such as `USDTERC`.
    #[must_use]
    pub fn is_network_alias(self) -> bool {
        self.canonical() != self
    }

    /// All network aliases with the asset each stands for.
    pub fn network_aliases() -> impl Iterator<Item = (Self, Self)> {
        NETWORK_ALIASES
            .into_iter()
            .filter_map(|(alias, asset)| Some((Self::parse(alias).ok()?, Self::parse(asset).ok()?)))
    }
}

impl FromStr for Asset {
    type Err = AssetError;

    fn from_str(text: &str) -> Result<Self, AssetError> {
        Self::parse(text)
    }
}

crate::short_text_traits!(Asset, "^[A-Z0-9]{1,16}$");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn network_aliases_are_priced_as_usdt_and_keep_their_name() {
        let tron = Asset::parse("usdttrc").unwrap();
        assert_eq!(tron.as_str(), "USDTTRC");
        assert_eq!(tron.canonical().as_str(), "USDT");
        assert!(tron.is_network_alias());
        let bitcoin = Asset::parse("BTC").unwrap();
        assert_eq!(bitcoin.canonical(), bitcoin);
    }

    #[test]
    fn empty_long_and_foreign_names_are_refused() {
        for text in ["", "ABCDEFGHIJKLMNOPQ", "BT C", "BTC-", "ß", "БТЦ"] {
            assert!(Asset::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn any_valid_name_survives_json(name in "[A-Z0-9]{1,16}") {
            let asset = Asset::parse(&name).unwrap();
            let json = serde_json::to_string(&asset).unwrap();
            prop_assert_eq!(serde_json::from_str::<Asset>(&json).unwrap(), asset);
            prop_assert_eq!(asset.to_string(), name);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Asset::parse(&text);
        }
    }
}
