//! NATS JetStream: each record a message, which the stream has acknowledged before the cursor moves.
//!
//! | | |
//! |---|---|
//! | subject | `PREFIX.SERVICE.LEVEL.TARGET`: [`subject`] |
//! | `Nats-Msg-Id` | process, segment and offset, which is `log.record.uid` in OTLP: a stream keeps the first of equal ones that come within its duplicate window |
//! | other headers | `service.name`, `service.instance.id`, `host.name`, and what `--resource` adds |
//! | payload | the record as JSON, byte for byte as `tacho cat -o json` has it |
//!
//! At most [`WINDOW`] messages wait for their acknowledgement. The client, with its connection, lives in a thread of its own,
//! so that pings are answered while nothing is sent.

mod access;
mod subject;
mod verdict;

use super::answer::Answer;
use super::batch::{Batch, Entry};
use super::transport::{Origin, Transport};
use crate::args::Ship;
use crate::invalid;
use access::Access;
use async_nats::connection::State;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::{self, Context, ContextBuilder, publish::PublishAck};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap, HeaderName, HeaderValue, ServerAddr};
use bytes::Bytes;
use std::collections::VecDeque;
use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tachograph::format::json::JsonFormat;
use tachograph::format::line::LineFormat as _;
use tachograph::reader::record::RecordRef;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use verdict::{Verdict, verdict};

/// By this a stream tells what came twice.
const ID: HeaderName = HeaderName::from_static("Nats-Msg-Id");
/// Messages that wait for their acknowledgement at most.
const WINDOW: usize = 1024;

/// Servers, and how to come in; what all log directories have in common.
pub(super) struct Servers {
    addresses: Vec<ServerAddr>,
    access: Access,
    prefix: String,
    tls: Tls,
    timeout: Duration,
}

#[derive(Clone)]
struct Tls {
    ca: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
}

impl Servers {
    /// What was given, checked; `urls` has commas between them.
    pub(super) fn new(urls: &str, ship: &Ship, env: impl Fn(&str) -> Option<String>) -> io::Result<Self> {
        let address = |url: &str| {
            if url.split('/').nth(2).is_some_and(|host| host.contains('@')) {
                return Err(invalid("ship: a URL with a password in it is seen by all: use --auth-file".to_owned()));
            }
            url.parse::<ServerAddr>().map_err(|error| invalid(format!("ship to {url}: {error}")))
        };
        if !subject::is_prefix(&ship.subject) {
            let why = "letters, digits, - and _, with dots between them";
            return Err(invalid(format!("ship: {:?} is no beginning of subjects: {why}", ship.subject)));
        }
        let is_header =
            |name: &str, value: &str| name.parse::<HeaderName>().is_ok() && value.parse::<HeaderValue>().is_ok();
        if let Some((name, _)) = ship.resource.iter().find(|(name, value)| !is_header(name, value)) {
            return Err(invalid(format!("ship: --resource {name}=…: no header of a message can be so")));
        }
        // The client reads them when it connects, and takes one that is not there for a server that is away.
        for path in [&ship.tls_ca, &ship.tls_cert, &ship.tls_key].into_iter().flatten() {
            std::fs::File::open(path)
                .map_err(|error| invalid(format!("read certificates and keys from {}: {error}", path.display())))?;
        }
        Ok(Self {
            addresses: urls.split(',').map(str::trim).map(address).collect::<io::Result<_>>()?,
            access: Access::find(ship, env)?,
            prefix: ship.subject.clone(),
            tls: Tls { ca: ship.tls_ca.clone(), client: ship.tls_cert.clone().zip(ship.tls_key.clone()) },
            timeout: ship.timeout,
        })
    }

    /// As they may be shown.
    pub(super) fn shown(&self) -> String {
        let one = |address: &ServerAddr| format!("{}://{}:{}", address.scheme(), address.host(), address.port());
        self.addresses.iter().map(one).collect::<Vec<_>>().join(",")
    }

