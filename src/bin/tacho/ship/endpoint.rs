//! Where records are sent to, and with which headers: from the command line, files and environment. What stands in
//! headers is shown nowhere.

use crate::args::Ship;
use crate::invalid;
use std::io;

/// The path of logs in OTLP over HTTP.
const LOGS_PATH: &str = "/v1/logs";
/// The largest file of headers.
const HEADERS_BYTES_MAX: u64 = 64 << 10;

/// The URL that requests are posted to.
pub(super) fn url(ship: &Ship, env: impl Fn(&str) -> Option<String>) -> io::Result<String> {
    let of_logs = || env("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT").map(Ok);
    let of_all = || env("OTEL_EXPORTER_OTLP_ENDPOINT").map(|url| joined(&url));
    let given = ship.url.as_ref().map(|url| whole(url));
    let url = given.or_else(of_logs).or_else(of_all).unwrap_or_else(|| {
        Err(invalid("ship: no receiver is named: give its URL, or set OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()))
    })?;
    check(&url)?;
    Ok(url)
}

fn check(url: &str) -> io::Result<()> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match rest {
        None => Err(invalid(format!("ship to {}: it begins with neither http:// nor https://", shown(url)))),
        Some(rest) if rest.split('/').next().unwrap_or_default().contains('@') => {
            Err(invalid("ship: a URL with a password in it is seen by all: use --headers-file".to_owned()))
        }
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            Err(invalid(format!("ship to {url}: it names no host")))
        }
        Some(_) => Ok(()),
    }
}

/// A URL from the command line: with a path of its own it is whole.
fn whole(url: &str) -> io::Result<String> {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    if path.is_empty() { joined(url) } else { Ok(url.to_owned()) }
}

fn joined(url: &str) -> io::Result<String> {
    Ok(format!("{}{LOGS_PATH}", url.trim_end_matches('/')))
}

/// A URL without what could be secret in it.
pub(super) fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
        }
        None => url.to_owned(),
    }
}

/// The headers that go with each request.
pub(super) fn headers(ship: &Ship, env: impl Fn(&str) -> Option<String>) -> io::Result<Vec<(String, String)>> {
    if let Some(path) = &ship.headers_file {
        let context =
            |error: io::Error| io::Error::new(error.kind(), format!("read headers from {}: {error}", path.display()));
        if std::fs::metadata(path).map_err(context)?.len() > HEADERS_BYTES_MAX {
            return Err(invalid(format!("{} is larger than {HEADERS_BYTES_MAX} bytes: no headers", path.display())));
        }
        let text = std::fs::read_to_string(path).map_err(context)?;
        let wanted = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        return text
            .lines()
            .filter(wanted)
            .enumerate()
            .map(|(at, line)| of_line(line).ok_or(at))
            .collect::<Result<_, _>>()
            .map_err(|at: usize| invalid(format!("{}: header {} is no `Name: value`", path.display(), at + 1)));
    }
    let names = ["OTEL_EXPORTER_OTLP_LOGS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
    let Some((name, text)) = names.iter().find_map(|name| Some((name, env(name)?))) else { return Ok(Vec::new()) };
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    let of_pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        Some((key.trim().to_owned(), unescaped(value.trim())?))
    };
    pairs.map(of_pair).collect::<Option<_>>().ok_or_else(|| invalid(format!("{name}: it is no list of key=value")))
}

fn of_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

/// Percent-encoding, as in W3C baggage, which the environment's headers are written in.
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    out.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        out.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        out.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::Parser as _;

    fn ship(args: &[&str]) -> Ship {
        let all = [&["tacho", "ship"], args].concat();
        match Args::parse_from(all).command {
            crate::args::Command::Ship(ship) => *ship,
            _ => panic!("it was ship"),
        }
    }

    fn url_of(args: &[&str], env: &[(&str, &str)]) -> Result<String, String> {
        let get = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        url(&ship(args), get).map_err(|error| error.to_string())
    }

    #[test]
    fn urls_are_those_of_the_specification() {
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        let logs = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://l/x");
        assert_eq!(url_of(&["http://h:4318"], &[all, logs]).unwrap(), "http://h:4318/v1/logs");
        assert_eq!(url_of(&["http://h:4318/own"], &[]).unwrap(), "http://h:4318/own");
        assert_eq!(url_of(&[], &[all, logs]).unwrap(), "https://l/x");
        assert_eq!(url_of(&[], &[all]).unwrap(), "http://c:4318/v1/logs");
        assert!(url_of(&[], &[]).unwrap_err().contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
        for wrong in ["h:4318", "ftp://h", "http://", "http:///x", "http://me:pw@h"] {
            let why = url_of(&[wrong], &[]).unwrap_err();
            assert!(!why.contains("pw"), "{wrong}: {why}");
        }
        assert_eq!(shown("https://me:pw@h/x?key=1"), "https://h/x");
    }

    #[test]
    fn headers_come_from_a_file_or_the_environment() {
        let of =
            |text: &str| headers(&ship(&[]), |name| (name == "OTEL_EXPORTER_OTLP_HEADERS").then(|| text.to_owned()));
        assert_eq!(of("a=1, b = x%20y").unwrap(), [("a".into(), "1".into()), ("b".into(), "x y".into())]);
        assert!(of("secret").unwrap_err().to_string().ends_with("it is no list of key=value"));
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        std::fs::write(path, "# mine\nAuthorization: Bearer x:y\n\n").unwrap();
        let got = headers(&ship(&["--headers-file", path]), |_| None).unwrap();
        assert_eq!(got, [("Authorization".to_owned(), "Bearer x:y".to_owned())]);
        std::fs::write(path, "Bearer\n").unwrap();
        let why = headers(&ship(&["--headers-file", path]), |_| None).unwrap_err().to_string();
        assert!(why.contains("header 1") && !why.contains("Bearer"), "{why}");
    }
}
