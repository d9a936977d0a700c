//! For the tests: a program with two functions of one name, which can neither be a worker nor have any.

#![forbid(unsafe_code)]

use process_pool::{Named, ProcessPoolExecutor};

fn first() -> &'static Named<u32, u32> {
    process_pool::named! {
        static SAME: fn(u32) -> u32 = |n| n;
    }
    &SAME
}

fn second() -> &'static Named<u64, u64> {
    process_pool::named! {
        static SAME: fn(u64) -> u64 = |n| n;
    }
    &SAME
}

fn main() {
    process_pool::init();
    match ProcessPoolExecutor::new(1) {
        Ok(pool) => println!("{:?}", pool.submit_named(first(), 1)),
        Err(error) => println!("{error}"),
    }
    println!("{:?}", second());
}
