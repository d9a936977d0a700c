//! For the tests: a worker that declares a name that they know with another type.

#![forbid(unsafe_code)]

process_pool::named! {
    static CHANGED: fn(u32) -> u32 = |n| n;
}

fn main() {
    process_pool::init();
    eprintln!("{CHANGED:?}: this is started by a test");
}
