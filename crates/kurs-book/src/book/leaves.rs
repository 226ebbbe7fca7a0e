//! A sorted map from a 64-bit key to a level, made for what diffs do: they add and remove
//! levels far more often than they change one, and mostly near the best.
//!
//! Levels lie in leaves of [`ROOM`]. Within a leaf nothing moves: a level keeps its slot, and
//! one 64-bit word holds the order of the slots, four bits each, worst first; behind the last
//! level it lists the free slots. So neither adding nor removing copies a level, and a place
//! is found by comparing all keys of a leaf, without a branch. The leaf is found through an
//! array of lower bounds, beginning at the leaf that was used last, since the levels of a
//! message come in order of price.
//!
//! Emptied leaves are used again: a book that has been as large before allocates nothing.

use kurs_core::Level;

/// Levels of a leaf: as many as a word has groups of four bits.
const ROOM: usize = 16;
/// A leaf that is left with so few levels is joined with a neighbour...
const FEW: u32 = 4;
/// ...if together they are no more than this, so that the next level does not part them.
const JOINED_MAX: u32 = 12;
/// Slots in order of their number.
const IN_ORDER: u64 = 0xfedc_ba98_7654_3210;
/// Key of a free slot: greater than any other, so that it counts for nothing.
const FREE: u64 = u64::MAX;

#[derive(Debug, Clone)]
struct Leaf {
    keys: [u64; ROOM],
    order: u64,
    len: u32,
    levels: [Level; ROOM],
}

impl Leaf {
    /// `filler` only fills the room; it is not one of the levels.
    const fn new(filler: Level) -> Self {
        Self {
            keys: [FREE; ROOM],
            order: IN_ORDER,
            len: 0,
            levels: [filler; ROOM],
        }
    }

    /// The slot of the level with so many worse ones in this leaf.
    const fn slot(&self, rank: u32) -> usize {
        ((self.order >> (rank * 4)) & 0xf) as usize
    }

    /// How many levels are worse than this key, and the slot of its own level.
    #[inline]
    fn find(&self, key: u64) -> (u32, Option<usize>) {
        let mut rank = 0;
        let mut equal = 0_u32;
        for (slot, at) in self.keys.iter().enumerate() {
            rank += u32::from(*at < key);
            equal |= u32::from(*at == key) << slot;
        }
        let slot = (equal != 0).then(|| equal.trailing_zeros() as usize);
        (rank, slot)
    }

    /// Needs a free slot.
    #[inline]
    fn add(&mut self, rank: u32, key: u64, level: Level) {
        // The last in order is free. It goes to its rank, and what follows moves up.
        let slot = self.order >> 60;
        let worse = self.order & ((1 << (rank * 4)) - 1);
        let rest = self.order >> (rank * 4);
        self.order = worse | ((slot | (rest << 4)) << (rank * 4));
        self.len += 1;
        self.keys[slot as usize] = key;
        self.levels[slot as usize] = level;
    }

    #[inline]
    fn remove(&mut self, rank: u32) {
        let slot = self.slot(rank);
        let worse = self.order & ((1 << (rank * 4)) - 1);
        let better = (self.order >> (rank * 4)) >> 4;
        self.order = worse | (better << (rank * 4)) | ((slot as u64) << 60);
        self.len -= 1;
        self.keys[slot] = FREE;
    }

    /// Moves the levels from `rank` on to another leaf, where they are the best.
    fn give(&mut self, rank: u32, other: &mut Self) {
        for from in rank..self.len {
            let slot = self.slot(from);
            other.add(other.len, self.keys[slot], self.levels[slot]);
        }
        while self.len > rank {
            self.remove(self.len - 1);
        }
    }
}

/// Levels in order of their keys; the greatest key is the best level. A key is neither 0 nor
/// `u64::MAX`.
#[derive(Debug, Clone, Default)]
pub(super) struct Leaves {
    /// What the keys of each leaf are not below, rising; the first is 0.
    bounds: Vec<u64>,
    /// Where each of these leaves is in `leaves`.
    places: Vec<usize>,
    leaves: Vec<Leaf>,
    /// Where the leaves are that are not in use; all are empty.
    spare: Vec<usize>,
    /// Index into `bounds` that was used last.
    finger: usize,
    len: usize,
}

impl Leaves {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn best(&self) -> Option<Level> {
        let leaf = &self.leaves[*self.places.last()?];
        Some(leaf.levels[leaf.slot(leaf.len.checked_sub(1)?)])
    }

