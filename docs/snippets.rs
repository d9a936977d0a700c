//! The snippets of the guide and of the workspace's README as documentation tests: `cargo test -p guide` compiles and
//! runs each of them.
//!
//! The guide itself is in `src`, in the layout of [mdBook](https://rust-lang.github.io/mdBook/): `mdbook build docs`
//! makes pages of it.

// One item a chapter, so that a failing snippet is named after its chapter.
macro_rules! chapters {
    ($($name:ident = $file:literal;)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("src/", $file))]
            mod $name {}
        )*

        /// The files whose snippets are tested.
        pub const CHAPTERS: &[&str] = &[$($file),*];
    };
}

chapters! {
    introduction = "introduction.md";
    concepts = "concepts.md";
    choosing = "choosing.md";
    results_and_errors = "results-and-errors.md";
    cancel_and_shutdown = "cancel-and-shutdown.md";
    back_pressure = "back-pressure.md";
    testing = "testing.md";
    concurrent_futures = "migrating/concurrent-futures.md";
    gevent = "migrating/gevent.md";
    celery = "migrating/celery.md";
    rayon = "migrating/rayon.md";
    tokio = "migrating/tokio.md";
    threadpool = "migrating/threadpool.md";
    programs = "programs.md";
    crawl = "programs/crawl.md";
    primes = "programs/primes.md";
    pools = "programs/pools.md";
    queue_blocking = "programs/queue-blocking.md";
    pipeline = "programs/pipeline.md";
    fan_out = "programs/fan-out.md";
    flash_sale = "programs/flash-sale.md";
    two_programs = "programs/two-programs.md";
    echo = "programs/echo.md";
    libraries = "programs/libraries.md";
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
