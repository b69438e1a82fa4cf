//! TLS, and what records say about it.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use keytrail_server::{Limits, SelfMadeCertificate, TlsIdentity};
use serde_json::json;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::support::{Answer, Endpoint};

fn encrypted() -> (Endpoint, SelfMadeCertificate) {
    let made =
        SelfMadeCertificate::make(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let identity =
        TlsIdentity::from_pem(made.certificate_pem.as_bytes(), made.private_key_pem.as_bytes());
    (Endpoint::over(Limits::default(), Some(identity.unwrap())), made)
}

/// A client that trusts only this certificate.
fn connect(
    endpoint: &Endpoint,
    certificate_pem: &str,
    version: &'static SupportedProtocolVersion,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, endpoint.connect())
}

#[test]
fn records_tell_what_client_and_server_agreed_on() {
    let (endpoint, made) = encrypted();
    let host = endpoint.address.to_string();
    for (version, name, suite) in [
        (&TLS13, "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        (&TLS12, "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ] {
        let mut stream = connect(&endpoint, &made.certificate_pem, version);
        let bytes = endpoint.request("ListKeys", "{}").to_bytes(&endpoint.root);
        stream.write_all(&bytes).unwrap();
        assert_eq!(Answer::read(&mut stream).status, 200);
        let record = endpoint.records().pop().unwrap();
        let expected = json!({
            "tlsVersion": name, "cipherSuite": suite, "clientProvidedHostHeader": host, "keyExchange": "x25519",
        });
        assert_eq!(record["tlsDetails"], expected);
    }
}

#[test]
fn plain_http_and_distrusting_clients_get_no_answer_and_others_still_do() {
    let (endpoint, made) = encrypted();
    let mut plain = endpoint.connect();
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    let other = SelfMadeCertificate::make(vec!["127.0.0.1".to_owned()]).unwrap();
    let mut distrusting = connect(&endpoint, &other.certificate_pem, &TLS13);
    distrusting.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap_err();

    let mut stream = connect(&endpoint, &made.certificate_pem, &TLS13);
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut stream).body, "OK\n");
    let failed = endpoint.log().iter().filter(|line| line["event"] == "handshake failed").count();
    assert!(failed >= 1, "{:?}", endpoint.log());
    assert_eq!(endpoint.records().len(), 1);
}
