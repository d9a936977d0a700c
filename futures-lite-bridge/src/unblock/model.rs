//! Models of a job and its adapter at work together.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "the tests' helpers unwrap"
)]

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use future_result::sync::Mutex;
use future_result::{FutureResult, JoinHandle, block_until, pair};
use loom::thread;

use super::ahead::{AHEAD, Ahead, Chunk, Filled, Source};
use super::gathered::{Gathered, Job, Look};
use super::items::Items;

/// Fills this many buffers with its number, then ends. Before the last one it waits for its handle, if it has one.
struct Full(u8, Option<JoinHandle<()>>);

impl Read for Full {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Ok(0);
        }
        if self.0 == 1
            && let Some(awaited) = self.1.take()
        {
            awaited.result().unwrap();
        }
        buffer.fill(self.0);
        self.0 -= 1;
        Ok(buffer.len())
    }
}

fn source(buffers: u8) -> Source<Full> {
    Source {
        reader: Full(buffers, None),
        capacity: 1,
        capacity_max: 1,
        goes_on: false,
    }
}

/// Polls as the adapter does: what is ahead, then the job's handle.
fn poll_chunk(
    ahead: &Ahead,
    buffer: &mut Vec<u8>,
    job: &mut Option<JoinHandle<Filled<Full>>>,
    context: &mut Context<'_>,
) -> Poll<Option<Chunk>> {
    loop {
        if let Some(chunk) = ahead.take(buffer, context.waker()) {
            return Poll::Ready(Some(chunk));
        }
        let Some(handle) = job else {
            return Poll::Ready(None);
        };
        match Pin::new(handle).poll(context) {
            Poll::Ready(filled) => ahead.add(filled.unwrap().last),
            Poll::Pending => return Poll::Pending,
        }
        *job = None;
    }
}

#[test]
fn a_job_that_goes_on_races_the_reader_who_gets_all_in_order() {
    loom::model(|| {
        let ahead = Arc::new(Ahead::default());
        let (completer, handle) = pair();
        let same = Arc::clone(&ahead);
        let filling = thread::spawn(move || {
            let _ = completer.complete(same.fill(source(2), || false));
        });
        let (mut buffer, mut job) = (Vec::new(), Some(handle));
        let mut read = Vec::<u8>::new();
        while let Some(chunk) = block_until(None, |context| {
            poll_chunk(&ahead, &mut buffer, &mut job, context)
        })
        .unwrap()
        {
            read.extend(&chunk.buffer[..chunk.read.unwrap()]);
            buffer = chunk.buffer;
        }
        assert_eq!(read, [2, 1]);
        filling.join().unwrap();
    });
}

#[test]
fn a_job_that_goes_on_races_a_reader_who_waits_and_wakes_it_before_the_next_read() {
    loom::model(|| {
        let ahead = Arc::new(Ahead::default());
        let (completer, handle) = pair();
        let (got_one, awaited) = pair();
        let same = Arc::clone(&ahead);
        let filling = thread::spawn(move || {
            let mut source = source(2);
            source.reader.1 = Some(awaited);
            let _ = completer.complete(same.fill(source, || false));
        });
        let (mut buffer, mut job) = (Vec::new(), Some(handle));
        let chunk = block_until(None, |context| {
            poll_chunk(&ahead, &mut buffer, &mut job, context)
        });
        assert_eq!(chunk.unwrap().unwrap().buffer, [2]);
        let _ = got_one.complete(());
        filling.join().unwrap();
    });
}

#[test]
fn a_job_that_nobody_takes_from_ends_where_there_is_no_room() {
    loom::model(|| {
        let ahead = Ahead::default();
        let filled = ahead.fill(source(9), || false);
        assert_eq!(ahead.len() + 1, AHEAD);
        assert_eq!(filled.last.buffer, [9 - ahead.len() as u8]);
        assert!(filled.source.goes_on);
    });
}

#[test]
fn a_job_whose_turn_is_over_ends_after_one_read() {
    loom::model(|| {
        let ahead = Ahead::default();
        let filled = ahead.fill(source(9), || true);
        assert_eq!((ahead.len(), filled.source.reader.0), (0, 8));
        assert!(filled.source.goes_on);
    });
}

/// Polls as the stream does: the job's handle, then its items.
fn poll_items<I: Iterator<Item = u8>>(
    items: &Items<u8>,
    taken: &mut VecDeque<u8>,
    job: &mut Option<JoinHandle<Option<I>>>,
    context: &mut Context<'_>,
) -> Poll<bool> {
    let polled = match job {
        Some(handle) => Pin::new(handle).poll(context).is_ready(),
        None => true,
    };
    if polled {
        *job = None;
    }
    if items.take(taken, context.waker()) {
        return Poll::Ready(true);
    }
    if polled {
        Poll::Ready(false)
    } else {
        Poll::Pending
    }
}

/// Its second item waits for `awaited`.
fn two(mut awaited: Option<JoinHandle<()>>) -> impl Iterator<Item = u8> + Send + 'static {
    (1..3).inspect(move |&n| {
        if n == 2
            && let Some(awaited) = awaited.take()
        {
            awaited.result().unwrap();
        }
    })
}

#[test]
fn a_job_that_ends_races_the_stream_who_gets_all_items_in_order() {
    loom::model(|| {
        let items = Arc::new(Items::new());
        let (completer, handle) = pair();
        let same = Arc::clone(&items);
        let filling = thread::spawn(move || {
            let _ = completer.complete(same.fill(two(None), 9, |_| false));
        });
        let (mut taken, mut job, mut got) = (VecDeque::new(), Some(handle), Vec::new());
        while block_until(None, |context| {
            poll_items(&items, &mut taken, &mut job, context)
        })
        .unwrap()
        {
            got.extend(taken.drain(..));
        }
        assert_eq!(got, [1, 2]);
        filling.join().unwrap();
    });
}

