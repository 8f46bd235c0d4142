//! Reading the ranges of a map or a list page by page: nothing stays open at the host between two pages.

use crate::bindings::map_state::Page;
use crate::column_builder::ColumnBuilder;

/// Visits the entries of one range, in order, until `visit` says `false`. `ask` gets the start of each page.
pub(super) fn visit_pages(
    start: Option<Vec<u8>>,
    ask: impl Fn(Option<&[u8]>) -> Page,
    mut visit: impl FnMut(&[u8], &[u8]) -> bool,
) {
    let mut start = start;
    loop {
        let page = ask(start.as_deref());
        let entries = page.ranges.len() / 4;
        for entry in 0..entries {
            let subkey = page.subkeys.get(entry).unwrap_or_default();
            if !visit(subkey, page.values.get(entry).unwrap_or_default()) {
                return;
            }
        }
        let last = entries.checked_sub(1).and_then(|last| page.subkeys.get(last));
        match (page.complete, last) {
            (false, Some(last)) => start = Some(behind(last)),
            _ => return,
        }
    }
}

/// The first subkey behind the given one.
pub(super) fn behind(subkey: &[u8]) -> Vec<u8> {
    [subkey, &[0]].concat()
}

/// A bound as an argument of `scan`: a null is no bound.
pub(super) fn bound(subkey: Option<&[u8]>) -> crate::bindings::types::Column {
    let mut column = ColumnBuilder::with_capacity(1, 0);
    match subkey {
        Some(subkey) => column.push(subkey),
        None => column.push_null(),
    }
    column.finish()
}
