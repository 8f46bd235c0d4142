//! Columns and pages of the state interfaces: lent from linear memory on their way to the state, owned on their way back.

use crate::store_data::StoreData;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Lower, WasmList};
use weir_protocol::batch::Column;
use weir_protocol::state::{ColumnRef, Page};

/// `types.column` as the guest hands it over. Nothing is copied: the state reads linear memory.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LentColumn {
    offsets: WasmList<u8>,
    data: WasmList<u8>,
    nulls: WasmList<u8>,
}

impl LentColumn {
    /// The bytes, for as long as the guest does not run.
    pub fn read<'a>(&self, store: &'a StoreContextMut<'_, StoreData>) -> ColumnRef<'a> {
        ColumnRef {
            offsets: self.offsets.as_le_slice(store),
            data: self.data.as_le_slice(store),
            nulls: self.nulls.as_le_slice(store),
        }
    }
}

/// `types.column` as the state answers it.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct AnsweredColumn {
    offsets: Vec<u8>,
    data: Vec<u8>,
    nulls: Vec<u8>,
}

impl From<Column> for AnsweredColumn {
    fn from(column: Column) -> AnsweredColumn {
        AnsweredColumn { offsets: column.offsets, data: column.data, nulls: column.nulls }
    }
}

/// `map-state.page` as the state answers it.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct AnsweredPage {
    ranges: Vec<u8>,
    subkeys: AnsweredColumn,
    values: AnsweredColumn,
    complete: bool,
}

impl From<Page> for AnsweredPage {
    fn from(page: Page) -> AnsweredPage {
        AnsweredPage {
            ranges: page.ranges,
            subkeys: page.subkeys.into(),
            values: page.values.into(),
            complete: page.complete,
        }
    }
}
