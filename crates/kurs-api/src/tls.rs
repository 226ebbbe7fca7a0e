//! TLS on the API's address: the certificate, and another one while running.

mod validity;

use crate::config::TlsConfig;
use http::HeaderValue;
use kurs_core::Wall;
use kurs_telemetry::{Health, Status};
use parking_lot::{Mutex, RwLock};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What a client calls HTTP/2 while it shakes hands.
pub(crate) const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// The name of the check in `/readyz`.
const CHECK: &str = "tls";

/// A file of certificates or a key is never longer, bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a certificate cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of the kind.
    #[error("{}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key is another certificate's.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), cert.display())]
    Mismatch {
        /// The file with the certificate.
        cert: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// The TLS library refuses.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// The TLS side of a listener: what is served to clients that shake hands from now on.
#[derive(Debug)]
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    served: Arc<Served>,
    pub(crate) server: Arc<ServerConfig>,
    /// Tells browsers to come back by TLS only.
    pub(crate) hsts: Option<HeaderValue>,
    last: Mutex<Last>,
}

/// How the files were when they were read last.
#[derive(Debug)]
struct Last {
    stamps: [Option<Stamp>; 2],
    /// What was wrong with them.
    trouble: Option<TlsError>,
}

/// What tells one state of a file from another: when it was written, and its length.
type Stamp = (SystemTime, u64);

/// The certificate of new connections.
#[derive(Debug)]
struct Served(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

impl Tls {
    /// Reads certificate and key; `None` when none are configured.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be served.
    pub fn load(config: &TlsConfig) -> Result<Option<Arc<Self>>, TlsError> {
        let (Some(cert), Some(key)) = (&config.cert_file, &config.key_file) else {
            return Ok(None);
        };
        let stamps = [cert, key].map(|file| stamp(file));
        let served = Arc::new(Served(RwLock::new(read(cert, key)?)));
        let provider = Arc::new(ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::Setup(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&served) as _);
        server.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
        let hsts = format!("max-age={}", config.hsts_seconds);
        Ok(Some(Arc::new(Self {
            cert: cert.clone(),
            key: key.clone(),
            served,
            server: Arc::new(server),
            hsts: HeaderValue::from_str(&hsts)
                .ok()
                .filter(|_| config.hsts_seconds > 0),
            last: Mutex::new(Last {
                stamps,
                trouble: None,
            }),
        })))
    }

    /// The same certificate, renewed with this one, for a listener that speaks nothing but HTTP/2.
    #[must_use]
    pub fn http2(&self) -> Arc<ServerConfig> {
        let mut server = ServerConfig::clone(&self.server);
        server.alpn_protocols = vec![H2.to_vec()];
        Arc::new(server)
    }

    /// The last moment of the certificate that is served; `None` when it does not say.
    #[must_use]
    pub fn ends_at(&self) -> Option<Wall> {
        let served = Arc::clone(&self.served.0.read());
        validity::ends_at(served.cert.first()?)
    }

    /// Serves what the files hold now, if they have changed since they were read, or `at_once`.
    /// What cannot be served changes nothing but the health, and is tried again each time.
    /// Connections that are open keep what they have. True when new files were taken over.
    pub fn renew(&self, health: &Health, at_once: bool) -> bool {
        let mut last = self.last.lock();
        let stamps = [&self.cert, &self.key].map(|file| stamp(file));
        if stamps == last.stamps && last.trouble.is_none() && !at_once {
            return false;
        }
        last.stamps = stamps;
        match read(&self.cert, &self.key) {
            Ok(new) => {
                *self.served.0.write() = new;
                last.trouble = None;
                health.set(CHECK, Status::Ok, "");
                tracing::info!(cert = %self.cert.display(), "serving the certificate that is in the files now");
                true
            }
            Err(trouble) => {
                if last.trouble.as_ref() != Some(&trouble) {
                    tracing::error!(error = %trouble, "the new certificate cannot be served, the old one stays");
                    let detail =
                        format!("{trouble}; the certificate that was read before is served");
                    health.set(CHECK, Status::Degraded, &detail);
                    last.trouble = Some(trouble);
                }
                false
            }
        }
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let facts = std::fs::metadata(file).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

/// Certificate and key, which belong together.
fn read(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let wrong = |file: &Path, why: String| TlsError::File {
        file: file.to_owned(),
        why,
    };
    let bytes = |file: &Path| -> Result<Vec<u8>, TlsError> {
        let length = std::fs::metadata(file)
            .map_err(|error| wrong(file, error.to_string()))?
            .len();
        if length > FILE_BYTES_MAX {
            return Err(wrong(
                file,
                "too long for a certificate or a key".to_owned(),
            ));
        }
        std::fs::read(file).map_err(|error| wrong(file, error.to_string()))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bytes(cert)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(cert, format!("is no PEM file: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(cert, "holds no certificate in PEM form".to_owned()));
    }
    // What the library says of a key is not shown: it might quote it.
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?)
        .map_err(|_| wrong(key, "holds no private key in PEM form".to_owned()))?;
    match CertifiedKey::from_der(chain, private, &ring::default_provider()) {
        Ok(certified) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(TlsError::Mismatch {
                cert: cert.to_owned(),
                key: key.to_owned(),
            })
        }
        Err(rustls::Error::InvalidCertificate(why)) => {
            Err(wrong(cert, format!("is no certificate: {why:?}")))
        }
        Err(_) => Err(wrong(
            key,
            "holds a private key of an unknown kind".to_owned(),
        )),
    }
}
