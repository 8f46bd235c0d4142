//! A page of a scan: entries of several ranges, in order, until it is full.

use super::layer::prefix_end;
use super::layers::Layers;
use super::stored_value::ValueCodec;
use weir_protocol::state::Page;

/// What is read of one key's map or list.
#[derive(Debug, Clone, Copy)]
pub struct ScanRange<'a> {
    /// What the keys of its entries begin with; the subkey follows.
    pub prefix: &'a [u8],
    /// The first subkey; `None` = from the first entry.
    pub start: Option<&'a [u8]>,
    /// The subkey behind the last; `None` = to the last entry.
    pub end: Option<&'a [u8]>,
}

/// Reads ranges in order until the page holds `page_bytes_max`, but one entry at least. `limit` entries end a range,
/// 0 = no limit. The page is complete where no entry was left out for want of room.
pub(super) fn read_page(
    layers: &Layers,
    codec: ValueCodec,
    ranges: &[ScanRange<'_>],
    limit: u32,
    page_bytes_max: usize,
) -> Result<Page, String> {
    let mut page = Page { complete: true, ..Page::default() };
    for (index, range) in ranges.iter().enumerate() {
        let from = [range.prefix, range.start.unwrap_or_default()].concat();
        let until = range.end.map_or_else(|| prefix_end(range.prefix), |end| [range.prefix, end].concat());
        let mut left = if limit == 0 { u32::MAX } else { limit };
        let mut damage = None;
        layers.scan(&from, &until, &mut |key, stored| {
            let value = match codec.decode(stored) {
                Ok(Some(value)) => value,
                Ok(None) => return true,
                Err(error) => {
                    damage = Some(error);
                    return false;
                }
            };
            let subkey = &key[range.prefix.len()..];
            if !page.ranges.is_empty() && bytes_with(&page, subkey, value) > page_bytes_max {
                page.complete = false;
                return false;
            }
            page.ranges.extend_from_slice(&(index as u32).to_le_bytes());
            page.subkeys.push(Some(subkey));
            page.values.push(Some(value));
            left -= 1;
            left > 0
        })?;
        if let Some(damage) = damage {
            return Err(damage);
        }
        if !page.complete {
            break;
        }
    }
    Ok(page)
}

/// Bytes of a page that has an entry, with one more: its range, two offsets, subkey and value.
fn bytes_with(page: &Page, subkey: &[u8], value: &[u8]) -> usize {
    let held = page.ranges.len() + page.subkeys.size_bytes() + page.values.size_bytes();
    held + 3 * 4 + subkey.len() + value.len()
}
