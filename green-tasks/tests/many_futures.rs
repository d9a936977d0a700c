//! A hundred thousand waiting futures take at most 256 bytes each, besides their own. A separate process, since
//! memory that other tests freed would not be counted.
#![cfg(all(
    target_os = "linux",
    target_pointer_width = "64",
    not(any(pool_loom, pool_sim, pool_unpooled))
))]

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use green_tasks::{Runtime, dump, spawn_future, yield_now};

const COUNT: usize = 100_000;

/// A future that keeps its waker and is never ready.
struct Never(Option<Waker>);

impl Future for Never {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0 = Some(context.waker().clone());
        Poll::Pending
    }
}

fn resident_bytes() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

#[test]
fn a_future_that_waits_takes_at_most_256_bytes_besides_its_own()
-> Result<(), green_tasks::RuntimeError> {
    Runtime::new().run(|| {
        let before = resident_bytes();
        for _ in 0..COUNT {
            drop(spawn_future(Never(None)));
        }
        yield_now();
        let bytes = (resident_bytes() - before) / COUNT;
        assert!(
            bytes <= 256 + size_of::<Never>(),
            "{bytes} bytes, with its own {}",
            size_of::<Never>()
        );
        assert_eq!(dump().len(), COUNT + 1);
    })
}