    fn options(&self, told: watch::Sender<Told>) -> io::Result<ConnectOptions> {
        let mut options = self.access.options()?;
        if let Some(ca) = &self.tls.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((cert, key)) = &self.tls.client {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        let told = std::sync::Arc::new(told);
        Ok(options.name("tacho ship").connection_timeout(self.timeout).client_capacity(WINDOW).event_callback(
            move |event| {
                let told = std::sync::Arc::clone(&told);
                async move {
                    told.send_if_modified(|told| told.hear(&event));
                }
            },
        ))
    }
}

/// What the client told of its connection, besides answers.
#[derive(Clone, Default, Debug)]
struct Told {
    /// How often it was lost.
    lost: u64,
    /// What the server forbids.
    denied: Option<String>,
}

impl Told {
    /// Says whether nothing more will come of what was sent.
    fn hear(&mut self, event: &Event) -> bool {
        match event {
            Event::Disconnected | Event::Closed => self.lost += 1,
            // It names no message: the acknowledgement just never comes.
            Event::ServerError(error) if error.to_string().to_ascii_lowercase().contains("permissions violation") => {
                self.denied = Some(error.to_string());
            }
            _ => return false,
        }
        true
    }
}

/// A connection.
struct Connection {
    client: Client,
    stream: Context,
    told: watch::Receiver<Told>,
}

/// Messages to JetStream.
pub(super) struct Nats<'a> {
    servers: &'a Servers,
    runtime: Runtime,
    connection: Option<Connection>,
    line: JsonFormat,
}

/// Publishes a batch; the headers of a process are made once.
struct Publish<'a> {
    stream: &'a Context,
    batch: &'a Batch,
    origin: &'a Origin,
    prefix: &'a str,
    waiting: VecDeque<(usize, PublishAckFuture)>,
    duplicates: u64,
    refused: Vec<usize>,
    why_refused: String,
}

impl<'a> Nats<'a> {
    pub(super) fn new(servers: &'a Servers) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("nats").enable_all().build()?;
        Ok(Self { servers, runtime, connection: None, line: JsonFormat::default() })
    }

    /// Connects, unless that stands.
    async fn connection(servers: &Servers, known: Option<Connection>) -> io::Result<Result<Connection, Answer>> {
        if let Some(known) = known.filter(|known| known.client.connection_state() != State::Disconnected) {
            return Ok(Ok(known));
        }
        let (tell, told) = watch::channel(Told::default());
        let connected = servers.options(tell)?.connect(&servers.addresses[..]).await;
        Ok(connected.map_err(|error| refused(&error)).map(|client| {
            let stream = ContextBuilder::new().timeout(servers.timeout).max_ack_inflight(WINDOW).build(client.clone());
            Connection { client, stream, told }
        }))
    }
}

/// A value of a header: line breaks, which would end it, are taken out.
fn value(text: &str) -> HeaderValue {
    let harmless = || text.replace(['\r', '\n'], "_").parse().unwrap_or_default();
    text.parse().unwrap_or_else(|_| harmless())
}

/// Why there is no connection.
fn refused(error: &async_nats::ConnectError) -> Answer {
    let why = chain(error);
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication | ConnectErrorKind::ServerParse => {
            Answer::Misconfigured { why }
        }
        _ => Answer::Later { asked: None, why },
    }
}

/// An error with what caused it, harmless to a terminal.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// The headers of all records of a process, without the one that tells them apart.
fn headers(origin: &Origin, process: &str) -> HeaderMap {
    let named = |(name, text): (&str, &str)| Some((name.parse::<HeaderName>().ok()?, value(text)));
    origin.pairs(process).into_iter().filter_map(named).collect()
}

