//! One task: it computes, asks the server and waits for the answer, and computes again.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use lab::compute::compute;
use serde::{Deserialize, Serialize};

/// Plain data, so that it can be sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its input; another number gives another result.
    pub number: u64,
    /// How much it computes: half before it waits, half afterwards.
    pub rounds: u64,
    /// The server, and after how many microseconds it answers; `None` if the task does not wait.
    pub ask: Option<(SocketAddr, u32)>,
}

/// The resulting number, or why there is none; as text, since it is sent between processes.
pub type Outcome = Result<u64, String>;

impl Task {
    /// Runs it, and waits as the connections of `connect` do: they block the thread or suspend the task.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn run<S: Read + Write>(self, connect: fn(SocketAddr) -> io::Result<S>) -> Outcome {
        let first = compute(self.number, self.rounds / 2);
        if let Some((server, micros)) = self.ask {
            ask(connect(server), micros).map_err(told)?;
        }
        Ok(compute(first, self.rounds - self.rounds / 2))
    }

    /// Runs it, and blocks its thread while it waits.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn run_blocking(self) -> Outcome {
        self.run(|server: SocketAddr| TcpStream::connect(server))
    }

    /// Runs it, and suspends its green task while it waits.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn run_green(self) -> Outcome {
        self.run(|server: SocketAddr| green_tasks::net::TcpStream::connect(server))
    }

    /// The same again as a future: waiting code has to be written for that.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn run_async(self) -> Outcome {
        let first = compute(self.number, self.rounds / 2);
        if let Some((server, micros)) = self.ask {
            ask_async(server, micros).await.map_err(told)?;
        }
        Ok(compute(first, self.rounds - self.rounds / 2))
    }
}

fn ask<S: Read + Write>(connected: io::Result<S>, micros: u32) -> io::Result<()> {
    let mut stream = connected?;
    stream.write_all(&micros.to_le_bytes())?;
    stream.read_exact(&mut [0; 4])
}

async fn ask_async(server: SocketAddr, micros: u32) -> io::Result<()> {
    let mut stream = Async::<TcpStream>::connect(server).await?;
    stream.write_all(&micros.to_le_bytes()).await?;
    stream.read_exact(&mut [0; 4]).await
}

/// An error, with its subject and what to do.
fn told(error: impl Display) -> String {
    format!(
        "cannot ask the server: {error}; if there are too many files, take fewer --tasks or raise `ulimit -n`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_make_the_whole_and_numbers_differ() {
        let task = |number, rounds| Task {
            number,
            rounds,
            ask: None,
        };
        assert_eq!(task(7, 0).run_blocking(), Ok(7));
        assert_ne!(task(7, 5).run_blocking(), task(8, 5).run_blocking());
        let halves = compute(compute(7, 2), 3);
        assert_eq!(task(7, 5).run_blocking(), Ok(halves));
        assert_eq!(task(7, 5).run_green(), Ok(halves));
        assert_eq!(
            futures_lite::future::block_on(task(7, 5).run_async()),
            Ok(halves)
        );
    }

    #[test]
    fn server_that_is_not_there_is_told() {
        // Nobody listens at port 0.
        let server = SocketAddr::from(([127, 0, 0, 1], 0));
        let task = Task {
            number: 1,
            rounds: 0,
            ask: Some((server, 1)),
        };
        let error = task.run_blocking().unwrap_err();
        assert!(error.starts_with("cannot ask the server: "), "{error}");
        assert!(futures_lite::future::block_on(task.run_async()).is_err());
    }
}
