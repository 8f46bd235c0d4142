//! What an instance keeps between calls: the result of the author's `open`, computed once.

use std::any::Any;
use std::cell::RefCell;

use crate::panic;

thread_local! {
    /// One slot, for a guest is one operator. Typed by the author's `open`, which no one else can name.
    static SETTINGS: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// The `open` of an operator that has none.
pub fn nothing() -> Result<(), String> {
    Ok(())
}

/// Runs the author's `open` and keeps its result.
pub fn open<T: 'static>(open: impl FnOnce() -> Result<T, String>) -> Result<(), String> {
    panic::report_to_log();
    let settings = open()?;
    SETTINGS.with(|slot| *slot.borrow_mut() = Some(Box::new(settings)));
    Ok(())
}

/// Lends the result of `open` to a call. A mapper is not opened by the host, so its first call does it.
#[inline]
pub fn with_settings<T: 'static, R>(
    author_open: impl FnOnce() -> Result<T, String>,
    call: impl FnOnce(&T) -> Result<R, String>,
) -> Result<R, String> {
    let opened = SETTINGS.with(|slot| slot.borrow().as_ref().is_some_and(|settings| settings.is::<T>()));
    if !opened {
        open(author_open)?;
    }
    SETTINGS.with(|slot| match slot.borrow().as_ref().and_then(|settings| settings.downcast_ref()) {
        Some(settings) => call(settings),
        None => Err("the operator's settings are gone".to_string()),
    })
}
