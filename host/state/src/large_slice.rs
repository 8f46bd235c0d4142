//! Memory for tables that are read at random: in huge pages where there are any, for with small ones the processor looks
//! up the page of nearly every read in memory first. All of this crate's unsafe code but a prefetch is here.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a huge page.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// A boxed slice, of which a large one lies in huge pages.
pub(crate) struct LargeSlice<T> {
    start: NonNull<T>,
    length: usize,
}

// SAFETY: it owns its values, as a box does.
unsafe impl<T: Send> Send for LargeSlice<T> {}
// SAFETY: shared references give shared references to the values, as with a box.
unsafe impl<T: Sync> Sync for LargeSlice<T> {}

fn layout<T>(length: usize) -> Layout {
    let layout = Layout::array::<T>(length).expect("a table is smaller than the address space");
    let align = if layout.size() >= HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { layout.align() };
    layout.align_to(align).expect("the alignment is a power of two")
}

impl<T: Default> LargeSlice<T> {
    /// A slice of default values, at least one.
    pub(crate) fn new(length: usize) -> LargeSlice<T> {
        let layout = layout::<T>(length);
        assert!(layout.size() > 0, "a table has bytes");
        // SAFETY: the layout has bytes.
        let memory = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(memory.cast::<T>()) else { handle_alloc_error(layout) };
        if layout.size() >= HUGE_PAGE_BYTES {
            // SAFETY: the memory is ours, and the advice changes nothing of what is in it. Where it is not taken, the
            // pages are small.
            unsafe { libc::madvise(memory.cast(), layout.size(), libc::MADV_HUGEPAGE) };
        }
        // Should a default value panic, the memory leaks, which is safe.
        for index in 0..length {
            // SAFETY: the index is within the memory, which is aligned for `T` and holds nothing yet.
            unsafe { start.add(index).write(T::default()) };
        }
        LargeSlice { start, length }
    }
}

impl<T> Deref for LargeSlice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` has initialised so many values, and they live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T> DerefMut for LargeSlice<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl<T> Drop for LargeSlice<T> {
    fn drop(&mut self) {
        // SAFETY: the values are initialised and dropped once, and the memory came from `alloc` with this layout.
        unsafe {
            std::ptr::drop_in_place(std::ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.length));
            dealloc(self.start.as_ptr().cast(), layout::<T>(self.length));
        }
    }
}

impl<T> fmt::Debug for LargeSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LargeSlice of {}", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_large_slice_is_aligned_to_huge_pages_and_holds_defaults() {
        let mut slice = LargeSlice::<u64>::new(HUGE_PAGE_BYTES / 8 + 1);
        assert_eq!(slice.as_ptr() as usize % HUGE_PAGE_BYTES, 0);
        assert!(slice.iter().all(|value| *value == 0));
        let last = slice.len() - 1;
        slice[last] = 7;
        assert_eq!(slice[last], 7);
    }

    #[test]
    fn values_are_dropped_with_their_slice() {
        let shared = Arc::new(());
        let mut slice = LargeSlice::<Option<Arc<()>>>::new(3);
        slice.fill(Some(shared.clone()));
        assert_eq!(Arc::strong_count(&shared), 4);
        drop(slice);
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}