#[test]
fn a_job_that_goes_on_races_a_stream_that_waits_and_wakes_it_before_the_next_item() {
    loom::model(|| {
        let items = Arc::new(Items::new());
        let (completer, handle) = pair();
        let (got_one, awaited) = pair();
        let same = Arc::clone(&items);
        let filling = thread::spawn(move || {
            let _ = completer.complete(same.fill(two(Some(awaited)), 9, |_| false));
        });
        let (mut taken, mut job) = (VecDeque::new(), Some(handle));
        block_until(None, |context| {
            poll_items(&items, &mut taken, &mut job, context)
        })
        .unwrap();
        assert_eq!(taken, [1]);
        let _ = got_one.complete(());
        filling.join().unwrap();
    });
}

#[test]
fn a_job_goes_on_as_far_as_there_is_room_beside_what_the_stream_has_taken() {
    loom::model(|| {
        let items = Items::new();
        let iter = items.fill(0..9, 4, |_| false).unwrap();
        let mut taken = VecDeque::new();
        assert!(items.take(&mut taken, Waker::noop()));
        assert_eq!((taken.pop_front(), taken.len()), (Some(0), 3));
        assert!(!items.is_half_empty(taken.len(), 4));
        assert_eq!(taken.pop_front(), Some(1));
        assert!(items.is_half_empty(taken.len(), 4));
        let _ = items.fill(iter, 4, |_| false);
        assert_eq!((items.len(), taken.len()), (2, 2));
    });
}

#[test]
fn a_job_whose_turn_is_over_ends_after_one_item_and_gives_the_iterator_back() {
    loom::model(|| {
        let items = Items::new();
        let mut iter = items.fill(0..9, 9, |_| true).unwrap();
        assert_eq!((items.len(), iter.next()), (1, Some(1)));
    });
}

/// What was written, how much of it was flushed, and how often.
type Log = Arc<Mutex<(Vec<u8>, usize, usize)>>;

/// Waits for its handle, if it has one, before it writes a `b`.
struct Logged(Log, Option<JoinHandle<()>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.contains(&b'b')
            && let Some(awaited) = self.1.take()
        {
            awaited.result().unwrap();
        }
        self.0.lock().0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut log = self.0.lock();
        log.1 = log.0.len();
        log.2 += 1;
        Ok(())
    }
}

/// The adapter's side, whose jobs are threads.
struct Adapter {
    gathered: Arc<Gathered<Logged>>,
    job: Option<JoinHandle<()>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Adapter {
    fn new(capacity: usize, awaited: Option<JoinHandle<()>>) -> (Self, Log) {
        let log = Log::default();
        let gathered = Gathered::new(capacity, capacity, Logged(Arc::clone(&log), awaited));
        let adapter = Self {
            gathered: Arc::new(gathered),
            job: None,
            threads: Vec::new(),
        };
        (adapter, log)
    }

    fn start(&mut self, job: Job<Logged>) {
        let gathered = Arc::clone(&self.gathered);
        let (completer, handle) = pair();
        self.job = Some(handle);
        self.threads.push(thread::spawn(move || {
            gathered.write_out(job, || false);
            let _ = completer.complete(());
        }));
    }

    fn poll_job(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let handle = self.job.as_mut().expect("somebody has the writer");
        let polled = Pin::new(handle).poll(context);
        if polled.is_ready() {
            self.job = None;
        }
        polled.map(Result::unwrap)
    }

    fn write(&mut self, byte: u8) {
        block_until(None, |context| {
            loop {
                let is_done = self.job.as_ref().is_some_and(FutureResult::is_done);
                let look = self.gathered.add(&[byte], is_done, context.waker());
                match look {
                    Look::Done(_) => return Poll::Ready(()),
                    Look::Start(job, taken) => {
                        self.start(job);
                        if taken.is_some() {
                            return Poll::Ready(());
                        }
                    }
                    Look::Wait => {
                        if self.poll_job(context).is_pending() {
                            return Poll::Pending;
                        }
                    }
                    Look::Failed(error) => panic!("{error}"),
                }
            }
        })
        .unwrap();
    }

    fn flush(&mut self) {
        block_until(None, |context| {
            loop {
                match self.gathered.flush(context.waker()) {
                    Look::Done(()) => return Poll::Ready(()),
                    Look::Start(job, _) => self.start(job),
                    Look::Wait => {
                        if self.poll_job(context).is_pending() {
                            return Poll::Pending;
                        }
                    }
                    Look::Failed(error) => panic!("{error}"),
                }
            }
        })
        .unwrap();
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_write_races_the_end_of_the_job_and_is_written_without_another_call() {
    loom::model(|| {
        let (mut adapter, log) = Adapter::new(2, None);
        adapter.write(b'a');
        adapter.write(b'b');
        adapter.join();
        assert_eq!(log.lock().0, b"ab");
    });
}

#[test]
fn a_write_that_waits_for_room_races_the_job_and_is_woken() {
    loom::model(|| {
        let (completer, awaited) = pair();
        let (mut adapter, log) = Adapter::new(1, Some(awaited));
        for byte in *b"abc" {
            adapter.write(byte);
        }
        let _ = completer.complete(());
        adapter.join();
        assert_eq!(log.lock().0, b"abc");
    });
}

#[test]
fn a_flush_races_the_job_and_ends_when_all_is_written_and_flushed_once() {
    loom::model(|| {
        let (mut adapter, log) = Adapter::new(2, None);
        adapter.write(b'a');
        adapter.write(b'b');
        adapter.flush();
        assert_eq!(*log.lock(), (b"ab".to_vec(), 2, 1));
        adapter.join();
    });
}
