//! Letters and digits.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// So many letters and digits, each as likely as any other, out of a source of random bytes.
pub(crate) fn random(length: usize, fill: &mut impl FnMut(&mut [u8])) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        fill(&mut bytes);
        // 248 is four times 62: what lies above would make some letters more likely.
        let usable = bytes.iter().filter(|byte| **byte < 248);
        let letters = usable.filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        text.extend(
            letters
                .map(|letter| char::from(*letter))
                .take(length - text.len()),
        );
    }
    text
}

/// A number in six letters and digits, which are enough for 32 bits.
pub(crate) fn of_u32(mut number: u32) -> [u8; 6] {
    let mut text = [b'0'; 6];
    for place in text.iter_mut().rev() {
        let digit = usize::try_from(number % 62).unwrap_or(0);
        *place = ALPHABET.get(digit).copied().unwrap_or(b'0');
        number /= 62;
    }
    text
}

/// True when there are only letters and digits.
pub(crate) fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
