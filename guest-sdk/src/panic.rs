//! Carries a panic's message and place to the task log before the guest traps.

#[cfg(target_arch = "wasm32")]
pub(crate) fn report_to_log() {
    use std::sync::Once;

    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.payload_as_str().unwrap_or("a payload that is not text");
            match panic.location() {
                Some(place) => crate::log::error(format!("panicked at {place}: {message}")),
                None => crate::log::error(format!("panicked: {message}")),
            }
        }));
    });
}

/// In a native test the harness reports panics itself.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn report_to_log() {}
