//! The operator behind a reader of letters: sends each record the way that the reader has found.

use super::ROUTE;
use crate::connect::OperatorFactory;
use weir_protocol::batch::{Batch, headers, push_header};
use weir_protocol::connector::{CallContext, CallError, ConnectorError, Operator};
use weir_protocol::output::Output;
use weir_protocol::slots::Slots;
use weir_protocol::state::{Migrator, SharedState};

/// The router of a replay. It is the host's own, not a component.
pub struct Router;

impl OperatorFactory for Router {
    fn digest(&self) -> &str {
        ""
    }

    fn operator(&self, _: usize, _: Option<SharedState>) -> Result<Box<dyn Operator>, ConnectorError> {
        Ok(Box::new(Router))
    }

    fn migrator(&self) -> Result<Option<Box<dyn Migrator>>, ConnectorError> {
        Ok(None)
    }
}

impl Operator for Router {
    fn call(&mut self, input: &Batch, _: &Slots, _: CallContext) -> Result<Output, CallError> {
        let mut output = Output { count: input.rows as u32, ..Output::default() };
        for row in 0..input.rows {
            let (route, own) = split(input.headers.bytes(row));
            output.ports.push(route);
            output.headers.push(Some(&own));
        }
        Ok(output)
    }

    fn on_timers(&mut self, _: &str, _: &Batch, _: &Slots, _: CallContext) -> Result<Output, CallError> {
        Ok(Output::default())
    }

    fn reset(&mut self) {}
}

/// The way, and the headers without it. The reader has put it last.
fn split(entry: &[u8]) -> (u8, Vec<u8>) {
    let mut all: Vec<_> = headers(entry).map_while(Result::ok).collect();
    let last = all.pop().expect("D2: the reader in front of a router marks every record");
    assert_eq!(last.0, ROUTE, "D2: the reader in front of a router marks every record");
    let mut own = Vec::new();
    for (name, value) in all {
        push_header(&mut own, name, value);
    }
    (last.1.and_then(|route| route.first()).copied().unwrap_or_default(), own)
}
