//! A real `nats-server` (Debian package of that name), with JetStream on disk.

use super::client::Client;
use crate::{Running, free_port, wait_until};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What the stream of the tests is called.
pub(crate) const STREAM: &str = "LOGS";

pub(crate) struct Server {
    program: PathBuf,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
    login: Value,
    running: Option<Running>,
}

impl Server {
    /// One with these lines in its configuration; `None`, said loudly, where there is no `nats-server`.
    pub(crate) fn start(more: &str, login: Value) -> Option<Self> {
        let on_path = std::env::var_os("PATH");
        let dirs = on_path.iter().flat_map(std::env::split_paths).chain(["/usr/sbin".into()]);
        let Some(program) = dirs.map(|dir| dir.join("nats-server")).find(|path| path.is_file()) else {
            eprintln!("SKIPPED: no nats-server here (apt-get install nats-server)");
            return None;
        };
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let store = dir.path().join("store");
        let text = format!("listen: 127.0.0.1:{port}\njetstream {{ store_dir: {:?} }}\n{more}\n", store.display());
        std::fs::write(dir.path().join("conf"), text).unwrap();
        let mut server = Self { program, dir, port, login, running: None };
        server.run();
        Some(server)
    }

    fn run(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.dir.path().join("conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running = Some(Running(command.spawn().unwrap()));
    }

    /// SIGKILL, and another one over the same files.
    pub(crate) fn kill_and_start(&mut self) {
        self.running = None;
        self.run();
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A connection, when JetStream answers.
    pub(crate) fn client(&self) -> Client {
        let mut found = None;
        wait_until("JetStream answers", || {
            found = Client::connect(self.port, &self.login).filter(|_| true);
            found.as_mut().is_some_and(|client| client.api("INFO", &json!({})).is_some())
        });
        found.unwrap()
    }

    /// Makes the stream, with these members of its configuration besides.
    pub(crate) fn make_stream(&self, more: &Value) {
        let mut config = json!({
            "name": STREAM, "subjects": ["tachograph.>"], "storage": "file", "retention": "limits", "discard": "old",
            "num_replicas": 1, "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0,
            "duplicate_window": 3_600_000_000_000_u64,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.client().api(&format!("STREAM.CREATE.{STREAM}"), &config).unwrap();
    }

    /// Messages in the stream.
    pub(crate) fn count(&self) -> u64 {
        let info = self.client().api(&format!("STREAM.INFO.{STREAM}"), &json!({}));
        info.map_or(0, |info| info["state"]["messages"].as_u64().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
