//! A receiver that takes everything and counts: OTLP over HTTP, or lines of JSON.

use flate2::read::GzDecoder;
use prost::Message;
use prost::bytes::Bytes;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// As much of a request as is counted.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}
#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}
#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    records: Vec<Bytes>,
}

/// What came.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) records: AtomicU64,
    pub(crate) requests: AtomicU64,
    /// Of bodies, as they came over the wire.
    pub(crate) bytes: AtomicU64,
}

pub(crate) struct Sink {
    pub(crate) port: u16,
    pub(crate) counts: Arc<Counts>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, counts) = (listener.local_addr().unwrap().port(), Arc::new(Counts::default()));
        let all = Arc::clone(&counts);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let all = Arc::clone(&all);
                // A connection that breaks off ends its thread alone.
                std::thread::spawn(move || serve(stream.unwrap(), &all));
            }
        });
        Self { port, counts }
    }
}

fn serve(stream: TcpStream, counts: &Counts) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut headers, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).ok()? > 2 {
            headers.push_str(&line.to_ascii_lowercase());
            line.clear();
        }
        if headers.contains("expect: 100-continue") {
            (&stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let records = if headers.contains("application/x-protobuf") { otlp(&headers, &body) } else { lines(&body) };
        counts.bytes.fetch_add(length as u64, Ordering::Relaxed);
        counts.requests.fetch_add(1, Ordering::Relaxed);
        counts.records.fetch_add(records, Ordering::Relaxed);
        (&stream)
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .ok()?;
    }
}

fn otlp(headers: &str, body: &[u8]) -> u64 {
    let mut plain = Vec::new();
    if headers.contains("content-encoding: gzip") {
        GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    } else {
        plain.extend_from_slice(body);
    }
    let request = Request::decode(&plain[..]).unwrap();
    request.resources.iter().flat_map(|resource| &resource.scopes).map(|scope| scope.records.len() as u64).sum()
}

fn lines(body: &[u8]) -> u64 {
    body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64
}
