//! A hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987).
//!
//! Time is a number of ticks. Level 0 has a slot for each of the next 64 ticks, level 1 one for each 64 ticks, and
//! so on. An entry is on the level of the highest digit, to the base of 64, in which its tick differs from the
//! present one. When the present reaches a slot of a higher level, its entries move down. So inserting and removing
//! take the same few steps, however many entries there are.

/// How many bits of a tick each level covers.
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// Enough for 64 bits.
const LEVELS: usize = u64::BITS.div_ceil(BITS) as usize;
const NONE: u32 = u32::MAX;

/// Entries, each with the tick at which it is due.
pub(super) struct Wheel<T> {
    now: u64,
    levels: [Level; LEVELS],
    entries: Vec<Entry<T>>,
    /// The first unused entry; they are linked by `next`.
    unused: u32,
    len: usize,
}

/// The lists of a level's entries, by slot; each is a ring, given by its first entry.
struct Level {
    firsts: [u32; SLOTS],
    /// A bit for each slot that is not empty.
    occupied: u64,
}

struct Entry<T> {
    generation: u32,
    next: u32,
    previous: u32,
    due: u64,
    /// The level that it is on.
    level: u8,
    slot: u8,
    /// `None` while unused.
    value: Option<T>,
}

/// Identifies an entry. No later entry has the same key, until 2³² have used its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

impl<T> Wheel<T> {
    pub(super) fn new() -> Self {
        Self {
            now: 0,
            levels: std::array::from_fn(|_| Level {
                firsts: [NONE; SLOTS],
                occupied: 0,
            }),
            entries: Vec::new(),
            unused: NONE,
            len: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Inserts an entry. One that is due already comes out at the next `advance`.
    pub(super) fn insert(&mut self, due: u64, value: T) -> Key {
        let index = if self.unused == NONE {
            // Each entry is a few words: memory runs out before the numbers do.
            let index = self.entries.len() as u32;
            self.entries.push(Entry {
                generation: 0,
                next: NONE,
                previous: NONE,
                due,
                level: 0,
                slot: 0,
                value: Some(value),
            });
            index
        } else {
            let index = self.unused;
            let entry = &mut self.entries[index as usize];
            self.unused = entry.next;
            entry.due = due;
            entry.value = Some(value);
            index
        };
        self.len += 1;
        self.link(index);
        Key {
            index,
            generation: self.entries[index as usize].generation,
        }
    }

    /// Whether the entry is still there.
    pub(super) fn contains(&self, key: Key) -> bool {
        let entry = self.entries.get(key.index as usize);
        entry.is_some_and(|entry| entry.generation == key.generation && entry.value.is_some())
    }

    /// Removes an entry, unless it has come out already.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        if !self.contains(key) {
            return None;
        }
        self.unlink(key.index);
        self.free(key.index)
    }

    /// When to look again: not after the first entry is due, and not long before. `None` if there is no entry.
    pub(super) fn next(&self) -> Option<u64> {
        let (level, slot) = self.first_slot()?;
        Some(self.start_of(level, slot))
    }

    /// Advances to `now`, and hands out what is due by then, in the order of the ticks.
    pub(super) fn advance(&mut self, now: u64, mut due: impl FnMut(T)) {
        while let Some((level, slot)) = self.first_slot() {
            let start = self.start_of(level, slot);
            if start > now {
                break;
            }
            self.now = self.now.max(start);
            // All of them: those not yet due move to a lower level.
            let first = std::mem::replace(&mut self.levels[level].firsts[slot], NONE);
            self.levels[level].occupied &= !(1 << slot);
            let mut index = first;
            loop {
                let next = self.entries[index as usize].next;
                if self.entries[index as usize].due <= self.now {
                    if let Some(value) = self.free(index) {
                        due(value);
                    }
                } else {
                    self.link(index);
                }
                if next == first {
                    break;
                }
                index = next;
            }
        }
        self.now = self.now.max(now);
    }

    /// The slot whose time comes next.
    fn first_slot(&self) -> Option<(usize, usize)> {
        // A lower level's entries are due before all above: they share more digits with the present.
        let level = self.levels.iter().position(|level| level.occupied != 0)?;
        let slot = self.levels[level].occupied.trailing_zeros() as usize;
        Some((level, slot))
    }

