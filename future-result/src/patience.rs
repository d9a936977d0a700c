//! How often a wait yields before its thread parks, learnt from how earlier yields went.
//!
//! Waking a parked thread costs more than many yields. If what is waited for is near, it is there after a
//! few of them; if not, they are in vain, each time that the wait has polled.

use crate::sync::YIELDS;

pub(crate) struct Patience(u32);

impl Patience {
    pub(crate) const fn new() -> Self {
        Self(YIELDS)
    }

    /// Yields until it is over, but not too often.
    pub(crate) fn rest_until(
        &self,
        mut is_over: impl FnMut() -> bool,
        yield_now: &mut impl FnMut(),
    ) {
        let mut left = self.0;
        while left > 0 && !is_over() {
            left -= 1;
            yield_now();
        }
    }

    /// The waiter was woken meanwhile: what was near may be so again.
    pub(crate) fn has_paid(&mut self) {
        self.0 = YIELDS;
    }

    /// Half as many, but one look stays, to notice when what is waited for comes nearer again.
    pub(crate) fn was_in_vain(&mut self) {
        self.0 -= self.0 / 2;
    }
}
