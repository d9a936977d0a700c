//! TLS: a server with a temporary certificate, and clients that trust only that.

use std::io::{Read, Write};
use std::sync::Arc;

use green_tasks::net::{TcpListener, TcpStream};
use green_tasks::spawn;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

use crate::{Failure, count};

const NAME: &str = "green.example";
/// More than a socket's buffers and a TLS record hold, so that both sides have to wait.
const LENGTH: usize = 300_000;

/// How many clients completed the handshake and got their data back reversed.
pub(crate) fn greet(clients: u32) -> Result<usize, Failure> {
    let (server, client) = configure()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(spawn(move || {
        for stream in listener.incoming() {
            let server = Arc::clone(&server);
            drop(spawn(move || answer(stream?, server)));
        }
    }));
    let ask = move |number: u32, client: Arc<ClientConfig>| {
        let connection = ClientConnection::new(client, ServerName::try_from(NAME)?)?;
        let mut stream = StreamOwned::new(connection, TcpStream::connect(address)?);
        let mut data: Vec<u8> = (0..LENGTH).map(|at| (at as u32 ^ number) as u8).collect();
        stream.write_all(&data)?;
        stream.flush()?;
        let mut back = vec![0; LENGTH];
        stream.read_exact(&mut back)?;
        data.reverse();
        if back == data {
            Ok(())
        } else {
            Err("other data came back".into())
        }
    };
    let tasks = (0..clients).map(|n| {
        let client = Arc::clone(&client);
        spawn(move || ask(n, client))
    });
    count(tasks.collect())
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), Failure> {
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut data = vec![0; LENGTH];
    stream.read_exact(&mut data)?;
    data.reverse();
    stream.write_all(&data)?;
    stream.flush()?;
    Ok(())
}

fn configure() -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), Failure> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((Arc::new(server), Arc::new(client)))
}
