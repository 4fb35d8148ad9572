//! Which receiver the user means, and by which transport it is reached.

use super::endpoint;
use super::http::{Http, Otlp};
#[cfg(feature = "nats")]
use super::nats::{Nats, Servers};
use super::transport::Transport;
use crate::args::Ship;
use std::io;

/// A receiver; all log directories ship to the same.
pub(super) enum Receiver {
    Otlp(Http),
    #[cfg(feature = "nats")]
    Nats(Servers),
}

impl Receiver {
    /// What the command line, files and the environment name.
    pub(super) fn find(ship: &Ship, env: impl Fn(&str) -> Option<String> + Copy) -> io::Result<Self> {
        match ship.url.as_deref().filter(|url| is_nats(url)) {
            #[cfg(feature = "nats")]
            Some(urls) => Ok(Self::Nats(Servers::new(urls, ship, env)?)),
            #[cfg(not(feature = "nats"))]
            Some(url) => Err(crate::invalid(format!(
                "ship to {}: this tacho has no client for NATS: cargo install tachograph --features nats",
                endpoint::shown(url)
            ))),
            None => {
                let url = endpoint::url(ship, env)?;
                Ok(Self::Otlp(Http::new(url, endpoint::headers(ship, env)?, ship)?))
            }
        }
    }

    /// The name of the cursor, unless the user gives one.
    pub(super) const fn default_name(&self) -> &'static str {
        match self {
            Self::Otlp(_) => "otlp",
            #[cfg(feature = "nats")]
            Self::Nats(_) => "nats",
        }
    }

    /// As it may be shown.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Otlp(http) => endpoint::shown(http.url()),
            #[cfg(feature = "nats")]
            Self::Nats(servers) => servers.shown(),
        }
    }

    /// A way to it, for one log directory.
    pub(super) fn transport(&self) -> io::Result<Box<dyn Transport + '_>> {
        Ok(match self {
            Self::Otlp(http) => Box::new(Otlp::new(http)),
            #[cfg(feature = "nats")]
            Self::Nats(servers) => Box::new(Nats::new(servers)?),
        })
    }
}

fn is_nats(url: &str) -> bool {
    ["nats://", "tls://"].iter().any(|scheme| url.starts_with(scheme))
}
