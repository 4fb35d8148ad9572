//! What a loss of power leaves of a disk in memory.

use super::mem::{Inode, State};
use std::collections::BTreeMap;

/// A change of a directory.
#[derive(Debug)]
pub(super) enum Entry {
    /// A file got this path.
    Made(String, u64),
    /// A path went.
    Gone(String),
    /// A path became another, in the same directory.
    Renamed(String, String),
    /// A folder went, which was empty.
    FolderGone(String),
}

impl Entry {
    /// A path that it concerns.
    pub(super) fn path(&self) -> &str {
        match self {
            Self::Made(path, _) | Self::Gone(path) | Self::Renamed(path, _) | Self::FolderGone(path) => path,
        }
    }

    fn apply(self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Made(path, ino) => drop(names.insert(path, ino)),
            Self::Gone(path) => drop(names.remove(&path)),
            Self::Renamed(from, to) => {
                if let Some(ino) = names.remove(&from) {
                    names.insert(to, ino);
                }
            }
            // With whatever stood in it once.
            Self::FolderGone(path) => names.retain(|name, _| !name.starts_with(&format!("{path}/"))),
        }
    }
}

/// Numbers of files that were there before power failed begin here.
const AFTER_LOSS: u64 = 1 << 32;

/// Leaves of each directory the first changes, of each file any pages; `pick(n)` chooses a number below `n`.
pub(super) fn lose(state: &mut State, page_bytes: usize, pick: &mut dyn FnMut(usize) -> usize) {
    let mut directories: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in std::mem::take(&mut state.unsynced) {
        let directory = entry.path().rsplit_once('/').map_or("", |(directory, _)| directory);
        directories.entry(directory.to_owned()).or_default().push(entry);
    }
    // What is below comes later: of a folder that is gone for sure nothing comes back.
    let mut gone: Vec<String> = Vec::new();
    for (directory, entries) in directories {
        let kept = pick(entries.len() + 1);
        if gone.iter().any(|folder| directory == *folder || directory.starts_with(&format!("{folder}/"))) {
            continue;
        }
        for (index, entry) in entries.into_iter().enumerate() {
            match &entry {
                Entry::FolderGone(path) if index < kept => gone.push(path.clone()),
                Entry::FolderGone(path) => drop(state.folders.insert(path.clone())),
                _ => {}
            }
            if index < kept {
                entry.apply(&mut state.synced_names);
            }
        }
    }
    state.names = state.synced_names.clone();
    let named: Vec<u64> = state.names.values().copied().collect();
    state.inodes.retain(|ino, _| named.contains(ino));
    for (ino, inode) in &mut state.inodes {
        inode.links = 1;
        // A number that was given again belongs to one of the two only.
        inode.number = AFTER_LOSS | ino;
        leave_pages(inode, page_bytes, pick);
    }
}

fn leave_pages(inode: &mut Inode, page_bytes: usize, pick: &mut dyn FnMut(usize) -> usize) {
    let (old, last) = (inode.synced.len(), inode.bytes.len());
    let length = old.min(last) + pick(old.abs_diff(last) + 1);
    let mut left = vec![0; length];
    for (index, page) in left.chunks_mut(page_bytes.max(1)).enumerate() {
        let from = if pick(2) == 0 { &inode.synced } else { &inode.bytes };
        for (at, byte) in page.iter_mut().enumerate() {
            *byte = from.get(index * page_bytes + at).copied().unwrap_or(0);
        }
    }
    inode.synced.clone_from(&left);
    inode.bytes = left;
}
