//! What must hold in the end, when everything has been mended and has come to rest.

use super::World;
use kurs_core::Epoch;

impl World {
    pub(super) fn final_checks(&mut self) {
        let leaders: Vec<Epoch> = self
            .writers
            .iter()
            .filter_map(|writer| writer.own.get(&0).copied())
            .collect();
        if leaders.len() != 1 || leaders.first().copied() != self.store.epoch(0) {
            self.broken.push(format!(
                "after all is mended {leaders:?} lead, the store has {:?}",
                self.store.epoch(0)
            ));
        }
        self.readers_agree();
        if self.plan.breaks_all {
            return;
        }
        for pair in 0..2 {
            // The last words are on their way.
            let said = u64::try_from(self.words[pair].len()).unwrap() - 5;
            let missing = self.consumer.missing(self.pairs[pair], said);
            if !missing.is_empty() {
                let pair = self.pairs[pair];
                self.broken
                    .push(format!("{pair}: words {missing:?} were lost"));
            }
        }
        let before = self.now.saturating_sub(2_000);
        let accepted = self.consumer.accepted.iter();
        let last = accepted
            .filter(|(at, _)| *at < before)
            .map(|(_, update)| update.id);
        let last = last.max();
        let unwritten: Vec<_> = self
            .consumer
            .rates()
            .filter(|id| Some(*id) <= last && !self.store.history.contains(id))
            .collect();
        if !unwritten.is_empty() {
            self.broken.push(format!(
                "{} published rates are not in the history, first {:?}",
                unwritten.len(),
                unwritten.first()
            ));
        }
        let silence = self.consumer.longest_silence();
        if silence > 4_000 {
            self.broken
                .push(format!("nothing was published for {silence} ms"));
        }
    }

    /// All Readers serve what was published last.
    fn readers_agree(&mut self) {
        for reader in 0..self.readers.len() {
            let now = self.local(2 + reader);
            self.readers[reader].clock.set(now);
            for pair in 0..2 {
                let served = self.readers[reader].serve(self.pairs[pair]).0;
                let number = served
                    .filter(|served| served.is_fresh)
                    .and_then(|served| served.value.parse::<usize>().ok());
                let said = self.words[pair].len();
                if number.is_none_or(|number| number + 8 < said) {
                    self.broken.push(format!(
                        "after all is mended reader {reader} serves {number:?} of {said} words"
                    ));
                }
            }
        }
    }
}
