//! The options of the command line, with their limits and defaults.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, value_parser};

use crate::load::Load;

/// A server that sends back what it receives, and a load generator, on green tasks.
///
/// Without --listen and --connect the program starts itself again as the server. The exit code is 0
/// if no connection was lost, 1 if one was, 2 if an option is invalid.
#[derive(Clone, Debug, Parser)]
#[command(name = "echo", version, max_term_width = 100)]
pub struct Options {
    /// How many connections to hold at the same time, 1 to 1000000
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,

    /// For how many seconds to send messages, once all are connected, 1 to 86400
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,

    /// How long a connection pauses before its next message, in milliseconds, 0 to 60000
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = value_parser!(u32).range(0..=60_000))]
    pub interval_ms: u32,

    /// Bytes of a message, 1 to 65536
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = value_parser!(u32).range(1..=65_536))]
    pub size: u32,

    /// Run only the server, at this address, until interrupted; --connections limits how many it holds
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["connect", "seconds", "interval_ms", "size"])]
    pub listen: Option<SocketAddr>,

    /// Run only the load, against the server at this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub connect: Option<SocketAddr>,
}

impl Options {
    /// What the load does.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            connections: self.connections as usize,
            size: self.size as usize,
            time: Duration::from_secs(self.seconds.into()),
            interval: Duration::from_millis(self.interval_ms.into()),
        }
    }
}