    /// Best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Level> {
        self.places.iter().rev().flat_map(|place| {
            let leaf = &self.leaves[*place];
            (0..leaf.len).rev().map(|rank| leaf.levels[leaf.slot(rank)])
        })
    }

    pub(super) fn put(&mut self, key: u64, level: Level) {
        if self.bounds.is_empty() {
            self.open(0, 0, level);
        }
        let mut index = self.locate(key);
        let (mut rank, slot) = self.leaves[self.places[index]].find(key);
        if let Some(slot) = slot {
            self.leaves[self.places[index]].levels[slot] = level;
            return;
        }
        if self.leaves[self.places[index]].len as usize == ROOM {
            (index, rank) = self.part(index, rank, key, level);
        }
        self.leaves[self.places[index]].add(rank, key, level);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, key: u64) {
        if self.bounds.is_empty() {
            return;
        }
        let index = self.locate(key);
        let leaf = &mut self.leaves[self.places[index]];
        if let (rank, Some(_)) = leaf.find(key) {
            leaf.remove(rank);
            let is_thin = leaf.len <= FEW;
            self.len -= 1;
            if is_thin {
                self.join(index);
            }
        }
    }

    pub(super) fn remove_worst(&mut self) {
        let Some(place) = self.places.first() else {
            return;
        };
        let leaf = &mut self.leaves[*place];
        if leaf.len > 0 {
            leaf.remove(0);
            self.len -= 1;
        }
        if leaf.len == 0 {
            self.close(0);
        }
    }

    pub(super) fn clear(&mut self) {
        while !self.bounds.is_empty() {
            let last = self.bounds.len() - 1;
            let leaf = &mut self.leaves[self.places[last]];
            leaf.keys = [FREE; ROOM];
            leaf.order = IN_ORDER;
            leaf.len = 0;
            self.close(last);
        }
        self.len = 0;
    }

    /// The leaf that has this key or would have it. There is at least one leaf.
    #[inline]
    fn locate(&mut self, key: u64) -> usize {
        let bounds = self.bounds.as_slice();
        let finger = self.finger.min(bounds.len() - 1);
        // Steps that grow lead to a stretch that begins not above the key and ends above it.
        let mut step = 1;
        let (low, high) = if bounds[finger] <= key {
            let mut low = finger;
            while low + step < bounds.len() && bounds[low + step] <= key {
                low += step;
                step *= 4;
            }
            (low, bounds.len().min(low + step))
        } else {
            let mut high = finger;
            while step < high && bounds[high - step] > key {
                high -= step;
                step *= 4;
            }
            (high.saturating_sub(step), high)
        };
        let found = low + bounds[low..high].partition_point(|bound| *bound <= key) - 1;
        self.finger = found;
        found
    }

    /// Makes room in a full leaf; returns where the key belongs then.
    fn part(&mut self, index: usize, rank: u32, key: u64, filler: Level) -> (usize, u32) {
        let place = self.places[index];
        if rank == 0 && index == 0 {
            // Levels that come best first, as in a snapshot, fill their leaves.
            let leaf = &self.leaves[place];
            self.bounds[0] = leaf.keys[leaf.slot(0)];
            self.open(0, 0, filler);
            return (0, 0);
        }
        if rank as usize == ROOM && index + 1 == self.bounds.len() {
            self.open(index + 1, key, filler);
            return (index + 1, 0);
        }
        const HALF: u32 = ROOM as u32 / 2;
        let leaf = &self.leaves[place];
        let middle = leaf.keys[leaf.slot(HALF)];
        self.open(index + 1, middle, filler);
        let other = self.places[index + 1];
        if let Ok([low, high]) = self.leaves.get_disjoint_mut([place, other]) {
            low.give(HALF, high);
        }
        if key < middle {
            (index, rank)
        } else {
            (index + 1, rank - HALF)
        }
    }

    /// Joins a leaf with few levels with a neighbour, or does away with it if it has none.
    fn join(&mut self, index: usize) {
        if self.leaves[self.places[index]].len == 0 {
            self.close(index);
            return;
        }
        let low = if index + 1 < self.bounds.len() {
            index
        } else if index > 0 {
            index - 1
        } else {
            return;
        };
        let pair = [self.places[low], self.places[low + 1]];
        if let Ok([worse, better]) = self.leaves.get_disjoint_mut(pair)
            && worse.len + better.len <= JOINED_MAX
        {
            better.give(0, worse);
            self.close(low + 1);
        }
    }

    /// Puts an empty leaf at this index.
    fn open(&mut self, index: usize, bound: u64, filler: Level) {
        let place = self.spare.pop().unwrap_or_else(|| {
            self.leaves.push(Leaf::new(filler));
            self.leaves.len() - 1
        });
        self.bounds.insert(index, bound);
        self.places.insert(index, place);
    }

    /// Takes out an empty leaf.
    fn close(&mut self, index: usize) {
        self.bounds.remove(index);
        self.spare.push(self.places.remove(index));
        if let Some(first) = self.bounds.first_mut() {
            *first = 0;
        }
    }
}

#[cfg(test)]
impl Leaves {
    /// The most leaves that were in use at once.
    pub(super) const fn ever(&self) -> usize {
        self.leaves.len()
    }
}
