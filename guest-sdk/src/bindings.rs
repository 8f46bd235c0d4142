//! The contract's Rust bindings, generated from `wit/` at compile time. Nothing here is written by hand.
//!
//! All worlds are generated; which of them a guest exports is decided by the export macro that its crate expands.
#![allow(missing_docs, unsafe_op_in_unsafe_fn, clippy::all)]

/// The world `processor`, and the shapes shared by all worlds.
pub mod processor {
    wit_bindgen::generate!({
        path: "../wit",
        world: "processor",
        pub_export_macro: true,
        export_macro_name: "export_processor",
        default_bindings_module: "weir_sdk::bindings::processor",
        runtime_path: "::weir_sdk::bindings::wit_bindgen::rt",
        generate_unused_types: true,
    });
}

/// The world `mapper`.
pub mod mapper {
    wit_bindgen::generate!({
        path: "../wit",
        world: "mapper",
        pub_export_macro: true,
        export_macro_name: "export_mapper",
        default_bindings_module: "weir_sdk::bindings::mapper",
        runtime_path: "::weir_sdk::bindings::wit_bindgen::rt",
        with: {
            "weir:operator/types@0.1.0": crate::bindings::processor::weir::operator::types,
            "weir:operator/config@0.1.0": crate::bindings::processor::weir::operator::config,
            "weir:operator/log@0.1.0": crate::bindings::processor::weir::operator::log,
            "weir:operator/metrics@0.1.0": crate::bindings::processor::weir::operator::metrics,
        },
    });
}

/// What `migrating-processor` has and `processor` has not. A guest that exports both is a `migrating-processor`.
pub mod migrator {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package weir:sdk; world migrator { export weir:operator/migration@0.1.0; }",
        world: "weir:sdk/migrator",
        pub_export_macro: true,
        export_macro_name: "export_migrator",
        default_bindings_module: "weir_sdk::bindings::migrator",
        runtime_path: "::weir_sdk::bindings::wit_bindgen::rt",
        with: {
            "weir:operator/types@0.1.0": crate::bindings::processor::weir::operator::types,
        },
    });
}

pub use migrator::exports::weir::operator::migration;
pub use processor::exports::weir::operator::processing;
pub use processor::weir::operator::{
    config, list_state, log, map_state, metrics, timers, types, value_state,
};
pub use wit_bindgen;
