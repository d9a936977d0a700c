//! How much memory a waiting task takes, compared with the peers: each in a process of its own, since memory
//! that one row freed would hide what the next one takes.
//!
//! Closures wait on their stacks for an event that never comes. Futures only keep their waker, and their own
//! size is not counted.

use std::env;
use std::fs;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::process::{Command, exit};
use std::task::{Context, Poll, Waker};

use async_executor::LocalExecutor;
use green_tasks::sync::Event;
use green_tasks::{spawn_future, spawn_local, yield_now};
use may::go;
use tokio::task::LocalSet;

use crate::Kind;
use crate::pools::{gevent_memory, green_runtime};

/// The option that marks the children of a program that calls [`footprints`]: the two arguments after it go to
/// [`measure_footprint`].
pub const MEMORY_CHILD: &str = "--memory-child";

/// The memory that tasks of one kind take while they wait.
#[derive(Clone, Debug)]
pub struct Footprint {
    /// The kind of task.
    pub row: String,
    /// Whose.
    pub kind: Kind,
    /// How many tasks.
    pub tasks: usize,
    /// The memory of each, or why there could not be that many.
    pub result: Result<Memory, String>,
}

/// The memory of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident bytes, without page tables.
    pub bytes: usize,
    /// Bytes of the kernel's page tables; `None` if the process cannot tell.
    pub page_tables: Option<usize>,
    /// Mappings of the whole process; `None` likewise.
    pub mappings: Option<usize>,
}

impl Memory {
    /// A line that [`decode`](Self::decode) reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let optional =
            |value: Option<usize>| value.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let (tables, mappings) = (optional(self.page_tables), optional(self.mappings));
        format!("{}\t{tables}\t{mappings}", self.bytes)
    }

    /// Reads such a line, if it is one.
    #[must_use]
    pub fn decode(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        Some(Self {
            bytes: fields.next()?.parse().ok()?,
            page_tables: fields.next()?.parse().ok(),
            mappings: fields.next()?.parse().ok(),
        })
    }
}

/// A future that keeps its waker and is never ready.
#[derive(Default)]
struct Never(Option<Waker>);

impl Future for Never {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0 = Some(context.waker().clone());
        Poll::Pending
    }
}

/// One kind of task: the most of them to measure, and how to make them wait.
struct Row {
    name: &'static str,
    kind: Kind,
    most: usize,
    /// The size of each task's own future, which is not counted.
    own: usize,
    /// Starts that many, and calls `say` before and once they wait.
    wait: fn(usize, &mut dyn FnMut()),
}

/// Enough tasks to tell what one takes, where a million do not fit.
const FEW: usize = 10_000;

const FUTURE: usize = size_of::<Never>();

const ROWS: [Row; 6] = [
    Row {
        name: "green-tasks",
        kind: Kind::Ours,
        most: 1_000_000,
        own: 0,
        wait: closures,
    },
    Row {
        name: "may",
        kind: Kind::Peer,
        most: FEW,
        own: 0,
        wait: coroutines,
    },
    Row {
        name: "gevent",
        kind: Kind::Peer,
        most: 1_000_000,
        own: 0,
        wait: greenlets,
    },
    Row {
        name: "green-tasks: futures",
        kind: Kind::Ours,
        most: 1_000_000,
        own: FUTURE,
        wait: futures,
    },
    Row {
        name: "async-executor: local",
        kind: Kind::Peer,
        most: 1_000_000,
        own: FUTURE,
        wait: on_async_executor,
    },
    Row {
        name: "tokio: LocalSet",
        kind: Kind::Peer,
        most: 1_000_000,
        own: FUTURE,
        wait: on_tokio,
    },
];

/// Measures all rows: ten thousand tasks, and as many as a row can hold, up to a million.
#[must_use]
pub fn footprints() -> Vec<Footprint> {
    let mut footprints = Vec::new();
    for row in &ROWS {
        for tasks in [FEW, row.most] {
            footprints.push(Footprint {
                row: row.name.to_owned(),
                kind: row.kind,
                tasks,
                result: spawn_child(row, tasks),
            });
            if tasks == row.most {
                break;
            }
        }
    }
    footprints
}

