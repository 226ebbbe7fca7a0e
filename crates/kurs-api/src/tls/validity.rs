//! Until when a certificate is good (RFC 5280 section 4.1). Nothing else is read of it here: who
//! shakes hands judges it.

use kurs_core::Wall;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version of the certificate, which may be left out.
const VERSION: u8 = 0xa0;

/// The last moment of a certificate in DER form; `None` when it cannot be found.
pub(super) fn ends_at(certificate: &[u8]) -> Option<Wall> {
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, signed, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (first, _, mut rest) = element(signed)?;
    if first == VERSION {
        (_, _, rest) = element(rest)?;
    }
    // After the serial number: the algorithm, the issuer, and then the validity.
    for _ in 0..2 {
        (_, _, rest) = element(rest)?;
    }
    let (_, validity, _) = element(rest).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, _, after_beginning) = element(validity)?;
    let (kind, time, _) = element(after_beginning)?;
    moment(kind, std::str::from_utf8(time).ok()?)
}

/// The tag and the content of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        // More than four bytes of length are no certificate's.
        let count = usize::from(*first & 0x7f);
        let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
        let length = digits.iter().try_fold(0_usize, |length, digit| {
            length.checked_mul(256)?.checked_add(usize::from(*digit))
        })?;
        (length, rest.get(count..)?)
    };
    Some((*tag, rest.get(..length)?, rest.get(length..)?))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn moment(kind: u8, text: &str) -> Option<Wall> {
    let (century, digits) = match kind {
        UTC_TIME if text.get(..2)? < "50" => ("20", text),
        UTC_TIME => ("19", text),
        GENERALIZED_TIME => ("", text),
        _ => return None,
    };
    let digits = format!("{century}{}", digits.strip_suffix('Z')?);
    let part = |from: usize, to: usize| digits.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn the_end_of_a_certificate_is_read_whatever_the_form_of_its_time() {
        let key = KeyPair::generate().unwrap();
        for (year, expect) in [
            (2031, "2031-02-03T00:00:00.000Z"),
            (1999, "1999-02-03T00:00:00.000Z"),
            (2071, "2071-02-03T00:00:00.000Z"),
        ] {
            let mut parameters = CertificateParams::new(["a".to_owned()]).unwrap();
            parameters.not_before = date_time_ymd(1998, 1, 1);
            parameters.not_after = date_time_ymd(year, 2, 3);
            let certificate = parameters.self_signed(&key).unwrap();
            let der = certificate.der();
            assert_eq!(ends_at(der).unwrap().to_string(), expect);
            for length in 0..der.len().min(200) {
                // Half a certificate is none, and no reason to panic.
                assert_eq!(ends_at(&der[..length]), None);
            }
        }
    }
}
