//! The program: the server, or the load, or both. The library's docs say what it does.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};

use clap::Parser;
use echo::cli::Options;
use echo::load::{self, Outcome, Progress};
use echo::{limit, server, token};
use indicatif::{ProgressBar, ProgressStyle};

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match (options.listen, options.connect) {
        (Some(address), _) => listen(address, &options).map(|()| true),
        (None, Some(address)) => try_out(address, &options),
        (None, None) => with_own_server(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen(address: SocketAddr, options: &Options) -> Result<(), Box<dyn Error>> {
    limit::allow(options.connections as usize)?;
    token::runtime()?.run(|| {
        let listener = server::listen(address)?;
        writeln!(io::stdout(), "{}", listener.local_addr()?)?;
        server::serve(&listener);
        io::Result::Ok(())
    })??;
    Ok(())
}

/// The server as a child process, which ends when this is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn with_own_server(options: &Options) -> Result<bool, Box<dyn Error>> {
    limit::allow(options.connections as usize)?;
    let connections = options.connections.to_string();
    let mut server = Command::new(env::current_exe()?)
        .args(["--listen", "127.0.0.1:0", "--connections", &connections])
        .stdout(Stdio::piped())
        .spawn()
        .map(Server)?;
    let said = server.0.stdout.take().ok_or("the server says nothing")?;
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line)?;
    let address = line.trim().parse();
    try_out(address.map_err(|_| "the server did not start")?, options)
}

/// Whether no connection was lost.
fn try_out(server: SocketAddr, options: &Options) -> Result<bool, Box<dyn Error>> {
    limit::allow(options.connections as usize)?;
    let load = options.load();
    let bar = ProgressBar::new(load.time.as_millis() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    let tell = move |progress: Progress| {
        let elapsed = progress.elapsed.unwrap_or_default();
        shown.set_position(elapsed.as_millis() as u64);
        let (open, messages) = (progress.open, progress.messages);
        shown.set_message(format!("{open} connections, {messages} messages"));
    };
    let outcome: Outcome = token::runtime()?.run(|| load::run(server, &load, tell))?;
    bar.finish_and_clear();
    write!(io::stdout(), "{outcome}")?;
    Ok(outcome.lost.is_empty())
}
