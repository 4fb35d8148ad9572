//! OTLP over HTTP: protobuf, compressed with gzip.

use super::answer::{Answer, judge};
use super::otlp::Request;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use std::io::{self, Write as _};
use std::time::Duration;
use ureq::Agent;

/// The most of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// A receiver.
pub(super) struct Http {
    agent: Agent,
    url: String,
    headers: Vec<(String, String)>,
}

impl Http {
    pub(super) fn new(url: String, headers: Vec<(String, String)>, timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // A header may be a secret, which is for this receiver alone.
            .max_redirects(0)
            .user_agent(concat!("tachograph/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent(), url, headers }
    }

    /// Sends a request and waits for its answer.
    pub(super) fn send(&self, request: &Request) -> io::Result<Answer> {
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
