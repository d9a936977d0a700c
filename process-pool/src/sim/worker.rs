//! A simulated worker: what it has read and written, what it is doing, and how it will misbehave.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use future_result::sync::now;

use super::Random;
use super::facts::{Fact, How, Order, padding};
use crate::claims::Claims;
use crate::frame::{self, Decoder, Header};
use crate::protocol::{
    DONE, FAILED, LEAVE, PANICKED, PanicReport, READY, REFUSED, Ready, SETUP, STORED, TASK,
    VERSION, split_task,
};
use crate::store::Store;
use crate::sys::{Descriptor, Exit, Image};
use crate::unread::Unread;
use crate::{codec, protocol};

const STORED_TASK: u32 = TASK | STORED;

/// How a worker misbehaves, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vice {
    None,
    /// Dies after so many steps, whatever it is doing.
    Dies(u64),
    /// Its initializer fails.
    Refuses,
    /// It is another executable.
    Foreign,
    /// Closes its end of the result pipe after so many steps; then it may exit after this time.
    Silent(u64, Option<Duration>),
    /// Breaks the protocol after so many steps.
    Lies(u64),
    /// Does not leave.
    Stays,
}

#[derive(Debug)]
struct Running {
    sequence: u64,
    task: usize,
    how: How,
    /// How many bytes come back besides the number.
    result: usize,
    since: Instant,
    /// When it ends; `None` is never.
    until: Option<Instant>,
}

/// Bytes on their way into the result pipe, and the task whose answer they complete.
#[derive(Debug, Default)]
struct Output {
    bytes: VecDeque<u8>,
    answers: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) claims: Arc<Claims>,
    /// It never begins, and another process is to blame for that.
    pub(super) is_blameless: bool,
    vice: Vice,
    steps: u64,
    /// A process that it started keeps its end of the result pipe open.
    has_heir: bool,
    /// How many bytes fit into each pipe.
    capacity: usize,
    pub(super) tasks: VecDeque<u8>,
    pub(super) results: VecDeque<u8>,
    decoder: Decoder,
    /// The store with long parts of arguments.
    arguments: Arc<Descriptor>,
    /// The store for long parts of values.
    values: Arc<Store>,
    unread: Unread,
    output: Output,
    running: Option<Running>,
    /// Until when it sets up.
    wakes_at: Option<Instant>,
    answered: Vec<usize>,
    /// Nothing that it wrote breaks the protocol.
    pub(super) is_clean: bool,
    is_closed: bool,
    pub(super) is_killed: bool,
    pub(super) exit: Option<Exit>,
    /// After how many more tasks it has too much memory, if ever.
    fills_after: Option<u64>,
    /// It is not yet the pool's.
    pub(super) is_spare: bool,
    pub(super) is_reaped: bool,
    pub(super) is_buried: bool,
    pub(super) watches_results: bool,
    pub(super) watches_room: bool,
    pub(super) watches_end: bool,
    /// When the pool last read from its results.
    pub(super) read_at: Option<Instant>,
    /// Up to which number the pool last took tasks back.
    pub(super) taken: u64,
    /// How many tasks it had been given when the pool saw that it had too much memory.
    pub(super) given_when_full: Option<u64>,
}

