//! Directories that belong to somebody else, and what another user's dead processes left. Needs root, which becomes others.

use crate::{CLOSE, Place, config, places};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tachograph::{info, start_isolated};

/// Two users that are not root, and need not have names.
const USER: u32 = 65_534;
const OTHER: u32 = 65_533;

#[test]
#[ignore = "a child process of the tests below"]
fn child_starts_and_tells() {
    let Some((dir, shm)) = places() else { return };
    match start_isolated(config(&dir, &shm)) {
        Err(error) => println!("refused: {error}"),
        Ok(tacho) => {
            (0..20).for_each(|n| info!(logger: tacho, target: "orders", "order {n}"));
            println!("{}", tacho.health());
            if std::env::var_os("SECURITY_DIES").is_some() {
                std::process::abort();
            }
            match tacho.close(CLOSE) {
                Ok(()) => println!("ended well"),
                Err(error) => println!("did not close: {error}"),
            }
        }
    }
}

/// A place that other users can reach, with this program in it.
struct Shared {
    place: Place,
    program: PathBuf,
}

impl Shared {
    /// `None` where this is not root, who alone can become others.
    fn new(test: &str) -> Option<Self> {
        // SAFETY: no preconditions.
        if unsafe { libc::geteuid() } != 0 {
            eprintln!("SKIPPED: {test}: another user can be played by root only");
            return None;
        }
        let place = Place::new();
        for path in [place.root.path(), place.shm.path()] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        let program = place.root.path().join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        Some(Self { place, program })
    }

    /// What the program says that starts as `user`.
    fn start(&self, user: u32, dies: bool) -> String {
        let mut command = Command::new(&self.program);
        command.args(["--exact", "users::child_starts_and_tells", "--ignored", "--nocapture", "--test-threads", "1"]);
        command.env("SECURITY_DIR", self.place.dir()).env("SECURITY_SHM", self.place.shm.path());
        command.current_dir("/").uid(user).gid(user);
        if dies {
            command.env("SECURITY_DIES", "1");
        }
        let Output { status, stdout, stderr } = command.output().unwrap();
        let said = String::from_utf8_lossy(&stdout).into_owned();
        assert!(dies || status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
        said
    }

    fn folder(&self, path: &Path, user: u32, mode: u32) {
        fs::DirBuilder::new().create(path).unwrap();
        chown(path, Some(user), Some(user)).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}

/// Everything below `path`: names, owners, modes and bytes.
fn image(path: &Path) -> Vec<(PathBuf, u32, u32, Vec<u8>)> {
    let mut all = Vec::new();
    crate::walk(path, &mut |path| {
        let about = path.symlink_metadata().unwrap();
        let bytes = if about.is_file() { fs::read(path).unwrap() } else { Vec::new() };
        all.push((path.to_owned(), about.uid(), about.mode(), bytes));
    });
    all.sort();
    all
}

#[test]
fn a_log_directory_of_somebody_else_is_refused_by_name_and_left_as_it_is() {
    let Some(shared) = Shared::new("a log directory of somebody else") else { return };
    let dir = shared.place.dir();
    // That of a user who logs there, and one that anybody may write to, but not what is in it.
    for mode in [0o750, 0o755, 0o777] {
        shared.folder(&dir, OTHER, 0o700);
        assert!(shared.start(OTHER, false).contains("ended well"));
        fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
        let before = (image(&dir), image(shared.place.shm.path()));
        let said = shared.start(USER, false);
        assert!(said.contains("refused: ") && said.contains(dir.to_str().unwrap()), "{mode:o}: {said}");
        assert!(said.contains("Permission denied") && said.contains("user"), "{mode:o}: {said}");
        assert!(before == (image(&dir), image(shared.place.shm.path())), "{mode:o}: something was changed");
        // Whose it is logs on.
        assert!(shared.start(OTHER, false).contains("ended well"));
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_folder_in_shared_memory_that_somebody_else_owns_is_not_used_and_lived_without() {
    let Some(shared) = Shared::new("a folder in shared memory that somebody else owns") else { return };
    shared.folder(&shared.place.dir(), USER, 0o750);
    fs::set_permissions(shared.place.shm.path(), Permissions::from_mode(0o1777)).unwrap();
    assert!(shared.start(USER, false).contains("survives kill -9: yes"));
    let id = fs::read_to_string(shared.place.dir().join(".journal/id")).unwrap();
    let planted = shared.place.shm.path().join(format!("tachograph-{USER}-{}", id.lines().next().unwrap()));
    // Another user can make it before the logger does, with any mode.
    for mode in [0o700, 0o777, 0o1777] {
        shared.folder(&planted, OTHER, mode);
        let before = image(shared.place.shm.path());
        let said = shared.start(USER, false);
        assert!(said.contains("crash survival is off") && said.contains("planted"), "{mode:o}: {said}");
        assert!(said.contains("ended well"), "{mode:o}: {said}");
        assert!(before == image(shared.place.shm.path()), "{mode:o}: something was put there");
        fs::remove_dir_all(&planted).unwrap();
    }
    // The directory itself may not be this user's to write to.
    fs::set_permissions(shared.place.shm.path(), Permissions::from_mode(0o755)).unwrap();
    let said = shared.start(USER, false);
    assert!(said.contains("crash survival is off") && said.contains("ended well"), "{said}");
    let lines: usize = fs::read_to_string(shared.place.dir().join("orders.log")).unwrap().lines().count();
    let older = fs::read_dir(shared.place.dir()).unwrap().flatten();
    let backups = older.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("orders.log.")));
    assert!(lines > 0 || backups.count() > 0);
}

#[test]
fn what_another_users_process_left_is_left_to_that_user_and_not_lost() {
    let Some(shared) = Shared::new("what another user's process left") else { return };
    shared.folder(&shared.place.dir(), USER, 0o750);
    fs::set_permissions(shared.place.shm.path(), Permissions::from_mode(0o1777)).unwrap();
    shared.start(USER, true);
    let before = image(shared.place.shm.path());
    assert!(before.iter().any(|(path, ..)| path.ends_with("control")));
    // Root may look into everything, and yet trusts only what is its own.
    let dir = shared.place.dir();
    let recover = Command::new(env!("CARGO_BIN_EXE_tacho"))
        .arg("-D")
        .arg(&dir)
        .args(["recover", "--dry-run", "--shm-dir"])
        .arg(shared.place.shm.path())
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&recover.stderr);
    assert!(!talk.contains("panicked"), "{talk}");
    assert!(before == image(shared.place.shm.path()), "{talk}");
    assert!(shared.start(USER, false).contains("ended well"));
    let recovered = |text: &str| text.lines().filter(|line| line.contains("(recovered)")).count();
    let texts: String = fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("orders.log")))
        .map(|entry| fs::read(entry.path()).unwrap())
        .map(|bytes| if bytes.starts_with(&[0x1f, 0x8b]) { inflate(&bytes) } else { String::from_utf8(bytes).unwrap() })
        .collect();
    assert_eq!(texts.lines().count(), 40, "{} of them recovered: {texts}", recovered(&texts));
}

fn inflate(bytes: &[u8]) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}
