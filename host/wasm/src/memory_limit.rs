//! The limit on what one instance may hold: linear memories together, tables together, and how many of each.

use wasmtime::ResourceLimiter;

/// Core instances of one component; the largest known guest (Python) has about thirty.
const INSTANCES_MAX: usize = 256;
/// Each linear memory reserves gigabytes of address space; a guest of one language has one.
const MEMORIES_MAX: usize = 16;
/// Tables of one component.
const TABLES_MAX: usize = 64;
/// Elements of all tables together, 8 bytes each.
const TABLE_ELEMENTS_MAX: usize = 1 << 20;

/// Counts the memory of one instance. wasmtime asks it before anything grows.
#[derive(Debug)]
pub struct MemoryLimit {
    bytes_max: usize,
    bytes: usize,
    last_growth: usize,
    table_elements: usize,
    refused: Option<usize>,
}

impl MemoryLimit {
    /// For an instance that holds nothing yet.
    pub fn new(bytes_max: usize) -> MemoryLimit {
        MemoryLimit { bytes_max, bytes: 0, last_growth: 0, table_elements: 0, refused: None }
    }

    /// Bytes of all linear memories.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A call begins.
    pub fn begin_call(&mut self) {
        self.refused = None;
    }

    /// One line about the growth that was refused since the call began, if one was.
    pub fn refusal(&self) -> Option<String> {
        let wanted = self.refused?;
        Some(format!("the guest wanted {wanted} bytes of memory, its limit is {}", self.bytes_max))
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let total = self.bytes.saturating_add(growth);
        self.last_growth = 0;
        if total > self.bytes_max {
            self.refused = Some(total);
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        (self.bytes, self.last_growth) = (total, growth);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        // Also called after a refusal, when nothing was counted.
        self.bytes -= std::mem::take(&mut self.last_growth);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > TABLE_ELEMENTS_MAX {
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_memories_share_one_limit() {
        let mut limit = MemoryLimit::new(100);
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.memory_growing(0, 40, None).unwrap());
        assert_eq!(limit.refusal(), None);
        assert!(!limit.memory_growing(40, 41, None).unwrap());
        assert!(limit.refusal().unwrap().contains("wanted 101 bytes of memory, its limit is 100"));
        assert_eq!(limit.bytes(), 100);
    }

    #[test]
    fn growth_that_failed_is_not_counted() {
        let mut limit = MemoryLimit::new(100);
        assert!(limit.memory_growing(0, 60, None).unwrap());
        limit.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert_eq!(limit.bytes(), 0);
    }

    #[test]
    fn tables_are_bounded_too() {
        let mut limit = MemoryLimit::new(100);
        assert!(limit.table_growing(0, TABLE_ELEMENTS_MAX, None).unwrap());
        assert!(!limit.table_growing(0, 1, None).unwrap());
    }
}
