//! Bytes that lie in place while they are few: key and value of a cached entry fit into its cache line.

/// Bytes in place, at most.
const SHORT_MAX: usize = 22;

/// Bytes, or that there are none.
#[derive(Debug, Clone, Default)]
pub(crate) enum ShortBytes {
    /// No bytes, not even zero of them.
    #[default]
    Absent,
    /// Up to [`SHORT_MAX`] bytes in place.
    Short { length: u8, bytes: [u8; SHORT_MAX] },
    /// More of them.
    Long(Box<[u8]>),
}

const _: () = assert!(size_of::<ShortBytes>() == 24);

impl ShortBytes {
    #[inline]
    pub(crate) fn get(&self) -> Option<&[u8]> {
        match self {
            ShortBytes::Absent => None,
            ShortBytes::Short { length, bytes } => Some(&bytes[..usize::from(*length)]),
            ShortBytes::Long(bytes) => Some(bytes),
        }
    }

    /// Holds `head` and then `tail` from now on. Memory of the same length is used again.
    #[inline]
    pub(crate) fn set(&mut self, head: &[u8], tail: &[u8]) {
        let total = head.len() + tail.len();
        if total <= SHORT_MAX {
            let mut bytes = [0; SHORT_MAX];
            bytes[..head.len()].copy_from_slice(head);
            bytes[head.len()..total].copy_from_slice(tail);
            *self = ShortBytes::Short { length: total as u8, bytes };
            return;
        }
        match self {
            ShortBytes::Long(bytes) if bytes.len() == total => {
                bytes[..head.len()].copy_from_slice(head);
                bytes[head.len()..].copy_from_slice(tail);
            }
            _ => *self = ShortBytes::Long([head, tail].concat().into_boxed_slice()),
        }
    }

    /// Bytes on the heap.
    #[inline]
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            ShortBytes::Long(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_set_last_is_there(
            writes in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..9), prop::collection::vec(any::<u8>(), 0..40)), 1..6)
        ) {
            let mut held = ShortBytes::default();
            prop_assert_eq!(held.get(), None);
            for (head, tail) in writes {
                held.set(&head, &tail);
                let expected = [head, tail].concat();
                prop_assert_eq!(held.get(), Some(&expected[..]));
                prop_assert_eq!(held.heap_bytes(), if expected.len() > SHORT_MAX { expected.len() } else { 0 });
            }
        }
    }
}
