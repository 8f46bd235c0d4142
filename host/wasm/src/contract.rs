//! The operator contract as this binary carries it: the text of `wit/`, and weir's own preview 1 adapter built from it.

use std::sync::OnceLock;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap};

/// The version of `weir:operator` that this host speaks.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// The module name that programs built for WASI preview 1 import.
pub const PREVIEW1: &str = "wasi_snapshot_preview1";

/// The adapter's text; part of what the compile cache depends on.
pub const PREVIEW1_ADAPTER: &str = include_str!("preview1-adapter.wat");

const SOURCES: [(&str, &str); 13] = [
    ("config.wit", include_str!("../../../wit/config.wit")),
    ("console.wit", include_str!("../../../wit/console.wit")),
    ("list-state.wit", include_str!("../../../wit/list-state.wit")),
    ("log.wit", include_str!("../../../wit/log.wit")),
    ("map-state.wit", include_str!("../../../wit/map-state.wit")),
    ("mapping.wit", include_str!("../../../wit/mapping.wit")),
    ("metrics.wit", include_str!("../../../wit/metrics.wit")),
    ("migration.wit", include_str!("../../../wit/migration.wit")),
    ("processing.wit", include_str!("../../../wit/processing.wit")),
    ("timers.wit", include_str!("../../../wit/timers.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("value-state.wit", include_str!("../../../wit/value-state.wit")),
    ("worlds.wit", include_str!("../../../wit/worlds.wit")),
];

/// Embeds the metadata of a world of the contract in a core module, as a toolchain does for a guest.
pub fn embed_world(module: &mut Vec<u8>, world: &str) -> Result<(), String> {
    let mut sources = SourceMap::new();
    for (path, text) in SOURCES {
        sources.push_str(path, text);
    }
    let group = sources.parse().map_err(|(_, error)| error.to_string())?;
    let mut resolve = Resolve::new();
    let package = resolve.push_group(group).map_err(|error| error.to_string())?;
    let world = resolve.select_world(&[package], Some(world)).map_err(|error| format!("{error:#}"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| format!("{error:#}"))
}

/// The adapter as a core module with its metadata.
pub fn preview1_adapter() -> &'static [u8] {
    static ADAPTER: OnceLock<Vec<u8>> = OnceLock::new();
    ADAPTER.get_or_init(|| {
        let mut module =
            wat::parse_str(PREVIEW1_ADAPTER).expect("the adapter's text is part of this crate and tested");
        embed_world(&mut module, "preview1-adapter")
            .expect("the contract's text is part of this binary and tested");
        module
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_adapter_and_every_world_of_the_contract_can_be_built() {
        assert!(preview1_adapter().starts_with(b"\0asm"));
        for world in ["mapper", "processor", "migrating-processor"] {
            embed_world(&mut wat::parse_str("(module)").unwrap(), world).unwrap();
        }
    }

    #[test]
    fn every_file_of_the_contract_is_carried() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
        let mut files: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".wit"))
            .collect();
        files.sort();
        assert_eq!(files, SOURCES.map(|(name, _)| name));
    }
}
