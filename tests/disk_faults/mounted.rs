//! Small file systems of their own.

use crate::driver::{child, is_child, is_root, skip};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A mounted file system; unmounted at the end.
pub struct Mounted {
    point: TempDir,
    _image: Option<TempDir>,
}

impl Mounted {
    pub fn path(&self) -> &Path {
        self.point.path()
    }

    /// A tmpfs of `bytes`.
    pub fn tmpfs(bytes: u64) -> Result<Self, String> {
        let point = tempfile::tempdir().unwrap();
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tacho-test"])
            .arg(point.path()))?;
        Ok(Self { point, _image: None })
    }

    /// An ext4 of `bytes` in a file.
    pub fn ext4(bytes: u64) -> Result<Self, String> {
        let (point, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let image: PathBuf = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(point.path()))?;
        Ok(Self { point, _image: Some(folder) })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.point.path()).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

/// Runs `body` where mounting is allowed: here as root, else in a user namespace of a child.
pub fn with_mounts(name: &str, body: impl FnOnce() -> Result<(), String>) {
    if is_root() || is_child() {
        if let Err(why) = body() {
            skip(name, &why);
        }
        return;
    }
    let output = child(name, &["unshare", "--map-root-user", "--mount"], || ());
    let said = output.as_ref().map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).unwrap_or_default();
    if output.is_none() || said.contains("unshare:") || said.contains("SKIPPED") {
        return skip(name, &format!("neither root nor a user namespace: {said}"));
    }
    assert!(output.is_some_and(|output| output.status.success()), "{said}");
}
