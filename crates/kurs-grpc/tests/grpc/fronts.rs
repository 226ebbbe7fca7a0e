//! TLS, and proxies in front of the server.

use crate::harness::{GUARD, Harness};
use http::{HeaderMap, Uri};
use hyper_util::rt::TokioIo;
use kurs_auth::{ProxyHeader, TrustedProxies};
use kurs_grpc::proto::GetRateRequest;
use kurs_grpc::proto::rates_client::RatesClient;
use kurs_grpc::{Everybody, Gate, Scope, Who};
use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::{Request, Status};
use tower_service::Service;

/// A certificate for `localhost`, as a server and as a client that trusts it see it.
fn issue() -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = issued.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    (Arc::new(server), cert)
}

/// Connects by TLS.
#[derive(Clone)]
struct Secure {
    address: SocketAddr,
    connector: TlsConnector,
}

impl Secure {
    fn new(address: SocketAddr, trusted: CertificateDer<'static>, protocol: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(trusted).unwrap();
        let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![protocol.to_vec()];
        Self {
            address,
            connector: TlsConnector::from(Arc::new(client)),
        }
    }

    async fn connect(self) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        self.connector.connect(name, socket).await
    }
}

impl Service<Uri> for Secure {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let secure = self.clone();
        Box::pin(async { secure.connect().await.map(TokioIo::new) })
    }
}

fn asked() -> GetRateRequest {
    GetRateRequest {
        pair: "BTC-USD".into(),
        allow_stale: false,
    }
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let (tls, cert) = issue();
    let server = Harness::fronted(Arc::new(Everybody), None, Some(tls), |config, _| {
        config.head_ms = 400;
    })
    .await;
    server.rate("BTC-USD", "100");
    let secure = Secure::new(server.address, cert.clone(), b"h2");
    let channel = server.endpoint().connect_with_connector(secure).await;
    let mut client = RatesClient::new(channel.unwrap());
    let rate = client.get_rate(asked()).await.unwrap().into_inner();
    assert_eq!(rate.rate.unwrap().value, "100");
    // Another protocol than HTTP/2 is refused while shaking hands.
    let other = Secure::new(server.address, cert, b"http/1.1");
    assert!(other.connect().await.is_err());
    // Who does not shake hands is cut: silent, or in the clear.
    for said in [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(said).await.unwrap();
        let mut told = Vec::new();
        let read = timeout(GUARD, socket.read_to_end(&mut told));
        match read.await.expect("it was not closed") {
            Ok(_) => assert!(
                !told.starts_with(b"\0\0"),
                "settings in the clear: {told:?}"
            ),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    client.get_rate(asked()).await.unwrap();
}

/// Notes who asks.
#[derive(Default)]
struct Noted(Mutex<Vec<IpAddr>>);

impl Gate for Noted {
    fn admit(&self, _: &HeaderMap, peer: IpAddr, _: Scope) -> Result<Who, Status> {
        self.0.lock().push(peer);
        Ok(Who::anybody())
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_its_clients_and_a_stranger_is_not() {
    let noted = Arc::new(Noted::default());
    for (trusted, client) in [("127.0.0.1", "203.0.113.7"), ("10.0.0.1", "127.0.0.1")] {
        let proxies = TrustedProxies::new(&[trusted.to_owned()], ProxyHeader::XForwardedFor);
        let gate = Arc::clone(&noted) as Arc<dyn Gate>;
        let server = Harness::fronted(gate, proxies, None, |config, _| {
            config.connections_per_address = 1;
        })
        .await;
        server.rate("BTC-USD", "100");
        let server = &server;
        let ask = async || {
            let mut client = RatesClient::new(server.endpoint().connect().await?);
            let mut request = Request::new(asked());
            let address = "198.51.100.1, 203.0.113.7".parse().unwrap();
            request.metadata_mut().insert("x-forwarded-for", address);
            let answered = client.get_rate(request).await.is_ok();
            Ok::<_, tonic::transport::Error>((client, answered))
        };
        let (first, answered) = ask().await.unwrap();
        assert!(answered);
        assert_eq!(
            noted.0.lock().drain(..).collect::<Vec<_>>(),
            [client.parse::<IpAddr>().unwrap()]
        );
        // Many clients come through a proxy: it has more connections than a client may have.
        let second = timeout(GUARD, ask()).await.expect("no end of it");
        assert_eq!(
            second.is_ok_and(|(_, answered)| answered),
            trusted == "127.0.0.1"
        );
        drop(first);
        noted.0.lock().clear();
    }
}
