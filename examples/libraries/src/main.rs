//! Three libraries that know nothing of green tasks, on green tasks: WebSockets with `tungstenite`, TLS with
//! `rustls`, HTTP with `ureq`. Clients and servers are tasks on one thread.
//!
//! The first two take any `Read + Write`, and so a green socket as it is. `ureq` needs a transport of its own
//! kind, which [`http`] makes from one.

mod http;
mod tls;
mod websocket;

use std::error::Error;

use green_tasks::{FutureResult, JoinHandle, Runtime, Stackful, stack_high_water};

/// Any error; it can be sent from task to task.
type Failure = Box<dyn Error + Send + Sync>;

/// How many clients each server has at a time.
const CLIENTS: u32 = 20;

fn main() -> Result<(), Failure> {
    run(|| {
        println!(
            "{} messages came back over WebSockets",
            websocket::echo(CLIENTS)?
        );
        println!("{} handshakes and answers over TLS", tls::greet(CLIENTS)?);
        println!("{} pages over HTTP", http::fetch(CLIENTS)?);
        if let Some(bytes) = stack_high_water() {
            println!("no task has used more than {} KiB of stack", bytes >> 10);
        }
        Ok(())
    })
}

/// Runs `main` on a runtime whose stacks have room for a TLS handshake, even in a debug build.
fn run<R>(main: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    #[expect(unsafe_code, reason = "the token is a promise")]
    // SAFETY: the three libraries read and write outside of initializers of thread-locals, keep no
    // pointers to their frames in thread-locals, and run no coroutines; nor does the code here. The
    // foreign code that they call, `ring`'s, computes on the stack that it was written for.
    let token = unsafe { Stackful::assume() };
    let runtime = Runtime::builder().stackful(token).stack_size(256 << 10);
    runtime.build()?.run(main)?
}

/// Waits for all tasks, and counts those that succeeded.
fn count(tasks: Vec<JoinHandle<Result<(), Failure>>>) -> Result<usize, Failure> {
    let count = tasks.len();
    for task in tasks {
        task.result()??;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn websockets_echo_for_many_clients_on_one_thread() {
        assert_eq!(run(|| websocket::echo(CLIENTS)).unwrap(), 20);
    }

    #[test]
    fn tls_shakes_hands_and_carries_data_both_ways() {
        assert_eq!(run(|| tls::greet(CLIENTS)).unwrap(), 20);
    }

    #[test]
    fn ureq_fetches_over_green_sockets() {
        assert_eq!(run(|| http::fetch(CLIENTS)).unwrap(), 20);
    }
}
