//! Free ports of this machine.

use crate::stop::Stop;
use std::net::{Ipv4Addr, TcpListener};

/// The two ports of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For clients.
    pub client: u16,
    /// For the broker's own controller.
    pub controller: u16,
}

/// Two free ports; the first is the wanted one if there is one.
///
/// Both listeners are open at the same time, or the system could give the same port twice.
pub fn choose(wanted: Option<u16>) -> Result<Ports, Stop> {
    let client = bind(wanted.unwrap_or(0))?;
    let controller = bind(0)?;
    Ok(Ports { client: port(&client)?, controller: port(&controller)? })
}

fn bind(port: u16) -> Result<TcpListener, Stop> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| Stop::failed(format!("port {port}: {error}")))
}

fn port(listener: &TcpListener) -> Result<u16, Stop> {
    listener.local_addr().map(|address| address.port()).map_err(|error| Stop::failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn two_free_ports_differ() {
        let ports = choose(None).unwrap();
        assert_ne!(ports.client, ports.controller);
    }
}
