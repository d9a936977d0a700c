//! How much memory a waiting task takes, beside the peers: each in a process of its own, since memory that was
//! freed says nothing about what comes next.
//!
//! ```text
//! cargo run --release -p benches --bin memory
//! ```
//!
//! Closures wait on their stacks for what never comes. Futures do nothing but keep their waker, and what they
//! take themselves is not counted.

use std::env;
use std::fs;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::process::{Command, ExitCode, exit};
use std::task::{Context, Poll, Waker};

use async_executor::LocalExecutor;
use benches::green_runtime;
use green_tasks::sync::Event;
use green_tasks::{spawn_future, spawn_local, yield_now};
use may::go;
use tokio::task::LocalSet;

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

/// What waits, how many do at the most, and what is done with it.
struct Row {
    name: &'static str,
    most: usize,
    /// What each task takes by itself.
    own: usize,
    /// Starts so many, and calls `say` when they wait.
    wait: fn(usize, &mut dyn FnMut()),
}

const FUTURE: usize = size_of::<Never>();

const ROWS: [Row; 6] = [
    Row {
        name: "green-tasks",
        most: 1_000_000,
        own: 0,
        wait: closures,
    },
    Row {
        name: "may",
        most: 10_000,
        own: 0,
        wait: coroutines,
    },
    Row {
        name: "gevent",
        most: 1_000_000,
        own: 0,
        wait: greenlets,
    },
    Row {
        name: "green-tasks: futures",
        most: 1_000_000,
        own: FUTURE,
        wait: futures,
    },
    Row {
        name: "async-executor: local",
        most: 1_000_000,
        own: FUTURE,
        wait: on_async_executor,
    },
    Row {
        name: "tokio: LocalSet",
        most: 1_000_000,
        own: FUTURE,
        wait: on_tokio,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => compare(),
        [child, name, tasks] if child == "--child" => measure(name, tasks),
        _ => {
            eprintln!("memory: takes no options; see the program's documentation");
            ExitCode::from(2)
        }
    }
}

fn compare() -> ExitCode {
    println!(
        "{:28}{:>10}{:>14}{:>14}{:>10}",
        "", "tasks", "bytes a task", "page tables", "mappings"
    );
    for row in &ROWS {
        for tasks in [10_000, row.most] {
            match spawn_child(row, tasks) {
                Ok(line) => println!("{:28}{tasks:>10}{line}", row.name),
                Err(reason) => println!("{:28}{tasks:>10}  failed: {reason}", row.name),
            }
            if tasks == row.most {
                break;
            }
        }
    }
    ExitCode::SUCCESS
}

fn spawn_child(row: &Row, tasks: usize) -> Result<String, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["--child", row.name, &tasks.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(errors.lines().next().unwrap_or("without a word").to_owned())
}

/// What a child does. It never returns from within the tasks: ending a million of them takes long.
fn measure(name: &str, tasks: &str) -> ExitCode {
    let row = ROWS.iter().find(|row| row.name == name);
    let (Some(row), Ok(tasks)) = (row, tasks.parse::<usize>()) else {
        return ExitCode::from(2);
    };
    // What is there once for the first task is not a task's.
    let mut before = Usage::now();
    let mut is_first = true;
    (row.wait)(tasks, &mut || {
        if std::mem::take(&mut is_first) {
            before = Usage::now();
            return;
        }
        let now = Usage::now();
        let each = |now: usize, before: usize| now.saturating_sub(before) / tasks;
        let resident = each(now.resident, before.resident).saturating_sub(row.own);
        let tables = each(now.tables, before.tables);
        print!("{resident:>14}{tables:>14}{:>10}", now.mappings);
        let _ = std::io::stdout().flush();
        exit(0);
    });
    ExitCode::FAILURE
}

/// What the system says of this process.
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

/// Lets tasks begin in time: what those have that did not is not theirs while they wait.
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
                // A round of the set has some tens of turns.
                tokio::task::yield_now().await;
            }
        }
        for _ in 0..tasks / 32 {
            tokio::task::yield_now().await;
        }
        say();
    });
}

/// In Python's process, which tells by how much it has grown.
fn greenlets(tasks: usize, _say: &mut dyn FnMut()) {
    match benches::gevent_memory(tasks) {
        Ok(bytes) => {
            print!("{:>14}{:>14}{:>10}", bytes / tasks, "?", "?");
            let _ = std::io::stdout().flush();
            exit(0);
        }
        Err(reason) => eprintln!("{reason}"),
    }
}