impl Publish<'_> {
    /// Until each message is acknowledged or refused; at the first that has to be sent again all have, as a stream
    /// tells what it had.
    async fn run(mut self) -> Result<Answer, Answer> {
        let mut common: Option<(&str, HeaderMap)> = None;
        for (index, entry) in self.batch.entries().enumerate() {
            let process = self.batch.name_of(entry.process);
            let (_, common) = match &mut common {
                Some(known) if known.0 == process => known,
                slot => slot.insert((process, headers(self.origin, process))),
            };
            let mut headers = common.clone();
            headers.insert(ID, value(&entry.uid));
            let target = self.batch.name_of(entry.target);
            let subject = subject::subject(self.prefix, &self.origin.service, entry.level, target);
            match self.stream.publish_with_headers(subject, headers, entry.record.clone()).await {
                Ok(waits) => self.waiting.push_back((index, waits)),
                Err(error) => self.settle(index, Err(error))?,
            }
            if self.waiting.len() >= WINDOW {
                self.wait_for_first().await?;
            }
        }
        while !self.waiting.is_empty() {
            self.wait_for_first().await?;
        }
        let (duplicates, refused, why) = (self.duplicates, self.refused, self.why_refused);
        Ok(Answer::Stored { duplicates, refused, why })
    }

    async fn wait_for_first(&mut self) -> Result<(), Answer> {
        let Some((index, acknowledged)) = self.waiting.pop_front() else { return Ok(()) };
        let outcome = acknowledged.await;
        self.settle(index, outcome)
    }

    fn settle(&mut self, index: usize, outcome: Result<PublishAck, PublishError>) -> Result<(), Answer> {
        let error = match outcome {
            Ok(acknowledged) => {
                self.duplicates += u64::from(acknowledged.duplicate);
                return Ok(());
            }
            Err(error) => error,
        };
        let number = error.source().and_then(|cause| cause.downcast_ref::<jetstream::Error>());
        let why = match error.kind() {
            PublishErrorKind::StreamNotFound => format!(
                "no stream takes {0}.>, or JetStream is not up yet: nats stream add --subjects '{0}.>'",
                self.prefix
            ),
            _ => chain(&error),
        };
        match verdict(error.kind(), number.map(jetstream::Error::error_code)) {
            Verdict::Later => Err(Answer::Later { asked: None, why }),
            Verdict::Stop => Err(Answer::Misconfigured { why }),
            Verdict::Refuse => {
                self.refused.push(index);
                self.why_refused = why;
                Ok(())
            }
        }
    }
}

impl Transport for Nats<'_> {
    fn encode(&mut self, record: &RecordRef<'_>) -> Bytes {
        let mut line = Vec::new();
        self.line.line(record, &mut line);
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        line.into()
    }

    fn send(&mut self, batch: &Batch, origin: &Origin) -> io::Result<Answer> {
        let known = self.connection.take();
        let (servers, kept) = (self.servers, &mut self.connection);
        self.runtime.block_on(async {
            let connection = match Self::connection(servers, known).await? {
                Ok(connection) => kept.insert(connection),
                Err(answer) => return Ok(answer),
            };
            let mut told = connection.told.clone();
            told.borrow_and_update();
            let publish = Publish {
                stream: &connection.stream,
                batch,
                origin,
                prefix: &servers.prefix,
                waiting: VecDeque::with_capacity(WINDOW),
                duplicates: 0,
                refused: Vec::new(),
                why_refused: String::new(),
            };
            let ended = tokio::select! {
                answer = publish.run() => answer.unwrap_or_else(|failed| failed),
                _ = told.changed() => Answer::Later { asked: None, why: "the connection was lost".to_owned() },
            };
            let denied = told.borrow().denied.clone();
            Ok(match (denied, ended) {
                (Some(why), Answer::Later { .. }) => Answer::Misconfigured { why },
                (_, ended) => {
                    if matches!(ended, Answer::Later { .. }) {
                        // What this connection still has to send comes to nobody's harm: the stream knows it again.
                        *kept = None;
                    }
                    ended
                }
            })
        })
    }

    fn refused(&self, batch: &Batch, origin: &Origin) -> String {
        let line = |entry: &Entry| {
            let target = batch.name_of(entry.target);
            let subject = subject::subject(&self.servers.prefix, &origin.service, entry.level, target);
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            // The record is JSON as it is.
            let record = String::from_utf8_lossy(&entry.record);
            format!(r#"{{"subject":{},"id":{},"record":{record}}}"#, quoted(&subject), quoted(&entry.uid))
        };
        batch.entries().map(line).collect::<Vec<_>>().join("\n")
    }
}
