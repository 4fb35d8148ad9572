//! OTLP over HTTP: protobuf, compressed with gzip.

use super::answer::{Answer, judge};
use super::batch::Batch;
use super::convert::{Convert, encoded};
use super::json;
use super::otlp::{KeyValue, Request, Value};
use super::transport::{Origin, Transport};
use crate::args::Ship;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use tachograph::reader::record::RecordRef;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// The most of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// The largest file of certificates or of a key.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// A receiver; what all log directories have in common.
pub(super) struct Http {
    agent: Agent,
    url: String,
    headers: Vec<(String, String)>,
}

impl Http {
    /// # Errors
    /// Where a file of certificates cannot be read.
    pub(super) fn new(url: String, headers: Vec<(String, String)>, ship: &Ship) -> io::Result<Self> {
        let config = Agent::config_builder()
            .timeout_global(Some(ship.timeout))
            .tls_config(tls(ship)?)
            .http_status_as_error(false)
            // A header may be a secret, which is for this receiver alone.
            .max_redirects(0)
            .user_agent(concat!("tachograph/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), url, headers })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request and waits for its answer.
    fn send(&self, request: &Request) -> io::Result<Answer> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::new(3));
        gzip.write_all(&request.encode_to_vec())?;
        let body = gzip.finish()?;
        let mut post = self.agent.post(&self.url);
        for (name, value) in &self.headers {
            post = post.header(name, value);
        }
        let post = post.header("content-type", "application/x-protobuf").header("content-encoding", "gzip");
        let mut response = match post.send(&body[..]) {
            Ok(response) => response,
            Err(ureq::Error::BadUri(why)) => return Err(io::Error::new(io::ErrorKind::InvalidInput, why)),
            Err(error) => return Ok(Answer::Later { asked: None, why: error.to_string() }),
        };
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let answer = match response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec() {
            Ok(body) => judge(status, retry_after.as_deref(), &body),
            // It may have taken the batch or not: that is what "at least once" is for.
            Err(error) if (200..300).contains(&status) => {
                Answer::Later { asked: None, why: format!("its answer broke off: {error}") }
            }
            Err(_) => judge(status, retry_after.as_deref(), b""),
        };
        Ok(answer)
    }
}

/// Whom to believe, and what to show: the roots of Mozilla and nothing, unless the user names files.
fn tls(ship: &Ship) -> io::Result<TlsConfig> {
    let mut tls = TlsConfig::builder();
    if let Some(ca) = &ship.tls_ca {
        tls = tls.root_certs(RootCerts::Specific(Arc::new(certificates(ca)?)));
    }
    if let (Some(cert), Some(key)) = (&ship.tls_cert, &ship.tls_key) {
        // What it says of a key could quote it.
        let private = PrivateKey::from_pem(&pem(key)?).map_err(|_| wrong(key, "it has no private key in PEM"))?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&certificates(cert)?, private)));
    }
    Ok(tls.build())
}

fn certificates(path: &Path) -> io::Result<Vec<Certificate<'static>>> {
    let bytes = pem(path)?;
    let found = parse_pem(&bytes).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate.to_owned()),
        _ => None,
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() { Err(wrong(path, "it has no certificate in PEM")) } else { Ok(found) }
}

fn pem(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| wrong(path, &error.to_string()))?;
    file.take(PEM_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| wrong(path, &error.to_string()))?;
    Ok(bytes)
}

fn wrong(path: &Path, why: &str) -> io::Error {
    crate::invalid(format!("read certificates and keys from {}: {why}", path.display()))
}

/// Requests to a receiver of OTLP.
pub(super) struct Otlp<'a> {
    http: &'a Http,
    convert: Convert,
}

impl<'a> Otlp<'a> {
    pub(super) fn new(http: &'a Http) -> Self {
        Self { http, convert: Convert::default() }
    }
}

impl Transport for Otlp<'_> {
    fn encode(&mut self, record: &RecordRef<'_>) -> Bytes {
        encoded(&self.convert.record(record))
    }

    fn send(&mut self, batch: &Batch, origin: &Origin) -> io::Result<Answer> {
        self.http.send(&batch.request(|process| resource(origin, process)))
    }

    fn refused(&self, batch: &Batch, origin: &Origin) -> String {
        json::request(&batch.request(|process| resource(origin, process))).to_string()
    }
}

/// Attributes of the process that logged.
fn resource(origin: &Origin, process: &str) -> Vec<KeyValue> {
    let pairs = origin.pairs(process);
    let pid = Origin::pid(process).filter(|_| pairs.iter().all(|(key, _)| *key != "process.pid"));
    let pid = pid.map(|pid| KeyValue::new("process.pid", Value::Int(pid)));
    pairs.iter().map(|(key, value)| KeyValue::string(key, value)).chain(pid).collect()
}
