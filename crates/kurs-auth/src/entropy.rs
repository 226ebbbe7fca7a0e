//! Random bytes of the operating system, for whoever makes keys and tickets. The one place here
//! that asks anything outside.

use ring::rand::{SecureRandom, SystemRandom};

/// A source of bytes that nobody can foresee.
#[derive(Debug)]
pub struct Entropy {
    system: SystemRandom,
    has_failed: bool,
}

impl Default for Entropy {
    fn default() -> Self {
        Self {
            system: SystemRandom::new(),
            has_failed: false,
        }
    }
}

impl Entropy {
    /// Fills these bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.has_failed |= self.system.fill(bytes).is_err();
    }

    /// False when the system gave none: whatever was made of them is not to be used.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        !self.has_failed
    }
}
