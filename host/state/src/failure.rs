//! What an error of RocksDB or of a file means for the pipeline: one line that names the place.

use rocksdb::ErrorKind as RocksKind;
use std::io;
use std::path::Path;
use weir_protocol::connector::ConnectorError;

/// An error of RocksDB while `doing` something with `place`, which is a file or a directory.
pub(crate) fn of_rocksdb(doing: &str, place: &Path, error: &rocksdb::Error) -> ConnectorError {
    of_text(doing, place, error.kind(), error.as_ref())
}

/// The same of an error's kind and text.
pub(crate) fn of_text(doing: &str, place: &Path, kind: RocksKind, text: &str) -> ConnectorError {
    let place = place.display();
    match kind {
        RocksKind::Corruption => ConnectorError::refused(format!(
            "{place}: {doing} met damaged data: {text}; restore an earlier checkpoint"
        )),
        _ if is_full(text) => ConnectorError::transient(format!(
            "{place}: {doing} found no space left: {text}; free some space"
        )),
        _ if text.contains("Too many open files") => ConnectorError::transient(format!(
            "{place}: {doing} found too many open files: {text}; raise the limit (ulimit -n)"
        )),
        _ => ConnectorError::transient(format!("{place}: {doing} failed: {text}")),
    }
}

/// An error of the file system while `doing` something with `place`.
pub(crate) fn of_io(doing: &str, place: &Path, error: &io::Error) -> ConnectorError {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull => "; free some space",
        io::ErrorKind::PermissionDenied => "; check its owner and mode",
        _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "; raise the limit of open files (ulimit -n)"
        }
        _ => "",
    };
    ConnectorError::transient(format!("{}: {doing} failed: {error}{hint}", place.display()))
}

fn is_full(text: &str) -> bool {
    text.contains("No space left") || text.contains("NoSpace") || text.contains("Disk quota exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::connector::ErrorKind;

    #[test]
    fn a_full_disk_may_pass_and_says_where_it_is_full() {
        let full = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let error = of_io("writing", Path::new("/data/x.sst"), &full);
        assert_eq!(error.kind, ErrorKind::Transient);
        assert!(
            error.message.contains("/data/x.sst") && error.message.contains("free some space"),
            "{error}"
        );
    }
}
