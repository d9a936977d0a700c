//! The shop over HTTP: axum on a tokio runtime, awaiting handles of the pools.
//!
//! The server's future runs on a thread pool with one worker, inside [`in_tokio`]: the bridge enters the runtime whose
//! sockets it needs. The runtime has one thread, which is enough to await and to write short answers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use future_result::{Completer, FutureResult, JoinHandle, pair};
use futures_lite_bridge::{in_tokio, spawn};
use lab::listen::listen;
use serde::Deserialize;
use thiserror::Error;
use thread_pool::ThreadPoolExecutor;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};

use crate::shop::{Refusal, Shop};

/// The header with an order's key, the same however often the order is sent.
pub const KEY: &str = "idempotency-key";
/// The longest key, in bytes.
const KEY_MAX: usize = 64;

type Answer = (StatusCode, String);

#[derive(Deserialize)]
struct Order {
    buyer: u32,
}

/// Why there is no server.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The system refused a socket or a thread for the runtime.
    #[error("cannot serve: {0}")]
    Io(#[from] io::Error),
    /// There is no thread for the server.
    #[error("cannot start a thread for the server: {0}")]
    Threads(#[from] thread_pool::BuildError),
    /// The server ended without being stopped.
    #[error("the server ended: {0}")]
    Ended(#[from] thread_pool::TaskError),
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Completer<()>,
    served: JoinHandle<io::Result<()>>,
    _pool: ThreadPoolExecutor,
    // Last, since the fields dropped before it still need it.
    _runtime: Runtime,
}

impl Server {
    /// Serves the shop on a free port of this machine.
    ///
    /// # Errors
    /// When it cannot.
    pub fn start(shop: Arc<Shop>) -> Result<Self, ServeError> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let pool = ThreadPoolExecutor::builder()
            .name("http")
            .workers(1)
            .build()?;
        // A handle is a future, so it can also tell the server to stop.
        let (stop, stopped) = pair::<()>();
        let serve = async move {
            let listener = TcpListener::from_std(listener)?;
            let stopped = async {
                // Dropping the other half does so too.
                let _ = stopped.await;
            };
            axum::serve(listener, router(shop))
                .with_graceful_shutdown(stopped)
                .await
        };
        let served = spawn(&pool, in_tokio(runtime.handle(), serve));
        Ok(Self {
            address,
            stop,
            served,
            _pool: pool,
            _runtime: runtime,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers all pending requests and stops.
    ///
    /// # Errors
    /// If it has ended for another reason.
    pub fn stop(self) -> Result<(), ServeError> {
        // If it has ended already, its result says why.
        let _ = self.stop.complete(());
        Ok(self.served.result()??)
    }
}

fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/product", get(product))
        .route("/orders", post(order))
        .with_state(shop)
}

async fn product(State(shop): State<Arc<Shop>>) -> Answer {
    match shop.page().await {
        Ok(page) => (StatusCode::OK, page.as_ref().to_owned()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

async fn order(
    State(shop): State<Arc<Shop>>,
    Query(Order { buyer }): Query<Order>,
    headers: HeaderMap,
) -> Answer {
    let key = headers.get(KEY).and_then(|key| key.to_str().ok());
    let Some(key) = key.filter(|key| (1..=KEY_MAX).contains(&key.len())) else {
        let text = format!("name the order in the header {KEY}, with 1 to {KEY_MAX} letters\n");
        return (StatusCode::BAD_REQUEST, text);
    };
    match shop.order(buyer, key.to_owned()).await {
        Ok(id) => (StatusCode::ACCEPTED, format!("order {id}\n")),
        Err(refusal) => (status(refusal), format!("{}\n", refusal.reason())),
    }
}

const fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::TooFast => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Busy | Refusal::Contended => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Duplicate => StatusCode::CONFLICT,
        Refusal::SoldOut => StatusCode::GONE,
        Refusal::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
