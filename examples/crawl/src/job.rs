//! What is fetched, by how many workers and with which client.

use std::collections::HashSet;
use std::time::Duration;
use std::{fmt, io};

use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::http::Uri;

use crate::cli::Options;
use crate::server::Server;

/// How a client fetches. Plain data, so that it can be sent to a worker process, which makes its own client.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Client {
    /// The time that one page may take, from resolving its host to its last byte.
    pub timeout: Duration,
    /// Whether to use the proxy that the environment names, if any.
    pub follows_proxy: bool,
}

impl Client {
    /// A client for servers on this machine.
    #[must_use]
    pub fn direct(timeout: Duration) -> Self {
        Self {
            timeout,
            follows_proxy: false,
        }
    }

    /// A client for real sites.
    #[must_use]
    pub fn proxied(timeout: Duration) -> Self {
        Self {
            timeout,
            follows_proxy: true,
        }
    }

    /// A new client without open connections, which keeps this many for reuse.
    #[must_use]
    pub fn agent(&self, connections: usize) -> Agent {
        let mut config = Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .user_agent(concat!("crawl/", env!("CARGO_PKG_VERSION")));
        if !self.follows_proxy {
            config = config.proxy(None);
        }
        config.build().into()
    }
}

/// What a way needs to know.
#[derive(Clone, Debug)]
pub struct Job {
    /// The pages, in the order of the report.
    pub urls: Vec<String>,
    /// How many are fetched at the same time, in the ways that can.
    pub workers: usize,
    /// The settings of the agent.
    pub client: Client,
    /// The client, ready before the clock starts. Clones share its connections.
    pub agent: Agent,
}

impl Job {
    /// A job with a new agent.
    #[must_use]
    pub fn new(urls: Vec<String>, workers: usize, client: Client) -> Self {
        Self {
            urls,
            workers,
            client,
            agent: client.agent(workers),
        }
    }

    /// The same with only the first page of every host.
    #[must_use]
    pub fn one_page_per_host(mut self) -> Self {
        let mut hosts = HashSet::new();
        let host = |url: &str| {
            url.parse()
                .ok()
                .and_then(|uri: Uri| uri.authority().cloned())
        };
        self.urls.retain(|url| hosts.insert(host(url)));
        self
    }
}

/// The source of the pages, for the whole run: the program's own server, or the given sites.
#[derive(Debug)]
pub struct Site {
    urls: Vec<String>,
    workers: usize,
    client: Client,
    own: Option<(Server, Duration)>,
}

impl Site {
    /// Starts the server if no URL is given.
    ///
    /// # Errors
    /// When the server cannot be started.
    pub fn open(options: &Options) -> io::Result<Self> {
        let (urls, client, own) = if options.url.is_empty() {
            let server = Server::start(options.latency())?;
            let urls = (1..=options.pages).map(|n| server.url(&format!("/page/{n}")));
            let client = Client::direct(options.timeout());
            (urls.collect(), client, Some((server, options.latency())))
        } else {
            (
                options.url.clone(),
                Client::proxied(options.timeout()),
                None,
            )
        };
        Ok(Self {
            workers: options.workers_for(urls.len()),
            urls,
            client,
            own,
        })
    }

    /// The pages, in the order of the report.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The work, with an agent of its own.
    #[must_use]
    pub fn job(&self) -> Job {
        Job::new(self.urls.clone(), self.workers, self.client)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let (pages, workers) = (self.urls.len(), self.workers);
        write!(f, "{pages} page{} from ", plural(pages))?;
        match &self.own {
            Some((server, latency)) => {
                write!(f, "{}, which answers after {latency:?}; ", server.url("/"))?;
            }
            None => write!(f, "the sites given; ")?,
        }
        let timeout = self.client.timeout;
        write!(
            f,
            "{workers} worker{}; time limit {timeout:?} per page",
            plural(workers)
        )
    }
}
