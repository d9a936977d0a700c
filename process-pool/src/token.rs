//! The numbers by which the poller tells descriptors apart.

/// The pool's own wake-ups.
pub(crate) const NOTIFIER: u64 = u64::MAX;

/// A zygote's messages, and its end.
pub(crate) const ZYGOTE: u64 = u64::MAX - 1;
pub(crate) const ZYGOTE_END: u64 = u64::MAX - 2;

/// Where the numbers of zygotes begin: their output is forwarded as if they were workers.
pub(crate) const ZYGOTES: u64 = 1 << 62;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Process,
    Results,
    Tasks,
}

pub(crate) const fn new(worker: u64, source: Source) -> u64 {
    worker * 4
        + match source {
            Source::Process => 0,
            Source::Results => 1,
            Source::Tasks => 2,
        }
}

pub(crate) const fn split(token: u64) -> (u64, Source) {
    let source = match token % 4 {
        0 => Source::Process,
        1 => Source::Results,
        _ => Source::Tasks,
    };
    (token / 4, source)
}