    /// The first tick of a slot.
    fn start_of(&self, level: usize, slot: usize) -> u64 {
        let shift = level as u32 * BITS;
        let above = self.now.checked_shr(shift + BITS).unwrap_or(0);
        let above = above.checked_shl(shift + BITS).unwrap_or(0);
        (above | (slot as u64) << shift).max(self.now)
    }

    /// Puts an entry where it belongs as of now.
    fn link(&mut self, index: u32) {
        let due = self.entries[index as usize].due.max(self.now);
        let differ = due ^ self.now;
        let level = if differ == 0 {
            0
        } else {
            ((u64::BITS - 1 - differ.leading_zeros()) / BITS) as usize
        };
        let slot = (due >> (level as u32 * BITS)) as usize % SLOTS;
        let first = self.levels[level].firsts[slot];
        let last = if first == NONE {
            self.levels[level].firsts[slot] = index;
            self.levels[level].occupied |= 1 << slot;
            index
        } else {
            let last = self.entries[first as usize].previous;
            self.entries[last as usize].next = index;
            self.entries[first as usize].previous = index;
            last
        };
        let entry = &mut self.entries[index as usize];
        entry.level = level as u8;
        entry.slot = slot as u8;
        entry.previous = last;
        entry.next = if first == NONE { index } else { first };
    }

    /// Takes an entry out of its list.
    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index as usize];
        let (next, previous) = (entry.next, entry.previous);
        let level = &mut self.levels[entry.level as usize];
        let slot = entry.slot as usize;
        if next == index {
            level.firsts[slot] = NONE;
            level.occupied &= !(1 << slot);
            return;
        }
        if level.firsts[slot] == index {
            level.firsts[slot] = next;
        }
        self.entries[next as usize].previous = previous;
        self.entries[previous as usize].next = next;
    }

    /// Empties an entry that is in no list.
    fn free(&mut self, index: u32) -> Option<T> {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.unused;
        self.unused = index;
        self.len -= 1;
        entry.value.take()
    }
}

#[cfg(all(test, not(any(pool_loom, pool_sim))))]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The wheel and a sorted map, driven by the same pseudo-random steps.
    #[test]
    fn whatever_is_entered_removed_and_awaited_a_sorted_map_agrees() {
        for seed in 0..200_u64 {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut next = move || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random
            };
            let mut wheel = Wheel::new();
            let mut sorted = BTreeMap::new();
            let mut keys = Vec::new();
            let mut now = 0_u64;
            for step in 0..500_u64 {
                match next() % 4 {
                    0 | 1 => {
                        let span = 1_u64 << (next() % 40);
                        let due = (now + next() % span).saturating_sub(next() % 3);
                        let key = wheel.insert(due, step);
                        keys.push((due, step, key));
                        sorted.insert((due, step), key);
                    }
                    2 if !keys.is_empty() => {
                        let (due, step, key) = keys.swap_remove(next() as usize % keys.len());
                        let expected = sorted.remove(&(due, step)).map(|_| step);
                        assert_eq!(wheel.contains(key), expected.is_some());
                        assert_eq!(wheel.remove(key), expected);
                    }
                    _ => {
                        now += next() % (1 << (next() % 30));
                        let mut out = Vec::new();
                        wheel.advance(now, |value| out.push(value));
                        let mut expected = Vec::new();
                        while let Some((&(due, step), _)) = sorted.first_key_value()
                            && due <= now
                        {
                            sorted.pop_first();
                            expected.push(step);
                        }
                        // Entries of one tick, and those due when inserted, come in any order.
                        out.sort_unstable();
                        expected.sort_unstable();
                        assert_eq!(out, expected, "seed {seed}, step {step}");
                    }
                }
                let first = sorted.first_key_value().map(|((due, _), _)| *due);
                match (wheel.next(), first) {
                    (None, None) => assert!(wheel.is_empty()),
                    (Some(look), Some(first)) => assert!(look <= first.max(now)),
                    (look, first) => panic!("{look:?} for {first:?}"),
                }
            }
        }
    }

    #[test]
    fn entries_come_out_in_the_order_of_their_ticks() {
        let mut wheel = Wheel::new();
        for due in [70, 5, 4096, 5, 64, 1 << 50, 63] {
            wheel.insert(due, due);
        }
        let mut out = Vec::new();
        wheel.advance(u64::MAX, |value| out.push(value));
        assert_eq!(out, [5, 5, 63, 64, 70, 4096, 1 << 50]);
    }
}
