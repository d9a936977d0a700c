//! Panics in a worker: caught, and told as text, with their place.
//!
//! What `catch_unwind` gives does not say where the panic was; only the panic hook is told. So a worker
//! has a hook of its own that notes the place and then calls the one that was there, which prints. If a
//! task or an initializer sets another hook, places are not told any more.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

use future_result::Panic;
use future_result::sync::thread_locals;

use crate::protocol::PanicReport;

thread_locals! {
    /// Where the last panic of this thread was.
    static PLACE: RefCell<Option<String>> = RefCell::new(None);
}

/// Notes the places of panics from now on.
pub(crate) fn install() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string);
        let _ = PLACE.try_with(|last| last.replace(place));
        before(info);
    }));
}

/// Runs users' code; a panic comes back as text.
pub(crate) fn catch<T>(code: impl FnOnce() -> T) -> Result<T, PanicReport> {
    // Unwind safety: what the code shares with others is in the same state as if its thread had
    // panicked, which is what the waiter is told.
    let payload = match catch_unwind(AssertUnwindSafe(code)) {
        Ok(value) => return Ok(value),
        Err(payload) => payload,
    };
    // Its destructor is contained there.
    let panic = Panic::from_payload(payload);
    Err(PanicReport {
        message: panic.message().to_owned(),
        location: PLACE.try_with(|last| last.take()).ok().flatten(),
    })
}
