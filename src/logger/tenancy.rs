//! Who uses a log directory, and on which terms: all who do render the same views.
//!
//! Three files in `.journal`: `configuration` has the terms ([`Stored`]); whoever uses the directory holds a shared lock
//! of `users` as long as it does; whoever compares or replaces the terms holds the lock of `configuration.lock`
//! meanwhile. So terms are replaced only when nobody lives by them: then, and only then, the lock of `users` can be had
//! alone. Locks tell the living from the dead, also where shared memory does not.

use crate::config::stored::{self, Stored};
use crate::disk::{RealDisk, read_small, replace_small};
use crate::error::{Error, Kind};
use crate::sealed::Unsealed;
use crate::sys::file::{lock_within, open_lock, try_lock};
use crate::sys::fork::{ClosedInChild, close_in_child};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

/// The file with the terms.
pub(crate) const CONFIGURATION: &str = "configuration";
/// The file whose lock is held while the terms are compared or replaced.
const CONFIGURATION_LOCK: &str = "configuration.lock";
/// The file that everybody who uses the directory has locked.
const USERS: &str = "users";
/// How long others may take to compare or replace the terms.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// The right to use a directory; ends when it is dropped, or with the process.
#[derive(Debug)]
pub(crate) struct Tenancy {
    /// `None` once it was given back.
    held: Option<(ClosedInChild, File)>,
    pid: u32,
}

impl Tenancy {
    /// Enters the directory whose folder of journals is `journals`, on the terms `wanted`.
    ///
    /// # Errors
    /// When others use it on other terms, naming the difference; when the terms there are of a newer version; when they
    /// are damaged and somebody uses them.
    pub(crate) fn enter(journals: &Path, wanted: &Stored) -> Result<Self, Error> {
        let path = journals.join(CONFIGURATION);
        let _turn = turn(journals)?;
        let users = users(journals)?;
        let there = match read(&path)? {
            Some(Err(Unsealed::Newer(version))) => return Err(newer(&path, version)),
            Some(there) => Some(there),
            None => None,
        };
        if there.as_ref() != Some(&Ok(wanted.clone())) {
            if !try_lock(&users, true).map_err(|error| unusable(&journals.join(USERS), error))? {
                return Err(refused(&path, there, wanted));
            }
            let replaced =
                RealDisk::open(journals).and_then(|journals| replace_small(&journals, CONFIGURATION, &wanted.encode()));
            replaced.map_err(|error| unusable(&path, error))?;
        }
        Self::hold(journals, users)
    }

    /// Enters on the terms that are there; `None` where there are none yet.
    ///
    /// # Errors
    /// When they cannot be read, or not be understood.
    pub(crate) fn join(journals: &Path) -> Result<Option<(Self, Stored)>, Error> {
        let path = journals.join(CONFIGURATION);
        let _turn = turn(journals)?;
        match read(&path)? {
            None => Ok(None),
            Some(Ok(stored)) => Ok(Some((Self::hold(journals, users(journals)?)?, stored))),
            Some(Err(Unsealed::Newer(version))) => Err(newer(&path, version)),
            Some(Err(Unsealed::Damaged)) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, Unsealed::Damaged.to_string());
                let advice = "start the program that logs there, which stores its configuration anew";
                Err(Error::io("cannot use", &path, error, advice))
            }
        }
    }

    /// Takes, or keeps, a share of the lock of `users`. Nobody takes all of it meanwhile: this is our turn.
    fn hold(journals: &Path, users: File) -> Result<Self, Error> {
        let path = journals.join(USERS);
        match lock_within(&users, false, LOCK_WAIT_MAX) {
            Ok(true) => {}
            Ok(false) => return Err(unusable(&path, io::ErrorKind::WouldBlock.into())),
            Err(error) => return Err(unusable(&path, error)),
        }
        Ok(Self { held: Some((close_in_child(users.as_raw_fd()), users)), pid: std::process::id() })
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        // In a forked child the descriptor was closed already, and its number may be another file's by now.
        if self.pid != std::process::id() {
            std::mem::forget(self.held.take());
        }
    }
}

fn users(journals: &Path) -> Result<File, Error> {
    let path = journals.join(USERS);
    open_lock(&path).map_err(|error| unusable(&path, error))
}

/// Waits for the turn to compare or replace the terms.
fn turn(journals: &Path) -> Result<File, Error> {
    let path = journals.join(CONFIGURATION_LOCK);
    let lock = open_lock(&path).map_err(|error| unusable(&path, error))?;
    match lock_within(&lock, true, LOCK_WAIT_MAX) {
        Ok(true) => Ok(lock),
        Ok(false) => Err(unusable(&path, io::ErrorKind::WouldBlock.into())),
        Err(error) => Err(unusable(&path, error)),
    }
}

