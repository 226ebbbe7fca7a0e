//! What travels: updates over the broker, batches to the store, requests to Readers.

use super::{FRESH_MS, Listener, WRITE_MS, What, World};
use crate::store::Written;
use kurs_bus::Update;
use std::hash::Hash;
use std::sync::Arc;

impl World {
    /// What waits in the outbox reaches the broker, and from there everybody.
    pub(super) fn publish(&mut self, writer: usize) {
        let sender = &mut self.writers[writer];
        if !sender.is_up || !sender.is_linked || self.broker.is_down {
            return;
        }
        let updates = sender.outbox.take(usize::MAX);
        sender.outbox.confirm(updates.len());
        let life = sender.life;
        for (fence, heir) in std::mem::take(&mut sender.to_release) {
            self.after(1, 15, What::Release(writer, life, fence, heir));
        }
        for update in updates {
            (self.now, update.id).hash(&mut self.hash);
            self.broker.take(&update);
            self.consumer.hear(self.now, &update);
            for writer in 0..2 {
                if self.writers[writer].is_up && self.writers[writer].is_linked {
                    let listener = Listener::Writer(writer, self.writers[writer].life);
                    let what = What::Hear(listener, Arc::clone(&update));
                    self.on_way((2, writer), 1, 20, what);
                }
            }
            for reader in 0..self.readers.len() {
                if self.readers[reader].is_linked {
                    let what = What::Hear(Listener::Reader(reader), Arc::clone(&update));
                    self.on_way((3, reader), 1, 20, what);
                }
            }
        }
    }

    pub(super) fn write(&mut self, writer: usize) {
        self.after(WRITE_MS, WRITE_MS, What::Write(writer));
        if !self.writers[writer].runs(self.now) || !self.reaches_store(writer) {
            return;
        }
        let now = self.tick(writer);
        for batch in self.writers[writer].batches() {
            let left = |stored: &kurs_store::StoredRate| {
                let left = stored.rate.expires_at().since(now.wall);
                u64::try_from(left.as_millis()).unwrap()
            };
            if self.store.write(self.now, &batch, left) == Written::Fenced {
                let turn = self.writers[writer].keeper.refused(batch.fence);
                self.turns(writer, turn.into_iter().collect());
            }
        }
    }

    pub(super) fn hear(&mut self, listener: Listener, update: &Arc<Update>) {
        match listener {
            Listener::Writer(writer, life) => {
                if self.is_delayed(writer, life) {
                    let again = What::Hear(listener, Arc::clone(update));
                    return self.later(writer, again);
                }
                if self.is_life(writer, life) {
                    let now = self.tick(writer);
                    let turn = self.writers[writer].hear(now, self.now, update);
                    self.turns(writer, turn.into_iter().collect());
                }
            }
            Listener::Reader(reader) => {
                let now = self.local(2 + reader);
                let at = self.now;
                let reader = &mut self.readers[reader];
                reader.clock.set(now);
                let taken = reader.hear(at, update);
                (at, update.id, taken).hash(&mut self.hash);
            }
        }
    }

    pub(super) fn give_last_values(&mut self, listener: Listener) {
        if self.broker.is_down {
            return;
        }
        let values = self.broker.last_values();
        match listener {
            Listener::Writer(writer, life) => {
                if self.is_life(writer, life) && self.writers[writer].runs(self.now) {
                    let now = self.tick(writer);
                    let turns = self.writers[writer].take_last_values(now, &values);
                    self.turns(writer, turns);
                }
            }
            Listener::Reader(reader) => {
                let now = self.local(2 + reader);
                self.readers[reader].clock.set(now);
                self.readers[reader].take_last_values(values);
            }
        }
    }

    /// A request comes to a Reader: what it says must be true.
    pub(super) fn look(&mut self, reader: usize) {
        self.after(200, 200, What::Look(reader));
        let now = self.local(2 + reader);
        self.readers[reader].clock.set(now);
        if self.readers[reader].wants_last_values && self.readers[reader].is_linked {
            self.after(2, 10, What::LastValues(Listener::Reader(reader)));
        }
        let silent_for = self.now.saturating_sub(self.readers[reader].heard_at);
        if silent_for > 2_500 && self.store_is_up && self.now.is_multiple_of(1_000) {
            let rates = self.store.current(self.now);
            self.readers[reader].take_current(rates);
        }
        for pair in 0..2 {
            let (served, complaint) = self.readers[reader].serve(self.pairs[pair]);
            let told = complaint.map(|complaint| format!("reader {reader}: {complaint}"));
            self.broken.extend(told);
            let Some(served) = served else { continue };
            (self.now, reader, served.id, served.is_fresh).hash(&mut self.hash);
            let number: usize = served.value.parse().unwrap();
            // The moment from which on it was not the newest word any more.
            if served.is_fresh
                && let Some(replaced) = self.words[pair].get(number)
            {
                let age = self.now - replaced;
                if age > FRESH_MS {
                    self.broken.push(format!(
                        "at {} ms reader {reader} serves word {number} of {} as fresh, which is \
                         {age} ms out of date",
                        self.now, self.pairs[pair]
                    ));
                }
            }
        }
    }
}
