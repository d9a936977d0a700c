//! Workers of another executable: what they run, and all the ways in which it may be the wrong one.
//!
//! The file has the name of an executable of this package, so that names declared in it are the same as there.

#![forbid(unsafe_code)]

use process_pool::{
    BuildError, FutureResult, JoinHandle, Named, ProcessPoolExecutor, TaskError, TryError,
    WorkerDied,
};
use two_programs::{ABORT, EXECUTABLE, GREET, HALVE, PANIC, SET_GREETING, SQUARE, TIMES_HALVED};

const WORKER: &str = env!("CARGO_BIN_EXE_two-programs-worker");
const DIFFERS: &str = env!("CARGO_BIN_EXE_differs");
const TWICE: &str = env!("CARGO_BIN_EXE_twice");
/// Starts [`FORGETFUL_PROGRAM`], which the library would otherwise make a worker, even without `init`.
const FORGETFUL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/forgetful.sh");
const FORGETFUL_PROGRAM: &str = env!("CARGO_BIN_EXE_forgetful");

process_pool::named! {
    static CHANGED: fn(u64) -> u64 = |n| n;
}

fn pool(executable: &str) -> Result<ProcessPoolExecutor, BuildError> {
    let builder = ProcessPoolExecutor::builder().workers(2);
    builder.worker_executable(executable).build()
}

fn codec_error<T: std::fmt::Debug + Send + 'static>(handle: JoinHandle<T>) -> String {
    match handle.result() {
        Err(TaskError::Codec(cause)) => cause.to_string(),
        other => panic!("{other:?}"),
    }
}