fn spawn_child(row: &Row, tasks: usize) -> Result<Memory, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args([MEMORY_CHILD, row.name, &tasks.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    if let Some(memory) = Memory::decode(&String::from_utf8_lossy(&output.stdout)) {
        return Ok(memory);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(errors.lines().next().unwrap_or("no message").to_owned())
}

/// What a child does: start this many tasks, print what they take, and exit without ending them, since that
/// takes long for a million.
///
/// # Errors
///
/// If there is no such row, or it could not hold so many tasks.
pub fn measure_footprint(name: &str, tasks: &str) -> Result<(), String> {
    let row = ROWS.iter().find(|row| row.name == name);
    let (Some(row), Ok(tasks)) = (row, tasks.parse::<usize>()) else {
        return Err(format!("no row {name} with {tasks} tasks"));
    };
    // What the runtime takes once is not a task's.
    let mut before = Usage::now();
    let mut is_first = true;
    (row.wait)(tasks, &mut || {
        if std::mem::take(&mut is_first) {
            before = Usage::now();
            return;
        }
        let now = Usage::now();
        let each = |now: usize, before: usize| now.saturating_sub(before) / tasks;
        say_and_exit(Memory {
            bytes: each(now.resident, before.resident).saturating_sub(row.own),
            page_tables: Some(each(now.tables, before.tables)),
            mappings: Some(now.mappings),
        });
    });
    Err(format!("{name} could not hold {tasks} tasks"))
}

fn say_and_exit(memory: Memory) -> ! {
    print!("{}", memory.encode());
    let _ = std::io::stdout().flush();
    exit(0);
}

/// What the system reports of this process.
struct Usage {
    resident: usize,
    tables: usize,
    mappings: usize,
}

impl Usage {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number =
                line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
            number.map_or(0, |kibibytes| kibibytes * 1024)
        };
        let mappings = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Self {
            resident: field("VmRSS:"),
            tables: field("VmPTE:"),
            mappings: mappings.lines().count(),
        }
    }
}

fn closures(tasks: usize, say: &mut dyn FnMut()) {
    let ran = green_runtime().run(|| {
        say();
        let event = std::rc::Rc::new(Event::new());
        for n in 0..tasks {
            let event = std::rc::Rc::clone(&event);
            drop(spawn_local(move || event.wait()));
            start(n);
        }
        yield_now();
        say();
    });
    drop(ran);
}

/// Lets tasks start now and then: what unstarted ones take is not what waiting ones take.
fn start(number: usize) {
    if number.is_multiple_of(1_000) {
        yield_now();
    }
}

fn futures(tasks: usize, say: &mut dyn FnMut()) {
    let ran = green_runtime().run(|| {
        say();
        for n in 0..tasks {
            drop(spawn_future(Never::default()));
            start(n);
        }
        yield_now();
        say();
    });
    drop(ran);
}

fn coroutines(tasks: usize, say: &mut dyn FnMut()) {
    may::config().set_workers(1);
    let (sender, receiver) = std::sync::mpsc::channel();
    say();
    for _ in 0..tasks {
        let sender = sender.clone();
        go!(move || {
            let _ = sender.send(());
            may::coroutine::park();
        });
    }
    for _ in 0..tasks {
        let _ = receiver.recv();
    }
    say();
}

fn on_async_executor(tasks: usize, say: &mut dyn FnMut()) {
    let executor = LocalExecutor::new();
    say();
    for n in 0..tasks {
        executor.spawn(Never::default()).detach();
        while n.is_multiple_of(1_000) && executor.try_tick() {}
    }
    while executor.try_tick() {}
    say();
}

fn on_tokio(tasks: usize, say: &mut dyn FnMut()) {
    let local = LocalSet::new();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return;
    };
    local.block_on(&runtime, async {
        say();
        for n in 0..tasks {
            drop(tokio::task::spawn_local(Never::default()));
            if n.is_multiple_of(32) {
                // One tick of the set polls a few dozen tasks.
                tokio::task::yield_now().await;
            }
        }
        for _ in 0..tasks / 32 {
            tokio::task::yield_now().await;
        }
        say();
    });
}

/// In a Python process, which reports how much it has grown.
fn greenlets(tasks: usize, _say: &mut dyn FnMut()) {
    match gevent_memory(tasks) {
        Ok(bytes) => say_and_exit(Memory {
            bytes: bytes / tasks,
            page_tables: None,
            mappings: None,
        }),
        Err(reason) => eprintln!("{reason}"),
    }
}
