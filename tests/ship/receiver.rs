//! A receiver of OTLP in this process, which answers as the test wants.

use crate::otlp;
use prost::Message as _;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What a receiver answers.
pub(crate) enum Reply {
    /// A status, more headers, and a body. With 200 the records count as received.
    Status(u16, &'static str, Vec<u8>),
    /// It takes the request and says nothing: the records count, the sender cannot know.
    HangUp,
}

/// A request as it came.
pub(crate) struct Post {
    pub(crate) headers: String,
    pub(crate) path: String,
    pub(crate) request: otlp::Request,
}

impl Post {
    pub(crate) fn records(&self) -> impl Iterator<Item = (&str, &otlp::Record)> {
        let scopes = self.request.resources.iter().flat_map(|resource| &resource.scopes);
        scopes
            .flat_map(|scope| scope.records.iter().map(|record| (scope.scope.as_ref().unwrap().name.as_str(), record)))
    }
}

/// A receiver in this process.
pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) posts: Arc<Mutex<Vec<Post>>>,
    stop: Arc<AtomicBool>,
}

impl Receiver {
    /// `reply` judges each request by its number, from 0.
    pub(crate) fn start(reply: impl Fn(usize, &Post) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(0, reply)
    }

    /// The same on this port; on any with 0.
    pub(crate) fn start_at(port: u16, reply: impl Fn(usize, &Post) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (posts, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (reply, count) = (Arc::new(reply), Arc::new(Mutex::new(0)));
        let (all, ended) = (Arc::clone(&posts), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let (reply, count, all) = (Arc::clone(&reply), Arc::clone(&count), Arc::clone(&all));
                // A sender that is killed breaks its connection off; that ends this thread alone.
                std::thread::spawn(move || serve(stream.unwrap(), &*reply, &count, &all));
            }
        });
        Self { url, posts, stop }
    }

    /// How often each record was received, by its identity.
    pub(crate) fn received(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for post in self.posts.lock().unwrap().iter() {
            for (_, record) in post.records() {
                *all.entry(record.uid()).or_default() += 1;
            }
        }
        all
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn serve(
    stream: TcpStream,
    reply: &(dyn Fn(usize, &Post) -> Reply + Send + Sync),
    count: &Mutex<usize>,
    all: &Mutex<Vec<Post>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut headers, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).ok()? > 2 {
            headers.push_str(&line.to_ascii_lowercase());
            line.clear();
        }
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
        let request = otlp::Request::decode(&plain[..]).unwrap();
        let path = headers.split(' ').nth(1).unwrap().to_owned();
        let post = Post { headers, path, request };
        let number = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count - 1
        };
        match reply(number, &post) {
            Reply::HangUp => {
                all.lock().unwrap().push(post);
                return None;
            }
            Reply::Status(status, more, body) => {
                if status == 200 {
                    all.lock().unwrap().push(post);
                }
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{more}\r\n", body.len());
                (&stream).write_all(head.as_bytes()).ok()?;
                (&stream).write_all(&body).ok()?;
            }
        }
    }
}

pub(crate) fn ok() -> Reply {
    Reply::Status(200, "", Vec::new())
}
