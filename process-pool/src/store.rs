//! Stores: shared memory for large parts of arguments and results, which then do not go through a pipe.
//!
//! Through a pipe, eight megabytes go in more than thirty portions, each with a wake-up, and through the
//! buffers of two messages. Into a store they are written once, and read from it once.
//!
//! # Who writes where
//!
//! | store | written by | read by | a part is free again |
//! |---|---|---|---|
//! | of arguments, one for each pool | the pool | its workers, which can only read it | when its task has ended |
//! | of results, one for each worker | the worker | the pool | when the page says the pool has read it |
//!
//! So a part in use is never written, and each piece of shared memory has one owner at a time.
//!
//! # Why nobody needs to trust anybody
//!
//! A store is a file in memory that is never mapped. It is read and written by system calls, into and
//! out of the reader's and writer's own memory. If a worker gone mad writes into a part while the pool reads
//! it, the pool gets other bytes, as an honest message could have held them, and no reference ever points to
//! memory that changes. A place outside the file is an error, and so is a length larger than it. The
//! file's size is sealed. If there is no memory for a part, its write fails, without a
//! signal, and it goes through the pipe. And whoever dies leaves a file, which ends with its last
//! descriptor.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use future_result::sync::Mutex;

use crate::sys::{self, Descriptor};

/// The minimum length of a part, in bytes: shorter ones are faster through the pipe. In a simulation, even small
/// programs should have some.
pub(crate) const PART_MIN: usize = if cfg!(pool_sim) { 64 } else { 64 * 1024 };
/// The length of the store of a pool's arguments, in bytes. Unused parts take no memory.
pub(crate) const ARGUMENTS: u64 = 256 << 20;
/// The length of the store of a worker's results, in bytes.
pub(crate) const RESULTS: u64 = 64 << 20;

/// After how long a store that nobody uses gives back its memory.
pub(crate) const KEPT: Duration = Duration::from_secs(1);

const PAGE: u64 = 4096;

/// A store, as its only writer holds it.
#[derive(Debug)]
pub(crate) struct Store {
    file: Descriptor,
    size: u64,
    blocks: Mutex<Blocks>,
}

#[derive(Debug, Default)]
struct Blocks {
    /// The parts in use: offsets and lengths.
    used: BTreeMap<u64, u64>,
    /// Unused parts may take memory.
    is_dirty: bool,
}

