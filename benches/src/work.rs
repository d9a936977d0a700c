//! Work as a fixed number of arithmetic steps. A time span would hide what a pool costs: a disturbed thread
//! would do less.
//!
//! The constants were measured once, on a virtual AMD EPYC: 2.09 ns a step. Only their ratios matter.

/// Steps of 100 ns.
pub(crate) const STEPS_100_NS: u64 = 48;
/// Steps of 1 µs.
pub(crate) const STEPS_1_US: u64 = 480;
/// Steps of 5 ns an item when a loop does many items: the CPU overlaps several of them.
pub(crate) const STEPS_5_NS_AMONG_MANY: u64 = 6;

/// This many steps of a xorshift, which the compiler can neither shorten nor vectorize.
#[inline(never)]
pub(crate) fn work(steps: u64) -> u64 {
    let mut x = steps | 1;
    for _ in 0..steps {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

/// `count` pseudo-random amounts of work below `limit` steps, the same every time.
pub(crate) fn irregular(count: usize, limit: u64) -> Vec<u64> {
    let mut x = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        // The upper half is more random.
        (x >> 32) % limit
    };
    std::iter::repeat_with(next).take(count).collect()
}
