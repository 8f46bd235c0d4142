//! The broker's process: given, or the one that listens on the broker's port.

use std::env;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// `/proc/net/tcp`'s number for a listening socket.
const LISTENING: &str = "0A";

/// The process of a broker on this machine.
pub fn find(brokers: &str) -> Option<i32> {
    if let Ok(given) = env::var("WEIR_BENCH_KAFKA_PID") {
        return given.parse().ok();
    }
    let (host, port) = brokers.split(',').next()?.rsplit_once(':')?;
    if !["127.0.0.1", "localhost", "[::1]"].contains(&host) {
        return None;
    }
    let port: u16 = port.parse().ok()?;
    let table = |name| fs::read_to_string(name).unwrap_or_default();
    let inode = listening_inode(&table("/proc/net/tcp"), port)
        .or_else(|| listening_inode(&table("/proc/net/tcp6"), port))?;
    owner(&format!("socket:[{inode}]"))
}

/// The socket that listens on a port.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
        (local.ends_with(&suffix) && *state == LISTENING).then(|| inode.parse().ok())?
    })
}

/// The process that has a socket open.
fn owner(socket: &str) -> Option<i32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        // Of other users' processes the descriptors cannot be seen.
        let descriptors = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        let mut targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        targets.any(|target| target.as_os_str().as_bytes() == socket.as_bytes()).then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_process_that_listens_on_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(find(&address), i32::try_from(std::process::id()).ok());
        assert_eq!(find("broker.example:9092"), None);
    }
}
