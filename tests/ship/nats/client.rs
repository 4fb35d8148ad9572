//! As much of the protocol of NATS as the tests need, written anew: a test that looked by the client which it tests would
//! share its mistakes.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// A message as it came.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) headers: String,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }
}

/// A connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// `login` has members of CONNECT.
    pub(crate) fn connect(port: u16, login: &Value) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let mut client = Self { reader: BufReader::new(stream) };
        client.line()?;
        let mut connect = json!({"verbose": false, "pedantic": false, "headers": true, "no_responders": true});
        connect.as_object_mut().unwrap().extend(login.as_object().unwrap().clone());
        client.send(format!("CONNECT {connect}\r\nPING\r\nSUB inbox 1\r\n").as_bytes())?;
        (client.line()? == "PONG").then_some(client)
    }

    fn send(&mut self, bytes: &[u8]) -> Option<()> {
        self.reader.get_mut().write_all(bytes).ok()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    }

    /// The next message to our inbox.
    fn next(&mut self) -> Option<Message> {
        loop {
            let line = self.line()?;
            let words: Vec<&str> = line.split(' ').collect();
            let head_bytes: usize = match words[0] {
                "PING" => {
                    self.send(b"PONG\r\n")?;
                    continue;
                }
                "MSG" => 0,
                "HMSG" => words[words.len() - 2].parse().unwrap(),
                other => panic!("{other}: {line}"),
            };
            let mut bytes = vec![0; words.last().unwrap().parse::<usize>().unwrap() + 2];
            self.reader.read_exact(&mut bytes).ok()?;
            let payload = bytes[head_bytes..bytes.len() - 2].to_vec();
            let headers = String::from_utf8(bytes[..head_bytes].to_vec()).unwrap();
            return Some(Message { subject: words[1].to_owned(), headers, payload });
        }
    }

    fn request(&mut self, subject: &str, body: &str) -> Option<Message> {
        self.send(format!("PUB {subject} inbox {}\r\n{body}\r\n", body.len()).as_bytes())?;
        self.next()
    }

    /// A request to JetStream; `None` while it does not answer, or with an error.
    pub(crate) fn api(&mut self, what: &str, body: &Value) -> Option<Value> {
        let answer = self.request(&format!("$JS.API.{what}"), &body.to_string())?;
        let json: Value = serde_json::from_slice(&answer.payload).ok()?;
        json["error"].is_null().then_some(json)
    }

    /// All messages of a stream, in their order.
    pub(crate) fn all(&mut self, stream: &str) -> Vec<Message> {
        let config = json!({"stream_name": stream, "config": {"deliver_policy": "all", "ack_policy": "none"}});
        let consumer = self.api(&format!("CONSUMER.CREATE.{stream}"), &config).unwrap();
        let name = consumer["name"].as_str().unwrap();
        let mut left = consumer["num_pending"].as_u64().unwrap();
        let mut all = Vec::new();
        while left > 0 {
            let batch = left.min(1000);
            let body = json!({"batch": batch}).to_string();
            let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}");
            self.send(format!("PUB {next} inbox {}\r\n{body}\r\n", body.len()).as_bytes()).unwrap();
            for _ in 0..batch {
                let message = self.next().unwrap();
                assert!(!message.headers.starts_with("NATS/1.0 "), "{message:?}");
                all.push(message);
            }
            left -= batch;
        }
        all
    }
}
