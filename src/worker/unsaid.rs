//! What a worker had to say when it ended, and nobody was there in whose log it could: a small file, until another worker has somebody.
//!
//! Only a worker that outlives its processes needs it, as `tacho collect` does. Who deletes the file says what stands in it;
//! killed in between, it is not said, as what waits in memory is not.

use super::room::GivenUp;
use super::statement::Statements;
use crate::disk::{Disk, read_small, replace_small};
use std::io;

/// The file, beside the folders of the journals.
const UNSAID: &str = "unsaid";
/// A larger one is none of ours.
const UNSAID_BYTES_MAX: usize = 64 << 10;

/// Leaves what is unsaid to the next worker.
pub(super) fn leave<D: Disk>(journals: &D, statements: &Statements, given_up: &GivenUp) -> io::Result<()> {
    let mut text = given_up.unsaid().map_or_else(String::new, |sums| format!("{sums}\n"));
    statements.unsaid().for_each(|line| text.push_str(&format!("{line}\n")));
    if text.is_empty() {
        return Ok(());
    }
    // What was left before.
    let before = read_small(journals, UNSAID, UNSAID_BYTES_MAX)?.unwrap_or_default();
    replace_small(journals, UNSAID, &[&before, text.as_bytes()].concat())
}

/// Takes over what others left.
pub(super) fn take<D: Disk>(journals: &D, statements: &mut Statements, given_up: &mut GivenUp) -> io::Result<()> {
    let Some(bytes) = read_small(journals, UNSAID, UNSAID_BYTES_MAX)? else { return Ok(()) };
    match journals.unlink(UNSAID) {
        // Another was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        unlinked => unlinked?,
    }
    for line in String::from_utf8_lossy(&bytes).lines() {
        if !given_up.take_over(line) {
            statements.take_over(line);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::keep::Going;
    use super::*;
    use crate::disk::MemDisk;
    use crate::level::Level;

    #[test]
    fn what_is_left_is_taken_over_once() {
        let disk = MemDisk::new();
        let leave_word = |lost| {
            let (mut statements, mut given_up) = (Statements::default(), GivenUp::default());
            statements.say_at(Level::Error, format!("{lost} more"));
            given_up.lose(Going { bytes: 1000, lost, awaited: true });
            leave(&disk, &statements, &given_up).unwrap();
        };
        leave_word(23);
        leave_word(2);
        let (mut statements, mut given_up) = (Statements::default(), GivenUp::default());
        take(&disk, &mut statements, &mut given_up).unwrap();
        let all: Vec<String> = statements.unsaid().collect();
        assert_eq!(all, ["2 23 more", "2 2 more"]);
        assert_eq!(given_up.unsaid().unwrap(), "given up: 2 0 2000 25 2");
        let (mut statements, mut given_up) = (Statements::default(), GivenUp::default());
        take(&disk, &mut statements, &mut given_up).unwrap();
        assert!(statements.unsaid().next().is_none() && given_up.unsaid().is_none());
        leave(&disk, &statements, &given_up).unwrap();
        assert!(disk.stat_name(UNSAID).unwrap().is_none(), "nothing is left where there is nothing to say");
        // Anything may stand in a file.
        disk.outside_write(UNSAID, b"given up: 1 2\n\n\xff\nx\n9 y\ngiven up: 1 2 3 4 5 6\n3 said all the same\n");
        take(&disk, &mut statements, &mut given_up).unwrap();
        assert_eq!(statements.unsaid().collect::<Vec<_>>(), ["3 said all the same"]);
        assert!(given_up.unsaid().is_none());
    }
}