type Found = Result<Stored, Unsealed>;

fn read(path: &Path) -> Result<Option<Found>, Error> {
    let journals = path.parent().unwrap_or(path);
    let read = RealDisk::open(journals).and_then(|journals| read_small(&journals, CONFIGURATION, stored::BYTES_MAX));
    match read {
        Ok(bytes) => Ok(bytes.map(|bytes| Stored::decode(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(Some(Err(Unsealed::Damaged))),
        Err(error) => Err(unusable(path, error)),
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    let advice = "every process that logs to this directory must be able to read, write and lock it; if it is a link or \
                  no file, somebody else put it there: remove it";
    Error::io("cannot use", path, error, advice)
}

fn newer(path: &Path, version: u32) -> Error {
    let error = io::Error::new(io::ErrorKind::Unsupported, Unsealed::Newer(version).to_string());
    Error::io("cannot use", path, error, "update this program, or log to another directory")
}

#[cold]
fn refused(path: &Path, there: Option<Found>, wanted: &Stored) -> Error {
    let dir = path.parent().and_then(Path::parent).unwrap_or(path).display().to_string();
    let why = match there {
        Some(Ok(there)) => format!("uses it with other views: {}", there.difference(wanted)),
        Some(Err(_)) => format!("uses it, and {} is damaged", path.display()),
        None => format!("uses it, and {} is gone", path.display()),
    };
    let advice = "use the same configuration or another directory, or stop all that log there first";
    Error::new(Kind::Config, format!("cannot log to {dir}: another process {why}"), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Config as ViewsConfig;
    use std::fs;

    fn terms(open_files_max: usize) -> Stored {
        Stored::of(&ViewsConfig { open_files_max, ..ViewsConfig::default() })
    }

    #[test]
    fn terms_are_shared_by_the_living_and_replaced_when_nobody_lives() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Tenancy::join(dir.path()).unwrap().is_none());
        let one = Tenancy::enter(dir.path(), &terms(1)).unwrap();
        let two = Tenancy::enter(dir.path(), &terms(1)).unwrap();
        let error = Tenancy::enter(dir.path(), &terms(2)).unwrap_err();
        assert!(error.is_config() && error.to_string().contains("open_files_max is 1 there and 2 here"), "{error}");
        drop(one);
        assert!(Tenancy::enter(dir.path(), &terms(2)).is_err(), "one of two is still there");
        drop(two);
        let three = Tenancy::enter(dir.path(), &terms(2)).unwrap();
        let (four, stored) = Tenancy::join(dir.path()).unwrap().unwrap();
        assert_eq!(stored, terms(2));
        drop(three);
        assert!(Tenancy::enter(dir.path(), &terms(1)).is_err(), "who joined lives too");
        drop(four);
    }

    #[test]
    fn damaged_terms_are_replaced_when_nobody_lives_and_newer_ones_never() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIGURATION);
        let living = Tenancy::enter(dir.path(), &terms(1)).unwrap();
        fs::write(&path, "x").unwrap();
        let error = Tenancy::enter(dir.path(), &terms(1)).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        assert!(Tenancy::join(dir.path()).unwrap_err().to_string().contains("damaged"));
        drop(living);
        drop(Tenancy::enter(dir.path(), &terms(1)).unwrap());
        assert_eq!(fs::read(&path).unwrap(), terms(1).encode());
        let text = String::from_utf8(terms(1).encode()).unwrap().replace("configuration 2", "configuration 7");
        fs::write(&path, &text).unwrap();
        for error in [Tenancy::enter(dir.path(), &terms(1)).unwrap_err(), Tenancy::join(dir.path()).unwrap_err()] {
            assert!(error.to_string().contains("version 7") && error.to_string().contains("update"), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn all_who_come_at_once_agree() {
        let dir = tempfile::tempdir().unwrap();
        let entered: Vec<_> = std::thread::scope(|scope| {
            let enter = |index: usize| {
                let path = dir.path();
                scope.spawn(move || Tenancy::enter(path, &terms(1 + index % 2)).map(|held| (index % 2, held)))
            };
            let threads: Vec<_> = (0..16).map(enter).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
        });
        assert!(!entered.is_empty() && entered.iter().all(|(kind, _)| *kind == entered[0].0));
    }
}