/// A part of a store, in use until this is dropped.
#[derive(Debug)]
pub(crate) struct Block {
    store: Arc<Store>,
    place: Place,
}

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Store {
    /// A new store of this size; of size 0, if this process may not have files so large.
    pub(crate) fn create(size: u64) -> io::Result<Self> {
        let size = if may_write(size) { size } else { 0 };
        let file = sys::create_memory(size)?;
        Ok(Self::over(file, size))
    }

    /// A store that another process made for this one.
    pub(crate) fn open(file: Descriptor) -> io::Result<Self> {
        let size = sys::size_of(&file)?;
        Ok(Self::over(file, size))
    }

    fn over(file: Descriptor, size: u64) -> Self {
        Self {
            file,
            size,
            blocks: Mutex::new(Blocks::default()),
        }
    }

    /// For the side that only reads.
    pub(crate) fn into_fd(self) -> Descriptor {
        self.file
    }

    /// A descriptor that can only read.
    pub(crate) fn read_only(&self) -> io::Result<Descriptor> {
        sys::read_only(&self.file)
    }

    /// Writes a part. `None` if there is no room for it.
    pub(crate) fn put(self: &Arc<Self>, bytes: &[u8]) -> Option<Block> {
        let length = u64::try_from(bytes.len()).ok()?;
        let offset = self.blocks.lock().take(length, self.size)?;
        // From here on its drop frees it.
        let block = Block {
            store: Arc::clone(self),
            place: Place { offset, length },
        };
        // Asked each time, since a program may limit itself later: writing beyond the limit raises a signal.
        if !may_write(offset + length) {
            return None;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = offset + length - rest.len() as u64;
            match sys::write_at(&self.file, rest, at) {
                Ok(0) => return None,
                Ok(written) => rest = rest.get(written..)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(block)
    }

    /// Whether there may be memory to give back.
    pub(crate) fn is_dirty(&self) -> bool {
        self.blocks.lock().is_dirty
    }

    /// Gives back the memory of all unused parts.
    pub(crate) fn give_back(&self) {
        let mut blocks = self.blocks.lock();
        blocks.is_dirty = false;
        let ends = std::iter::once((self.size, 0));
        let used = blocks.used.iter().map(|(&at, &length)| (at, length));
        let mut from = 0;
        for (at, length) in used.chain(ends) {
            if at > from {
                // Under the lock, so that nobody writes there meanwhile.
                sys::give_back(&self.file, from, at - from);
            }
            from = at + length;
        }
    }
}

impl Blocks {
    /// The lowest gap that is long enough, since its memory is the likeliest to exist already.
    fn take(&mut self, length: u64, size: u64) -> Option<u64> {
        let length = length.checked_next_multiple_of(PAGE)?;
        let mut from = 0;
        for (&at, &used) in &self.used {
            if at - from >= length {
                break;
            }
            from = at + used;
        }
        if length == 0 || size.checked_sub(from)? < length {
            return None;
        }
        self.used.insert(from, length);
        Some(from)
    }
}

impl Block {
    pub(crate) const fn place(&self) -> Place {
        self.place
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut blocks = self.store.blocks.lock();
        blocks.used.remove(&self.place.offset);
        blocks.is_dirty = true;
    }
}

/// Reads a part of another process's store.
///
/// # Errors
///
/// Text, if it is not there.
pub(crate) fn read(file: &Descriptor, place: Place) -> Result<Vec<u8>, String> {
    let missing = || "a part of the message is not in the store that it names".to_owned();
    let Place { offset, length } = place;
    let size = sys::size_of(file).map_err(|error| error.to_string())?;
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(missing());
    }
    let length = usize::try_from(length).map_err(|_| missing())?;
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(length);
    reserved.map_err(|_| "there is not enough memory for a part of the message".to_owned())?;
    while bytes.len() < length {
        let at = offset + bytes.len() as u64;
        match sys::read_at(file, &mut bytes, at) {
            Ok(0) => return Err(missing()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("a part of the message cannot be read: {error}")),
        }
    }
    // The allocator may have given more room.
    bytes.truncate(length);
    Ok(bytes)
}

fn may_write(end: u64) -> bool {
    sys::largest_file().is_none_or(|limit| end <= limit)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{fstat, ftruncate};
    use rustix::io::{Errno, pwrite};

    use super::*;

    fn memory(store: &Store) -> i64 {
        fstat(&store.file).unwrap().st_blocks
    }

    #[test]
    fn parts_come_back_and_their_room_is_used_again() {
        let store = Arc::new(Store::create(3 * PAGE).unwrap());
        let reader = store.read_only().unwrap();
        let parts = [b"a", b"b", b"c"].map(|bytes| store.put(bytes).unwrap());
        assert!(store.put(b"d").is_none());
        for (part, bytes) in parts.iter().zip([b"a", b"b", b"c"]) {
            assert_eq!(read(&reader, part.place()).unwrap(), bytes);
        }
        let [a, b, c] = parts;
        let place = b.place();
        drop(b);
        assert!(store.put(&[0; PAGE as usize + 1]).is_none());
        assert_eq!(store.put(b"e").unwrap().place(), place);
        drop((a, c));
        assert!(store.put(&[0; 3 * PAGE as usize]).is_some());
    }

    #[test]
    fn readers_cannot_write_and_nobody_can_resize() {
        let store = Store::create(PAGE).unwrap();
        assert_eq!(
            pwrite(store.read_only().unwrap(), b"x", 0),
            Err(Errno::BADF)
        );
        assert!(ftruncate(&store.file, 0).is_err());
        assert!(ftruncate(&store.file, 2 * PAGE).is_err());
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let store = Store::create(PAGE).unwrap();
        for (offset, length) in [(0, PAGE + 1), (PAGE, 1), (u64::MAX, 1), (1, u64::MAX)] {
            assert!(read(&store.file, Place { offset, length }).is_err());
        }
    }

    #[test]
    fn memory_is_given_back_but_for_what_is_in_use() {
        let store = Arc::new(Store::create(64 * PAGE).unwrap());
        let large = store.put(&[1; 16 * PAGE as usize]).unwrap();
        let small = store.put(b"small").unwrap();
        assert!(!store.is_dirty());
        drop(large);
        assert!(store.is_dirty());
        store.give_back();
        assert_eq!(memory(&store), 8);
        assert_eq!(read(&store.file, small.place()).unwrap(), b"small");
        drop(small);
        store.give_back();
        assert_eq!(memory(&store), 0);
        assert!(!store.is_dirty());
    }
}
