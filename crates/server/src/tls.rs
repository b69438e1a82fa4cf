//! TLS by `rustls`: a certificate that was given, or one that we make ourselves; 1.2 and 1.3, HTTP/1.1 only.
//!
//! What was agreed on becomes `tlsDetails` of every record that comes over the connection, in AWS's spelling.

use std::sync::Arc;

use keytrail_event::TlsDetails;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{
    CipherSuite, NamedGroup, ProtocolVersion, ServerConfig, ServerConnection,
};
use zeroize::Zeroizing;

use crate::ServerError;

/// A certificate with its private key, ready to be shown to clients.
pub struct TlsIdentity {
    config: Arc<ServerConfig>,
}

impl TlsIdentity {
    /// Reads a certificate chain, the server's own first, and the private key that belongs to it.
    pub fn from_pem(certificates: &[u8], private_key: &[u8]) -> Result<Self, ServerError> {
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| unusable("certificate", &error))?;
        let key = PrivateKeyDer::from_pem_slice(private_key);
        let key = key.map_err(|error| unusable("private key", &error))?;
        // Named, not the process's default: another library in the process may have set another one.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("TLS library", &error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| unusable("certificate and private key", &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }

    pub(crate) fn acceptor(self) -> TlsAcceptor {
        TlsAcceptor::from(self.config)
    }
}

/// A certificate that nobody vouches for: clients have to be told to trust it (`aws --ca-bundle FILE`).
pub struct SelfMadeCertificate {
    /// To be handed to clients.
    pub certificate_pem: String,
    /// To be kept: an ECDSA P-256 key in PKCS #8. Randomness is the TLS library's own.
    pub private_key_pem: Zeroizing<String>,
}

impl SelfMadeCertificate {
    /// Makes one for these host names and addresses.
    pub fn make(names: Vec<String>) -> Result<Self, ServerError> {
        let made = rcgen::generate_simple_self_signed(names);
        let made = made.map_err(|error| unusable("name for the certificate", &error))?;
        Ok(Self {
            certificate_pem: made.cert.pem(),
            private_key_pem: Zeroizing::new(made.signing_key.serialize_pem()),
        })
    }
}

fn unusable(what: &'static str, error: &dyn std::error::Error) -> ServerError {
    ServerError::Tls { what, detail: error.to_string() }
}

/// What client and server agreed on.
pub(crate) struct Agreed {
    version: &'static str,
    cipher_suite: String,
    key_exchange: Option<String>,
}

impl Agreed {
    /// After the handshake.
    pub(crate) fn by(connection: &ServerConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        };
        let suite = connection.negotiated_cipher_suite();
        let group = connection.negotiated_key_exchange_group();
        Self {
            version,
            cipher_suite: suite.map(|suite| suite_name(suite.suite())).unwrap_or_default(),
            key_exchange: group.map(|group| group_name(group.name())),
        }
    }

    /// `tlsDetails` of a request with this `Host` header.
    pub(crate) fn details(&self, host: &str) -> TlsDetails {
        TlsDetails {
            tls_version: self.version.to_owned(),
            cipher_suite: self.cipher_suite.clone(),
            client_provided_host_header: host.to_owned(),
            key_exchange: self.key_exchange.clone(),
        }
    }
}

/// CloudTrail has the names of OpenSSL: `TLS_AES_128_GCM_SHA256` for 1.3, `ECDHE-RSA-AES128-GCM-SHA256` before.
fn suite_name(suite: CipherSuite) -> String {
    let name = suite.as_str().unwrap_or_default();
    if let Some(rest) = name.strip_prefix("TLS13_") {
        return format!("TLS_{rest}");
    }
    let name = name.trim_start_matches("TLS_").replace("_WITH_", "_").replace("AES_", "AES");
    name.replace("POLY1305_SHA256", "POLY1305").replace('_', "-")
}

/// CloudTrail writes `x25519` small and hybrids as their drafts do.
fn group_name(group: NamedGroup) -> String {
    match group {
        NamedGroup::X25519 => "x25519".to_owned(),
        other => other.as_str().unwrap_or("unknown").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_the_names_of_openssl() {
        for (suite, name) in [
            (CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
            (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
            (CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256"),
            (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384"),
            (
                CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                "ECDHE-RSA-CHACHA20-POLY1305",
            ),
        ] {
            assert_eq!(suite_name(suite), name);
        }
    }

    #[test]
    fn what_is_no_certificate_or_key_is_refused_with_a_reason() {
        let made = |name: &str| SelfMadeCertificate::make(vec![name.to_owned()]);
        let (Ok(one), Ok(other)) = (made("one.example"), made("other.example")) else {
            panic!("nothing made")
        };
        let check = |certificate: &str, key: &str| {
            TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).is_ok()
        };
        assert!(check(&one.certificate_pem, &one.private_key_pem));
        assert!(!check(&one.certificate_pem, &other.private_key_pem), "of another certificate");
        assert!(!check("", &one.private_key_pem));
        assert!(!check(&one.certificate_pem, ""));
        assert!(!check(&one.private_key_pem, &one.certificate_pem), "exchanged");
        assert!(made("not a name\u{e9}").is_err());
    }
}
