//! How many tests begin.

use std::sync::mpsc::{Sender, channel};

use thread_pool::ThreadPoolExecutor;

/// Keeps one worker busy until the sender is dropped; returns once it is.
pub(crate) fn occupy(pool: &ThreadPoolExecutor) -> Sender<()> {
    let (started, wait_for_start) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    pool.execute(move || {
        started.send(()).unwrap();
        wait_for_gate.recv().unwrap_err();
    })
    .unwrap();
    wait_for_start.recv().unwrap();
    gate
}
