//! Files that only the host's own user can read: drafts may hold passwords.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes the file where it is missing; either way nobody else can read it from now on. What SQLite keeps beside a
/// database gets the database's mode.
pub fn create(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    restrict(path)
}

/// Nobody else can read it from now on.
pub fn restrict(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o600))
}
