//! The currencies in use, by ISO 4217.

use kurs_core::Asset;

/// Active codes, funds and metals included, sorted.
const CURRENT: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND \
    BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLF CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD \
    EGP ERN ETB EUR FJD FKP GBP GEL GGP GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS IMP INR \
    IQD IRR ISK JEP JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD \
    MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK \
    PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP \
    SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XAG XAU XCD \
    XCG XDR XOF XPD XPF XPT YER ZAR ZMW ZWG";

/// True for a currency that is in use.
#[must_use]
pub fn is_current(code: Asset) -> bool {
    CURRENT
        .split_ascii_whitespace()
        .any(|known| known == code.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_currencies_and_crypto_are_not_current() {
        let check = |code: &str| is_current(Asset::parse(code).unwrap());
        for code in ["USD", "RUB", "EUR", "KZT", "AED", "ZWG", "XAU"] {
            assert!(check(code), "{code}");
        }
        for code in ["BYR", "ZMK", "VEF", "EEK", "LTL", "BTC", "U", "USDT"] {
            assert!(!check(code), "{code}");
        }
    }
}
