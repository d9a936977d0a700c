//! Proves that adapted readers and writers pass everything on in order, and hold no worker while there is nothing
//! to do.
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};

use futures_lite::future::poll_once;
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt};
use futures_lite_bridge::{UnblockReader, UnblockWriter, block_on};
use thread_pool::{FutureResult, Rejection, TaskError};

use crate::common::{Counted, Gate, pool};

/// Records what was written, and counts flushes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<(Vec<u8>, usize)>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(7)];
        self.0.lock().unwrap().0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().1 += 1;
        Ok(())
    }
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

fn source(error: &io::Error) -> &TaskError {
    error.get_ref().unwrap().downcast_ref().unwrap()
}

#[test]
fn a_reader_gives_all_bytes_whatever_its_capacity() {
    let pool = pool(1);
    for capacity in [1, 2, 1000, 10_000, 20_000] {
        let input = io::Cursor::new(text(10_000));
        let mut reader = UnblockReader::with_capacity(capacity, &pool, input);
        let mut read = Vec::new();
        block_on(reader.read_to_end(&mut read)).unwrap();
        assert_eq!(read, text(10_000));
    }
}

#[test]
fn a_reader_gives_lines() {
    let pool = pool(1);
    let lines = UnblockReader::with_capacity(3, &pool, &b"one\ntwo\nthree"[..]).lines();
    let lines: Vec<String> = block_on(lines.map(Result::unwrap).collect());
    assert_eq!(lines, ["one", "two", "three"]);
}

/// Fails, is interrupted, then gives a byte, by turns.
struct Moody(usize);

impl Read for Moody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0 += 1;
        match self.0 % 3 {
            0 => {
                buffer[0] = b'x';
                Ok(1)
            }
            1 => Err(io::Error::other("in a bad mood")),
            _ => Err(io::ErrorKind::Interrupted.into()),
        }
    }
}

#[test]
fn a_reader_goes_on_after_an_error_and_repeats_what_was_interrupted() {
    let pool = pool(1);
    let mut reader = UnblockReader::new(&pool, Moody(0));
    let mut byte = [0];
    for _ in 0..3 {
        let error = block_on(reader.read(&mut byte)).unwrap_err();
        assert_eq!(error.to_string(), "in a bad mood");
        assert_eq!(block_on(reader.read(&mut byte)).unwrap(), 1);
    }
}

/// Each read brings what the script says, and is counted.
struct Scripted<I>(I, Arc<AtomicUsize>);

impl<I: Iterator<Item = io::Result<usize>>> Read for Scripted<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let bytes = self.0.next().unwrap_or(Ok(0))?;
        buffer[..bytes].fill(bytes as u8);
        Ok(bytes)
    }
}

#[test]
fn a_reader_that_fills_its_buffers_is_read_up_to_three_of_them_ahead_and_holds_no_worker_then() {
    let pool = pool(1);
    let reads = Arc::new(AtomicUsize::new(0));
    let input = Scripted(std::iter::repeat_with(|| Ok(4)), Arc::clone(&reads));
    let mut reader = UnblockReader::with_capacity(4, &pool, input);
    let mut byte = [0];
    for n in 0..100 {
        assert_eq!(block_on(reader.read(&mut byte)).unwrap(), 1);
        // Runs after the job, on the only worker.
        pool.submit(|| ()).result().unwrap();
        let ahead = reads.load(Ordering::SeqCst) - (n / 4 + 1);
        assert!((1..=3).contains(&ahead), "{ahead}");
    }
}

#[test]
fn a_reader_that_gives_less_than_a_buffer_is_read_when_it_is_asked_for() {
    let pool = pool(1);
    let reads = Arc::new(AtomicUsize::new(0));
    let script = [Ok(3), Ok(4), Ok(0)];
    let mut reader =
        UnblockReader::with_capacity(4, &pool, Scripted(script.into_iter(), Arc::clone(&reads)));
    for (bytes, expected) in [(3, 1), (4, 3), (0, 3), (0, 4)] {
        let mut buffer = [0; 8];
        assert_eq!(block_on(reader.read(&mut buffer)).unwrap(), bytes);
        pool.submit(|| ()).result().unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), expected);
    }
}

#[test]
fn the_end_stays_until_it_is_consumed_and_is_then_read_again() {
    let pool = pool(1);
    let script = [Ok(2), Ok(0), Ok(3), Ok(0)];
    let reads = Arc::new(AtomicUsize::new(0));
    let input = Scripted(script.into_iter(), Arc::clone(&reads));
    let mut reader = UnblockReader::with_capacity(4, &pool, input);
    block_on(async {
        for _ in 0..2 {
            let bytes = reader.fill_buf().await.unwrap().len();
            reader.consume(bytes);
            for _ in 0..3 {
                assert_eq!(reader.fill_buf().await.unwrap(), b"");
            }
            reader.consume(0);
        }
        assert_eq!(reads.load(Ordering::SeqCst), 4);
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
    });
    assert_eq!(reads.load(Ordering::SeqCst), 6);
}

