//! A proxy in front of a real broker that makes the network fail where a test wants it.
//!
//! It stands at an address of its own, which a listener of the broker advertises, so that clients which ask there meet no
//! other. It reads the head of each request and nothing more: which API it is, and whose. A [`Rule`] names an API, part of a
//! client's id and how many such requests are let through first; the next one meets the rule's [`Action`], once.
//!
//! - [`rule`]: what can be asked for, and how a test learns that it has happened
//! - `frame`: the few bytes of Kafka's protocol that are read
//! - `connection`: two threads for each client, one for each direction
//!
//! *Invariant*: what TCP keeps in order stays in order. A request that is held, delayed or lost takes everything behind
//! it on its connection along.

mod connection;
mod frame;
pub mod rule;

pub use rule::{Action, Api, Armed, Rule};

use connection::Connection;
use rule::Rules;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Connections that are open: a cut of all of them needs to find them.
type Open = Arc<Mutex<Vec<[TcpStream; 2]>>>;

/// A proxy at work. It ends, with its connections, when this value is dropped.
pub struct Proxy {
    address: SocketAddr,
    rules: Arc<Rules>,
    stopped: Arc<AtomicBool>,
    open: Open,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens at a free port of this machine and passes everything on to `broker`, which need not be there yet.
    pub fn before(broker: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (rules, stopped, open) =
            (Arc::new(Rules::default()), Arc::new(AtomicBool::new(false)), Open::default());
        let (own_rules, own_stopped, own_open) = (rules.clone(), stopped.clone(), open.clone());
        let accept = move || {
            for client in listener.incoming() {
                if own_stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A broker that is gone is met as it is without a proxy: the connection ends at once.
                let connected = client.and_then(|client| Ok((client, TcpStream::connect(broker)?)));
                let Ok((client, broker)) = connected else { continue };
                let Ok(both) = client.try_clone().and_then(|own| Ok([own, broker.try_clone()?])) else {
                    continue;
                };
                let mut open = own_open.lock().unwrap_or_else(PoisonError::into_inner);
                open.retain(|sockets| sockets.iter().all(|socket| socket.peer_addr().is_ok()));
                open.push(both);
                Connection::serve(client, broker, own_rules.clone());
            }
        };
        let accepting = Some(std::thread::Builder::new().name("proxy-accept".to_owned()).spawn(accept)?);
        Ok(Proxy { address, rules, stopped, open, accepting })
    }

    /// Where clients connect, and what the broker has to advertise.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request that the rule is about, behind those that it skips, meets its action. Rules that are about the
    /// same request meet one request each, in the order in which they were armed.
    pub fn arm(&self, rule: Rule) -> Arc<Armed> {
        self.rules.arm(rule)
    }

    /// Rules that have met nothing yet never will; what is held is let go.
    pub fn disarm(&self) {
        self.rules.disarm();
    }

    /// Cuts off every connection, as a network does that is gone for a moment.
    pub fn cut_all(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        open.iter().flatten().for_each(connection::close);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.disarm();
        self.cut_all();
        // Wakes the thread that waits for a client.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}
