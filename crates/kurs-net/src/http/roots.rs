//! Whom TLS trusts.

use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// A TLS client configuration that trusts the bundled Mozilla roots and whatever the machine
/// trusts besides (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured). The bundle makes it work in
/// an image without certificates; the machine's own roots make it work behind a company proxy.
///
/// # Errors
/// When the crypto provider cannot speak any TLS version, in one phrase.
pub fn tls_config() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    // What cannot be read there is no reason to refuse to start: the bundle still holds.
    let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