impl Worker {
    pub(super) fn new(random: &mut Random, arguments: Arc<Descriptor>, values: Store) -> Self {
        let steps = random.below(40);
        let exits = random.one_in(2);
        let exits = exits.then(|| Duration::from_millis(random.below(3_000)));
        let is_blameless = random.one_in(10);
        let vice = match random.below(24) {
            _ if is_blameless => Vice::Dies(0),
            0..2 => Vice::Dies(steps),
            2 => Vice::Refuses,
            3 => Vice::Foreign,
            4..6 => Vice::Silent(steps, exits),
            6 => Vice::Lies(steps),
            7 => Vice::Stays,
            _ => Vice::None,
        };
        Self {
            claims: Arc::default(),
            is_blameless,
            vice,
            steps: 0,
            has_heir: random.one_in(6),
            capacity: random.pick(&[30, 100, 500, 5_000]),
            tasks: VecDeque::new(),
            results: VecDeque::new(),
            decoder: Decoder::new(),
            arguments,
            values: Arc::new(values),
            unread: Unread::default(),
            output: Output::default(),
            running: None,
            wakes_at: None,
            answered: Vec::new(),
            is_clean: true,
            is_closed: false,
            is_killed: false,
            exit: None,
            fills_after: random.one_in(6).then(|| random.below(5)),
            is_reaped: false,
            is_buried: false,
            is_spare: true,
            watches_results: false,
            watches_room: false,
            watches_end: false,
            read_at: None,
            taken: 0,
            given_when_full: None,
        }
    }

    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.tasks.len())
    }

    /// Whether the result pipe has no writer.
    pub(super) fn is_silent(&self) -> bool {
        self.is_closed || (self.exit.is_some() && !self.has_heir)
    }

    pub(super) fn die(&mut self, facts: &mut [Fact], exit: Exit) {
        self.exit = Some(exit);
        if let Some(running) = self.running.take() {
            facts[running.task].end();
        }
    }

    /// Nothing more that it wrote can be read. Returns the tasks whose answers may be lost by that.
    pub(super) fn spoil(&mut self) -> Vec<usize> {
        self.is_clean = false;
        std::mem::take(&mut self.answered)
    }

    /// When it goes on by itself.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        if self.exit.is_some() {
            return None;
        }
        let running = self.running.as_ref().and_then(|it| it.until);
        self.wakes_at.or(running)
    }

    /// Since when the pool could know that this worker runs a task other than the last before `next`, if it does.
    pub(super) fn runs_since(&self, next: u64) -> Option<Instant> {
        let running = self.running.as_ref()?;
        let is_read = self.output.bytes.is_empty() && self.results.is_empty();
        let since = self
            .read_at
            .map_or(running.since, |at| running.since.max(at));
        (is_read && running.sequence + 1 < next).then_some(since)
    }

    /// Does a step, if there is anything to do now.
    pub(super) fn step(&mut self, random: &mut Random, facts: &mut [Fact]) -> bool {
        if self.exit.is_some() {
            return false;
        }
        // A spare may be wanted until its end is seen.
        let chance = if self.is_spare { 20 } else { 2 };
        if self.is_killed && random.one_in(chance) {
            self.die(
                facts,
                Exit::Signal {
                    signal: 9,
                    core_dumped: false,
                },
            );
            return true;
        }
        self.steps += 1;
        match self.vice {
            Vice::Dies(at) if self.steps >= at => {
                self.die(facts, Exit::Code(3));
                return true;
            }
            Vice::Silent(at, exits) if self.steps >= at && !self.is_closed => {
                self.is_closed = true;
                self.output = Output::default();
                self.wakes_at = exits.and_then(|after| now().checked_add(after));
                return true;
            }
            Vice::Lies(at) if self.steps >= at && self.is_clean && self.output.bytes.is_empty() => {
                self.lie(random);
                return true;
            }
            _ => {}
        }
        if let Some(at) = self.wakes_at {
            if at > now() {
                return self.is_killed;
            }
            self.wakes_at = None;
            if self.is_closed {
                self.die(facts, Exit::Code(0));
                return true;
            }
        }
        if !self.output.bytes.is_empty() {
            return self.write(random, facts);
        }
        if self.running.is_some() {
            return self.run(facts) || self.is_killed;
        }
        match self.decoder.next() {
            Ok(Some((header, place))) => {
                let body = self.decoder.body(place).to_vec();
                self.handle(header, &body, random, facts);
                true
            }
            // It misbehaves even if nobody wants anything of it.
            Ok(None) if self.tasks.is_empty() => {
                if random.one_in(4) {
                    self.unread.forget(self.claims.read());
                    self.values.give_back();
                }
                self.is_killed || self.is_up_to_something()
            }
            Ok(None) => {
                let most = 1 + random.below(200) as usize;
                let piece: Vec<u8> = self.tasks.drain(..most.min(self.tasks.len())).collect();
                let room = self.decoder.room().expect("there is memory");
                room.extend_from_slice(&piece);
                true
            }
            Err(error) => panic!("the pool's stream of tasks is broken: {error}"),
        }
    }

    fn is_up_to_something(&self) -> bool {
        match self.vice {
            Vice::Dies(at) => self.steps < at,
            Vice::Silent(at, _) => self.steps < at && !self.is_closed,
            Vice::Lies(at) => self.steps < at && self.is_clean,
            _ => false,
        }
    }

    fn write(&mut self, random: &mut Random, facts: &mut [Fact]) -> bool {
        if self.is_closed {
            self.die(facts, Exit::Code(70));
            return true;
        }
        let room = self.capacity.saturating_sub(self.results.len());
        let most = 1 + random.below(100) as usize;
        let now = room.min(most).min(self.output.bytes.len());
        self.results.extend(self.output.bytes.drain(..now));
        if self.output.bytes.is_empty()
            && let Some(task) = self.output.answers.take()
            && self.is_clean
        {
            facts[task].is_answered = true;
            self.answered.push(task);
        }
        now > 0 || self.is_killed
    }

    /// Checks whether the running task has ended.
    fn run(&mut self, facts: &mut [Fact]) -> bool {
        let is_over = |it: &mut Running| it.until.is_some_and(|until| until <= now());
        let Some(running) = self.running.take_if(is_over) else {
            return false;
        };
        let (sequence, task) = (running.sequence, running.task);
        facts[task].end();
        if running.how == How::Crashes {
            self.die(
                facts,
                Exit::Signal {
                    signal: 11,
                    core_dumped: true,
                },
            );
            return true;
        }
        let mut body = Vec::new();
        let kind = match running.how {
            How::Panics => {
                codec::encode(&PanicReport::default(), &mut body).expect("it is short");
                PANICKED
            }
            How::Fails => FAILED,
            _ => {
                let value = (task, padding(task, running.result));
                let parts = codec::encode_with(&value, &mut body, &self.values);
                let parts = parts.expect("it is short");
                if parts.is_empty() {
                    DONE
                } else {
                    self.unread.push(sequence, parts);
                    DONE | STORED
                }
            }
        };
        self.claims.finish(sequence);
        facts[task].has_ended = true;
        match &mut self.fills_after {
            Some(0) => self.claims.set_full(),
            Some(tasks) => *tasks -= 1,
            None => {}
        }
        if running.how == How::CrashesAfterwards {
            self.die(facts, Exit::Code(1));
            return true;
        }
        self.say(kind, sequence, &body);
        self.output.answers = Some(task);
        true
    }

    fn say(&mut self, kind: u32, sequence: u64, body: &[u8]) {
        let mut message = Vec::new();
        frame::begin(&mut message);
        message.extend_from_slice(body);
        frame::seal(&mut message, kind, sequence).expect("it is short");
        self.output.bytes.extend(message);
    }

    fn lie(&mut self, random: &mut Random) {
        self.is_clean = false;
        match random.below(4) {
            0 => self
                .output
                .bytes
                .extend(b"a line that the task has printed\n"),
            1 => self.say(DONE, self.taken + 1_000, &[]),
            2 => self.say(99, 0, &[]),
            _ => self.say(READY, 0, b"no Ready"),
        }
    }

    fn handle(&mut self, header: Header, body: &[u8], random: &mut Random, facts: &mut [Fact]) {
        match header.kind {
            SETUP => {
                let setup: protocol::Setup<'_> = postcard::from_bytes(body).expect("a Setup");
                assert_eq!(setup.version, VERSION);
                if self.vice == Vice::Refuses {
                    self.say(REFUSED, 0, b"no");
                    self.vice = Vice::Dies(self.steps + 5);
                    return;
                }
                let is_foreign = self.vice == Vice::Foreign;
                let ready = Ready {
                    version: VERSION,
                    build: Image::get().build() ^ u64::from(is_foreign),
                    pid: 1,
                };
                let mut body = Vec::new();
                codec::encode(&ready, &mut body).expect("it is short");
                self.is_clean &= !is_foreign;
                self.say(READY, 0, &body);
                if random.one_in(3) {
                    self.wakes_at = now().checked_add(Duration::from_millis(random.below(50)));
                }
            }
            TASK | STORED_TASK => {
                if !self.claims.claim(header.sequence) {
                    return;
                }
                let (_, argument) = split_task(body).expect("a task");
                let source = (header.kind == STORED_TASK).then_some(&self.arguments);
                let order = codec::with_source(source, || codec::decode::<Order>(argument));
                let order = order.expect("its argument");
                let whole = padding(order.task, order.padding.len());
                assert_eq!(*order.padding, *whole, "another argument's bytes");
                self.unread.forget(self.claims.read());
                facts[order.task].begin();
                let until = match order.how {
                    How::Endless => None,
                    How::Value(micros) => now().checked_add(Duration::from_micros(micros)),
                    _ => Some(now()),
                };
                self.running = Some(Running {
                    sequence: header.sequence,
                    task: order.task,
                    how: order.how,
                    result: order.result,
                    since: now(),
                    until,
                });
            }
            LEAVE => {
                assert!(
                    self.tasks.is_empty(),
                    "something comes after the last message"
                );
                if self.vice != Vice::Stays {
                    self.die(facts, Exit::Code(0));
                }
            }
            kind => panic!("a message of the unknown kind {kind}"),
        }
    }
}
