//! Panics in a worker: caught, and reported as text, with their place.
//!
//! The result of `catch_unwind` does not say where the panic was; only the panic hook knows. So a worker
//! has a hook of its own that notes the place and then calls the previous one, which prints. If a
//! task or an initializer sets another hook, places are no longer reported.

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

/// Runs user code; a panic comes back as text.
pub(crate) fn catch<T>(code: impl FnOnce() -> T) -> Result<T, PanicReport> {
    // Unwind safety: what the code shares with others is in the same state as if its thread had
    // panicked, and the waiter gets the panic.
    let payload = match catch_unwind(AssertUnwindSafe(code)) {
        Ok(value) => return Ok(value),
        Err(payload) => payload,
    };
    // This contains the destructor of the payload.
    let panic = Panic::from_payload(payload);
    Err(PanicReport {
        message: panic.message().to_owned(),
        location: PLACE.try_with(|last| last.take()).ok().flatten(),
    })
}