fn worker_error(executable: &str) -> String {
    match pool(executable) {
        Err(error @ BuildError::Worker(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn named_functions_run_in_the_other_executable() {
    let pool = pool(WORKER).unwrap();
    assert_eq!(pool.submit_named(&SQUARE, 12).result().unwrap(), 144);
    let path = pool.submit_named(&EXECUTABLE, ()).result().unwrap();
    assert!(path.ends_with("two-programs-worker"), "{path}");
    let squares = pool.map_named(&SQUARE, 0..1000).chunk_size(7);
    let squares: Vec<_> = squares.map(Result::unwrap).collect();
    assert!(squares.iter().zip(0..).all(|(square, n)| *square == n * n));
    assert_eq!(squares.len(), 1000);
}

#[test]
fn a_named_try_map_ends_at_the_first_error_and_calls_nothing_more_in_its_chunk() {
    for executable in [Some(WORKER), None] {
        let mut builder = ProcessPoolExecutor::builder().workers(1);
        if let Some(executable) = executable {
            builder = builder.worker_executable(executable);
        }
        let pool = builder.build().unwrap();
        let mut halves = pool.try_map_named(&HALVE, [2, 4, 5, 6, 8]).chunk_size(5);
        assert!(matches!(halves.next(), Some(Ok(1))));
        assert!(matches!(halves.next(), Some(Ok(2))));
        let last = halves.next();
        assert!(matches!(last, Some(Err(TryError::Returned(text))) if text == "5 is odd"));
        assert!(halves.next().is_none());
        let times = pool.submit_named(&TIMES_HALVED, ()).result().unwrap();
        assert_eq!(times, 3);
        // A map goes on.
        let halves: Vec<_> = pool.map_named(&HALVE, [3, 2]).chunk_size(2).collect();
        assert!(matches!(halves[..], [Ok(Err(_)), Ok(Ok(1))]));
    }
}

#[test]
fn named_functions_run_in_ordinary_workers_beside_others() {
    let pool = ProcessPoolExecutor::new(1).unwrap();
    assert_eq!(pool.submit_named(&SQUARE, 3).result().unwrap(), 9);
    assert_eq!(pool.submit(|n: u64| n + 1, 3).result().unwrap(), 4);
    assert_eq!(pool.submit_named(&CHANGED, 3).result().unwrap(), 3);
}

#[test]
fn panics_and_crashes_cost_their_own_task() {
    let pool = pool(WORKER).unwrap();
    let panicked = pool.submit_named(&PANIC, "on purpose".to_owned());
    match panicked.result() {
        Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "on purpose"),
        other => panic!("{other:?}"),
    }
    let lost = pool.submit_named(&ABORT, ()).result().unwrap_err();
    assert_eq!(WorkerDied::of(&lost).and_then(WorkerDied::signal), Some(6));
    assert_eq!(pool.submit_named(&SQUARE, 3).result().unwrap(), 9);
}

#[test]
fn a_named_initializer_runs_in_each_worker() {
    let builder = ProcessPoolExecutor::builder()
        .workers(2)
        .worker_executable(WORKER);
    let pool = builder
        .initializer_named(&SET_GREETING, "good day".to_owned())
        .build()
        .unwrap();
    let greeted = pool
        .submit_named(&GREET, "you".to_owned())
        .result()
        .unwrap();
    assert_eq!(greeted.as_deref(), Some("good day, you"));
}

#[test]
fn a_call_by_address_is_refused_before_it_is_sent() {
    let pool = pool(WORKER).unwrap();
    let refused = pool.submit(|n: u64| n, 1);
    assert!(refused.is_done());
    let text = codec_error(refused);
    assert!(text.contains("submit_named"), "{text}");
    let mapped: Vec<_> = pool.map(|n: u64| n, [1]).collect();
    assert!(matches!(mapped[..], [Err(TaskError::Codec(_))]));
}

#[test]
fn an_initializer_by_address_is_refused_by_build() {
    let builder = ProcessPoolExecutor::builder().worker_executable(WORKER);
    let error = builder.initializer(|()| (), ()).build().unwrap_err();
    assert!(error.to_string().contains("initializer_named"), "{error}");
}

#[test]
fn a_name_that_the_worker_does_not_know_fails_its_task_alone() {
    let pool = pool(WORKER).unwrap();
    let text = codec_error(pool.submit_named(&CHANGED, 1));
    assert!(text.contains("no function `differs::CHANGED`"), "{text}");
    assert_eq!(pool.submit_named(&SQUARE, 3).result().unwrap(), 9);
}

#[test]
fn a_function_whose_types_differ_fails_its_task_and_both_types_are_told() {
    let pool = pool(DIFFERS).unwrap();
    let text = codec_error(pool.submit_named(&CHANGED, 1));
    assert!(
        text.contains("`fn(u64) -> u64`") && text.contains("`fn(u32) -> u32`"),
        "{text}"
    );
}

#[test]
fn a_function_that_was_not_declared_is_refused() {
    static STRAY: Named<u32, u32> = Named::new("stray", |n| n);
    let text = codec_error(pool(WORKER).unwrap().submit_named(&STRAY, 1));
    assert!(text.contains("`stray` is not declared"), "{text}");
}

#[test]
fn a_worker_with_two_functions_of_one_name_is_told_at_the_start() {
    let text = worker_error(TWICE);
    assert!(
        text.contains("`twice::SAME`") && text.contains("fn(u32) -> u32"),
        "{text}"
    );
}

#[test]
fn a_program_with_two_functions_of_one_name_builds_no_pool() {
    let output = std::process::Command::new(TWICE).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("two functions are declared with the name `twice::SAME`"),
        "{text}"
    );
}

#[test]
fn a_program_that_is_no_worker_is_told_at_the_start() {
    let builder = ProcessPoolExecutor::builder().worker_executable(FORGETFUL);
    let builder = builder.environment("TWO_PROGRAMS_FORGETFUL", FORGETFUL_PROGRAM);
    let text = builder.build().unwrap_err().to_string();
    assert!(
        text.contains("ended") && text.contains("process_pool::init()"),
        "{text}"
    );
}

/// Waits until the pool gives up, after 10 seconds.
#[test]
fn a_program_that_says_nothing_is_told_in_time() {
    let builder = ProcessPoolExecutor::builder().worker_executable(FORGETFUL);
    let builder = builder.environment("TWO_PROGRAMS_FORGETFUL", FORGETFUL_PROGRAM);
    let error = builder
        .environment("TWO_PROGRAMS_SILENT", "1")
        .build()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("in time") && text.contains("process_pool::init()"),
        "{text}"
    );
}

#[test]
fn a_program_that_would_start_itself_without_end_is_stopped() {
    let mut command = std::process::Command::new(FORGETFUL_PROGRAM);
    command
        .env("TWO_PROGRAMS_FORGETFUL", FORGETFUL_PROGRAM)
        .env("TWO_PROGRAMS_WORKER", FORGETFUL);
    let output = command.output().unwrap();
    // A started program's output goes to its parent, whose error contains it.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    // The first, and as many more as pools may be nested.
    assert_eq!(
        text.lines().filter(|it| it.ends_with("started")).count(),
        9,
        "{text}"
    );
    assert!(text.contains("nested"), "{text}");
}

#[test]
fn an_executable_that_is_not_there_is_told_at_the_start() {
    let text = worker_error("/nowhere/worker");
    assert!(text.contains("/nowhere/worker cannot be started"), "{text}");
}
