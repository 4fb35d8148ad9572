//! Certificates made for a test, and OTLP over TLS with who is certified by them.

use crate::{Running, free_port, logged, said, ship, tacho, wait_until};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// An authority, a certificate for 127.0.0.1, and its key.
pub(crate) struct Keys {
    dir: tempfile::TempDir,
}

impl Keys {
    /// `None`, said loudly, where there is no `openssl`.
    pub(crate) fn make() -> Option<Self> {
        let keys = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(keys.path("ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        let made = [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca",
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out csr -subj /CN=server",
            "x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile ext",
        ];
        if made.iter().all(|args| ran("openssl", &args.split(' ').collect::<Vec<_>>(), keys.dir.path())) {
            return Some(keys);
        }
        eprintln!("SKIPPED: no openssl here, or it makes no keys");
        None
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

/// Runs a program to its end; `false` where it is not here.
fn ran(program: &str, args: &[&str], dir: &Path) -> bool {
    let mut command = Command::new(program);
    let status = command.args(args).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Takes every request of who shows a certificate of the authority.
const SERVER: &str = r#"
import http.server, ssl, sys
class Take(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
port, ca, cert, key = sys.argv[1:]
server = http.server.HTTPServer(("127.0.0.1", int(port)), Take)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(cert, key)
tls.load_verify_locations(ca)
tls.verify_mode = ssl.CERT_REQUIRED
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

#[test]
fn an_authority_of_ones_own_is_believed_and_our_own_certificate_is_shown() {
    let Some(keys) = Keys::make() else { return };
    if !ran("python3", &["-c", "import ssl"], Path::new("/")) {
        eprintln!("SKIPPED: no python3 here, which is the receiver");
        return;
    }
    let port = free_port();
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| keys.path(name));
    let mut command = Command::new("python3");
    command.args(["-c", SERVER, &port.to_string(), &ca, &cert, &key]).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Running(command.spawn().unwrap());
    wait_until("the receiver listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let dir = logged(100);
    let url = format!("https://127.0.0.1:{port}");
    let status = || String::from_utf8(ship(dir.path(), &["--status"]).stdout).unwrap();
    for (who, args) in [("stranger", &[][..]), ("nobody", &["--tls-ca", &ca][..])] {
        let _running = Running(tacho(dir.path(), &[&[&*url], args].concat()).spawn().unwrap());
        wait_until("that they do not speak", || {
            status().contains("requests made again") && !status().contains(" 0 req")
        });
        assert!(status().contains("0 records acknowledged"), "{who}: {}", status());
    }
    let output = ship(dir.path(), &[&url, "--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!status().contains(" 0 records acknowledged"), "{}", status());
    let output = ship(dir.path(), &[&url, "--tls-ca", "/nowhere/ca.pem"]);
    assert!(output.status.code() == Some(2) && said(&output).contains("/nowhere/ca.pem"), "{}", said(&output));
    let output = ship(dir.path(), &[&url, "--tls-ca", &keys.path("ext")]);
    assert!(output.status.code() == Some(2) && said(&output).contains("no certificate"), "{}", said(&output));
}
