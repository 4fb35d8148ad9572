//! With what a server is asked to let us in: from a file or the environment, never from arguments, and shown nowhere.

use crate::args::Ship;
use crate::invalid;
use async_nats::ConnectOptions;
use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

/// The largest file of credentials.
const FILE_BYTES_MAX: u64 = 64 << 10;
const JWT_HEAD: &str = "-----BEGIN NATS USER JWT-----";

/// What a server is shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Access {
    Anonymous,
    User {
        user: String,
        password: String,
    },
    Token(String),
    /// A file of credentials, as `nsc` makes it: a JWT and the seed of its key.
    Creds(String),
    /// The seed of an nkey.
    Nkey(String),
}

/// The kind alone: the rest is secret.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::User { .. } => "User",
            Self::Token(_) => "Token",
            Self::Creds(_) => "Creds",
            Self::Nkey(_) => "Nkey",
        })
    }
}

impl Access {
    /// What the user gave: `--auth-file`, or the variables that the command `nats` knows.
    pub(super) fn find(ship: &Ship, env: impl Fn(&str) -> Option<String>) -> io::Result<Self> {
        if let Some(path) = &ship.auth_file {
            return Self::file(path);
        }
        // These two name files.
        for name in ["NATS_CREDS", "NATS_NKEY"] {
            if let Some(path) = env(name) {
                return Self::file(Path::new(&path));
            }
        }
        Ok(match (env("NATS_USER"), env("NATS_TOKEN")) {
            (Some(user), _) => Self::User { user, password: env("NATS_PASSWORD").unwrap_or_default() },
            (None, Some(token)) => Self::Token(token),
            (None, None) => Self::Anonymous,
        })
    }

    fn file(path: &Path) -> io::Result<Self> {
        let context = |error: io::Error| {
            io::Error::new(error.kind(), format!("read what NATS is shown from {}: {error}", path.display()))
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(context)?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(context)?;
        Self::parse(&text).ok_or_else(|| {
            let forms = "lines `user: …` and `password: …`, a line `token: …`, a .creds file, or the seed of an nkey";
            invalid(format!("{}: it has none of: {forms}", path.display()))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        if text.contains(JWT_HEAD) {
            return Some(Self::Creds(text.to_owned()));
        }
        let (mut user, mut password, mut token) = (None, None, None);
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let line = line.trim();
            if line.starts_with("SU") && line.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
                return Some(Self::Nkey(line.to_owned()));
            }
            let (name, value) = line.split_once(':')?;
            let slot = match name.trim() {
                "user" => &mut user,
                "password" => &mut password,
                "token" => &mut token,
                _ => return None,
            };
            *slot = Some(value.trim().to_owned());
        }
        match (user, password, token) {
            (Some(user), Some(password), None) => Some(Self::User { user, password }),
            (None, None, Some(token)) => Some(Self::Token(token)),
            _ => None,
        }
    }

    /// The options of a connection that shows it.
    pub(super) fn options(&self) -> io::Result<ConnectOptions> {
        Ok(match self.clone() {
            Self::Anonymous => ConnectOptions::new(),
            Self::User { user, password } => ConnectOptions::with_user_and_password(user, password),
            Self::Token(token) => ConnectOptions::with_token(token),
            // What it says of a file that is damaged could quote it.
            Self::Creds(text) => ConnectOptions::with_credentials(&text)
                .map_err(|_| invalid("ship: the .creds file is damaged: make it anew".to_owned()))?,
            Self::Nkey(seed) => ConnectOptions::with_nkey(seed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_tell_what_they_hold_and_nothing_of_it_is_shown() {
        let user = Access::User { user: "me".to_owned(), password: "p:w".to_owned() };
        assert_eq!(Access::parse("# mine\nuser: me\npassword: p:w\n"), Some(user.clone()));
        assert_eq!(format!("{user:?}"), "User");
        assert_eq!(Access::parse("token: t\n"), Some(Access::Token("t".to_owned())));
        let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
        assert_eq!(Access::parse(&format!("\n{seed}\n")), Some(Access::Nkey(seed.to_owned())));
        assert!(matches!(Access::parse(&format!("{JWT_HEAD}\nx\n")), Some(Access::Creds(_))));
        for none in ["", "user: me", "user: me\ntoken: t\npassword: x", "something", "key: v"] {
            assert_eq!(Access::parse(none), None, "{none:?}");
        }
    }
}