#[test]
fn what_goes_wrong_ahead_is_told_after_the_bytes_before_it() {
    let pool = pool(1);
    let script = [Ok(4), Err(io::ErrorKind::TimedOut.into()), Ok(4), Ok(5)];
    let input = Scripted(script.into_iter(), Arc::default());
    let mut reader = UnblockReader::with_capacity(4, &pool, input);
    let mut byte = [0];
    for _ in 0..4 {
        block_on(reader.read_exact(&mut byte)).unwrap();
        pool.submit(|| ()).result().unwrap();
    }
    let error = block_on(reader.read(&mut byte)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    for _ in 0..4 {
        block_on(reader.read_exact(&mut byte)).unwrap();
        pool.submit(|| ()).result().unwrap();
    }
    // The reader exceeded the buffer, and panicked.
    let error = block_on(reader.read(&mut byte)).unwrap_err();
    assert!(matches!(source(&error), TaskError::Panicked(_)));
    let error = block_on(reader.read(&mut byte)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn dropping_a_read_at_its_await_point_loses_nothing() {
    let pool = pool(1);
    let (mut input, output) = {
        let (output, input) = io::pipe().unwrap();
        (input, output)
    };
    let mut reader = UnblockReader::new(&pool, output);
    let mut buffer = [0; 8];
    for _ in 0..3 {
        assert!(block_on(poll_once(reader.read(&mut buffer))).is_none());
    }
    input.write_all(b"hello").unwrap();
    drop(input);
    let mut read = String::new();
    block_on(reader.read_to_string(&mut read)).unwrap();
    assert_eq!(read, "hello");
}

#[test]
fn dropping_a_reader_whose_job_is_queued_drops_what_it_adapts_at_once() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Input(Counted);
    impl Read for Input {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            let _ = &self.0;
            unreachable!("its job was cancelled")
        }
    }
    let pool = pool(1);
    let gate = Gate::new();
    let open = gate.clone();
    let (started, wait_for_start) = channel();
    pool.execute(move || {
        started.send(()).unwrap();
        gate.wait();
    })
    .unwrap();
    wait_for_start.recv().unwrap();
    let mut reader = UnblockReader::new(&pool, Input(Counted::new(&DROPS)));
    assert!(block_on(poll_once(reader.read(&mut [0]))).is_none());
    drop(reader);
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    open.open();
}

#[test]
fn a_panic_of_a_reader_is_an_error_and_the_reader_is_gone() {
    struct Bad;
    impl Read for Bad {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("unreadable")
        }
    }
    let pool = pool(1);
    let mut reader = UnblockReader::new(&pool, Bad);
    let error = block_on(reader.read(&mut [0])).unwrap_err();
    assert!(
        matches!(source(&error), TaskError::Panicked(panic) if panic.message() == "unreadable")
    );
    let error = block_on(reader.read(&mut [0])).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_pool_that_is_shut_down_reads_no_more() {
    let pool = pool(1);
    let mut reader = UnblockReader::new(&pool, io::empty());
    pool.shutdown().unwrap();
    let error = block_on(reader.read(&mut [0])).unwrap_err();
    assert!(matches!(
        source(&error),
        TaskError::Rejected(Rejection::ShutDown)
    ));
}

#[test]
fn a_writer_writes_all_bytes_in_order_whatever_its_capacity() {
    let pool = pool(1);
    for capacity in [1, 2, 100, 3000] {
        let log = Log::default();
        let mut writer = UnblockWriter::with_capacity(capacity, &pool, log.clone());
        for part in text(1000).chunks(13) {
            block_on(writer.write_all(part)).unwrap();
        }
        block_on(writer.flush()).unwrap();
        let (written, flushes) = log.0.lock().unwrap().clone();
        assert_eq!((written, flushes), (text(1000), 1), "capacity {capacity}");
        block_on(writer.flush()).unwrap();
        assert_eq!(log.0.lock().unwrap().1, 1, "nothing was left to flush");
    }
}

/// Writes only when its gate is open.
struct Gated(Gate, Log);

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.wait();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

#[test]
fn a_write_waits_when_the_buffer_is_full_and_dropping_it_there_loses_nothing() {
    let pool = pool(1);
    let (gate, log) = (Gate::new(), Log::default());
    let open = gate.clone();
    let mut writer = UnblockWriter::with_capacity(4, &pool, Gated(gate, log.clone()));
    assert_eq!(
        block_on(writer.write(b"abcdef")).unwrap(),
        4,
        "with the job"
    );
    assert_eq!(
        block_on(writer.write(b"efghij")).unwrap(),
        4,
        "in the buffer"
    );
    for _ in 0..3 {
        assert!(block_on(poll_once(writer.write(b"ij"))).is_none());
        assert!(block_on(poll_once(writer.flush())).is_none());
    }
    open.open();
    block_on(writer.write_all(b"ij")).unwrap();
    block_on(writer.close()).unwrap();
    assert_eq!(log.0.lock().unwrap().0, b"abcdefghij");
}

/// Each of its writes lasts until more is given than it has.
struct Outpaced(Arc<(Mutex<u64>, Condvar)>);

impl Write for Outpaced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (given, more) = &*self.0;
        let given = given.lock().unwrap();
        // Whether the last byte was counted before or after it came to this write, two more cannot be in it.
        let enough = given.saturating_add(2);
        drop(more.wait_while(given, |given| *given < enough).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_is_never_done_leaves_its_only_worker_to_others_by_turns() {
    let pool = pool(1);
    let given = Arc::<(Mutex<u64>, Condvar)>::default();
    let mut writer = UnblockWriter::new(&pool, Outpaced(Arc::clone(&given)));
    block_on(writer.write_all(b"x")).unwrap();
    let mut give = || {
        block_on(poll_once(writer.write_all(b"x")));
        *given.0.lock().unwrap() += 1;
        given.1.notify_all();
        std::thread::yield_now();
    };
    let have_run = (0..10).all(|_| {
        let others = pool.submit(|| ());
        (0..1_000_000).any(|_| {
            give();
            others.is_done()
        })
    });
    // Lets every write end.
    *given.0.lock().unwrap() = u64::MAX;
    given.1.notify_all();
    assert!(have_run, "others wait behind an endless job");
}

#[test]
fn a_panic_of_a_writer_is_an_error_and_the_writer_is_gone() {
    struct Bad;
    impl Write for Bad {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("unwritable")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let pool = pool(1);
    let mut writer = UnblockWriter::with_capacity(1, &pool, Bad);
    // The second may be taken before the first's panic is known; the third waits for room.
    let error = block_on(writer.write_all(b"xyz")).unwrap_err();
    assert!(
        matches!(source(&error), TaskError::Panicked(panic) if panic.message() == "unwritable")
    );
    for _ in 0..2 {
        let error = block_on(writer.flush()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let error = block_on(writer.write(b"x")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let error = block_on(writer.close()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[test]
fn a_pool_that_is_shut_down_writes_no_more() {
    let pool = pool(1);
    let mut writer = UnblockWriter::new(&pool, Log::default());
    pool.shutdown().unwrap();
    block_on(writer.write_all(b"x")).unwrap();
    let error = block_on(writer.close()).unwrap_err();
    assert!(matches!(
        source(&error),
        TaskError::Rejected(Rejection::ShutDown)
    ));
}

#[test]
fn what_was_given_behind_an_error_is_written_after_it_was_told() {
    struct OnceFull(Gate, bool, Log);
    impl Write for OnceFull {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.wait();
            if !std::mem::replace(&mut self.1, true) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.2.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.2.flush()
        }
    }
    let pool = pool(1);
    let (gate, log) = (Gate::new(), Log::default());
    let output = OnceFull(gate.clone(), false, log.clone());
    let mut writer = UnblockWriter::new(&pool, output);
    block_on(writer.write_all(b"lost")).unwrap();
    block_on(writer.write_all(b"kept")).unwrap();
    gate.open();
    let error = block_on(writer.flush()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    block_on(writer.close()).unwrap();
    assert_eq!(*log.0.lock().unwrap(), (b"kept".to_vec(), 1));
}

#[test]
fn closing_a_writer_drops_it_on_the_pool_and_nothing_can_be_written_afterwards() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Output(#[expect(dead_code, reason = "for its drop")] Counted);
    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let pool = pool(1);
    let mut writer = UnblockWriter::new(&pool, Output(Counted::new(&DROPS)));
    block_on(writer.write_all(b"x")).unwrap();
    block_on(writer.close()).unwrap();
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    block_on(writer.close()).unwrap();
    let error = block_on(writer.write(b"x")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn an_error_of_a_writer_is_told_at_the_next_call_and_once() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let pool = pool(1);
    let mut writer = UnblockWriter::new(&pool, Full);
    block_on(writer.write_all(b"x")).unwrap();
    let error = block_on(writer.flush()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    block_on(writer.flush()).unwrap();
}

#[test]
fn a_flush_that_failed_is_tried_again_by_the_next_and_an_interrupted_one_at_once() {
    struct Late(usize);
    impl Write for Late {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0 += 1;
            match self.0 {
                1 => Err(io::ErrorKind::Interrupted.into()),
                2 | 3 => Err(io::ErrorKind::TimedOut.into()),
                _ => Ok(()),
            }
        }
    }
    let pool = pool(1);
    let mut writer = UnblockWriter::new(&pool, Late(0));
    block_on(writer.write_all(b"x")).unwrap();
    for _ in 0..2 {
        let error = block_on(writer.flush()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
    block_on(writer.flush()).unwrap();
    block_on(writer.close()).unwrap();
}
