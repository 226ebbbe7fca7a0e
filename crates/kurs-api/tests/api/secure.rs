//! A server with TLS on an address of its own, and clients that speak it.

use crate::client::GUARD;
use crate::harness::Harness;
use kurs_api::{ApiConfig, Surface, Tls, TlsConfig, serve_tls};
use kurs_stream::StreamConfig;
use rcgen::generate_simple_self_signed;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The name that all certificates are for, beside `localhost`.
pub(crate) const NAME: &str = "kurs.test";

/// A certificate with its key.
pub(crate) struct Issued {
    pub(crate) cert: CertificateDer<'static>,
    pub(crate) cert_pem: String,
    pub(crate) key_pem: String,
}

pub(crate) fn issue() -> Issued {
    let issued = generate_simple_self_signed([NAME, "localhost"].map(str::to_owned)).unwrap();
    Issued {
        cert: issued.cert.der().clone(),
        cert_pem: issued.cert.pem(),
        key_pem: issued.signing_key.serialize_pem(),
    }
}

/// A running server.
pub(crate) struct Secure {
    pub(crate) harness: Harness,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Arc<Tls>,
    pub(crate) issued: Issued,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) served: tokio::task::JoinHandle<usize>,
    stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Secure {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    pub(crate) async fn with(
        change: impl FnOnce(&mut ApiConfig),
        change_streams: impl FnOnce(&mut StreamConfig),
    ) -> Self {
        let mut streams = StreamConfig::default();
        change_streams(&mut streams);
        let mut limits = kurs_api::Limits::default();
        let changed = |config: &mut ApiConfig| {
            change(config);
            limits = config.limits.clone();
        };
        let harness = Harness::bare(changed, streams).await;
        harness.rate("BTC-USD", "54000.000123", "binance", crate::harness::HOUR);
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        let issued = issue();
        std::fs::write(&cert, &issued.cert_pem).unwrap();
        std::fs::write(&key, &issued.key_pem).unwrap();
        let config = TlsConfig {
            cert_file: Some(cert.clone()),
            key_file: Some(key.clone()),
            ..TlsConfig::default()
        };
        let tls = Tls::load(&config).unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, mut stopped) = watch::channel(false);
        let (api, served_by) = (Arc::clone(&harness.api), Arc::clone(&tls));
        let served = tokio::spawn(async move {
            let stop = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            serve_tls(listener, api, Surface::All, limits, Some(served_by), stop).await
        });
        Self {
            harness,
            address,
            tls,
            issued,
            cert,
            key,
            served,
            stop,
            _folder: folder,
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Shakes hands as a client that speaks these protocols, and trusts these certificates only.
    pub(crate) async fn shake(
        &self,
        protocols: &[&str],
        trusted: &[&Issued],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for issued in trusted {
            roots.add(issued.cert.clone()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let socket = TcpStream::connect(self.address).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let shaking = connector.connect(ServerName::try_from(NAME).unwrap(), socket);
        timeout(GUARD, shaking).await.expect("no handshake")
    }

    /// The same with the certificate that the server began with.
    pub(crate) async fn connect(&self, protocols: &[&str]) -> TlsStream<TcpStream> {
        self.shake(protocols, &[&self.issued]).await.unwrap()
    }

    /// A client of many requests.
    pub(crate) fn reqwest(
        &self,
        change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trusted = reqwest::Certificate::from_pem(self.issued.cert_pem.as_bytes()).unwrap();
        let builder = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .timeout(GUARD)
            .tls_certs_only([trusted])
            .resolve(NAME, self.address)
            .resolve("localhost", self.address);
        change(builder).build().unwrap()
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("https://{NAME}:{}{target}", self.address.port())
    }

    pub(crate) fn cut(&self, reason: &'static str) -> u64 {
        self.harness.metrics.http.cut(reason).get()
    }
}
