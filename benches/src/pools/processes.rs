//! Pools of worker processes, ours first. They run plain functions, since nothing else can be sent.

use std::collections::VecDeque;

use process_pool::{Bytes, FutureResult, ProcessPoolExecutor};
use serde_bytes::ByteBuf;

use super::{WORKERS, done};

/// The size of a large argument or result, in bytes.
pub(crate) const LARGE: usize = 8 << 20;
/// How many arguments of this size `procspawn` can have in flight; with more it hangs.
const MOST_OF_PROCSPAWN: usize = 2;
/// This many items of a map are sent together.
pub(crate) const CHUNK: usize = 100;

/// A pool of processes, whose handles the calling thread waits for.
pub(crate) trait Processes: 'static {
    type Tiny;
    type Large;

    /// A pool that has run nothing.
    fn start() -> Self;

    /// Submits a task that returns its argument.
    fn submit(&self, n: u64) -> Self::Tiny;
    fn take(&self, handle: Self::Tiny) -> u64;

    /// Submits this many and takes all results.
    fn sum(&self, tasks: u64) -> u64 {
        let handles: Vec<_> = (0..tasks).map(|n| self.submit(n)).collect();
        handles.into_iter().map(|handle| self.take(handle)).sum()
    }

    /// An argument of this many bytes, all of them 1.
    fn argument(size: usize) -> Self::Large;
    /// Sends arguments, as many at a time as possible, and waits for the sum of what [`touch`] returns.
    fn send(&self, arguments: Vec<Self::Large>) -> u64;
    /// Asks for a large result and waits for it.
    fn receive(&self, byte: u8) -> usize;

    /// The sum of the results of a map over this many numbers, [`CHUNK`] to a task.
    fn map_sum(&self, items: u64) -> u64;
}

fn tiny(n: u64) -> u64 {
    n
}

/// Reads each page of the argument.
pub(crate) fn touch(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .step_by(4096)
        .map(|&byte| u64::from(byte))
        .sum()
}

fn large(byte: u8) -> Vec<u8> {
    vec![byte; LARGE]
}

impl Processes for ProcessPoolExecutor {
    type Tiny = process_pool::JoinHandle<u64>;
    type Large = Bytes;

    fn start() -> Self {
        done(Self::new(WORKERS))
    }

    fn submit(&self, n: u64) -> Self::Tiny {
        Self::submit(self, tiny, n)
    }

    fn take(&self, handle: Self::Tiny) -> u64 {
        done(handle.result())
    }

    fn argument(size: usize) -> Bytes {
        vec![1; size].into()
    }

    fn send(&self, arguments: Vec<Bytes>) -> u64 {
        let submit = |argument| Self::submit(self, |bytes: Bytes| touch(&bytes), argument);
        let handles: Vec<_> = arguments.into_iter().map(submit).collect();
        handles
            .into_iter()
            .map(|handle| done(handle.result()))
            .sum()
    }

    fn receive(&self, byte: u8) -> usize {
        let result = Self::submit(self, |byte| Bytes::from(large(byte)), byte).result();
        done(result).len()
    }

    fn map_sum(&self, items: u64) -> u64 {
        self.map(tiny, 0..items).chunk_size(CHUNK).map(done).sum()
    }
}

pub(crate) struct Procspawn(procspawn::Pool);

impl Processes for Procspawn {
    type Tiny = procspawn::JoinHandle<u64>;
    type Large = ByteBuf;

    fn start() -> Self {
        Self(done(procspawn::Pool::new(WORKERS)))
    }

    fn submit(&self, n: u64) -> Self::Tiny {
        self.0.spawn(n, tiny)
    }

    fn take(&self, handle: Self::Tiny) -> u64 {
        done(handle.join())
    }

    /// 256 at a time: each has descriptors of its own, and it panics when they run out.
    fn sum(&self, tasks: u64) -> u64 {
        let window = |from: u64| {
            let handles = (from..tasks.min(from + 256)).map(|n| self.submit(n));
            let handles: Vec<_> = handles.collect();
            handles
                .into_iter()
                .map(|handle| self.take(handle))
                .sum::<u64>()
        };
        (0..tasks).step_by(256).map(window).sum()
    }

    fn argument(size: usize) -> ByteBuf {
        ByteBuf::from(vec![1; size])
    }

    fn send(&self, arguments: Vec<ByteBuf>) -> u64 {
        let mut waiting = VecDeque::new();
        let mut sum = 0;
        for argument in arguments {
            if waiting.len() == MOST_OF_PROCSPAWN {
                sum += waiting.pop_front().map_or(0, |handle| self.take(handle));
            }
            waiting.push_back(self.0.spawn(argument, |bytes: ByteBuf| touch(&bytes)));
        }
        sum + waiting
            .into_iter()
            .map(|handle| self.take(handle))
            .sum::<u64>()
    }

    fn receive(&self, byte: u8) -> usize {
        done(self.0.spawn(byte, |byte| ByteBuf::from(large(byte))).join()).len()
    }

    /// It has no map. This is what one would write instead.
    fn map_sum(&self, items: u64) -> u64 {
        let double = |chunk: Vec<u64>| chunk.into_iter().map(tiny).collect::<Vec<_>>();
        let starts = (0..items).step_by(CHUNK);
        let chunks = starts.map(|from| (from..items.min(from + CHUNK as u64)).collect());
        let handles: Vec<_> = chunks.map(|chunk| self.0.spawn(chunk, double)).collect();
        handles
            .into_iter()
            .map(|handle| done(handle.join()).into_iter().sum::<u64>())
            .sum()
    }
}
