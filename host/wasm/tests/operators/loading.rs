//! What can be loaded, what is refused, and what is kept of it.

use crate::guests::{PLAIN, keyed, load, mapper, migrating, module, processor, refusal, wat_text};
use std::os::unix::fs::PermissionsExt;
use weir_protocol::state::{StateDeclaration, StateKind, TimerClock, TimerDeclaration};
use weir_wasm::{Digest, Engine, World};

fn component(name: &str) -> Vec<u8> {
    wat::parse_str(wat_text(&format!("{name}.wat"))).unwrap()
}

#[test]
fn a_core_module_with_metadata_is_wrapped_and_named_by_its_own_bytes() {
    let bytes = mapper("talkative");
    let prepared = load(&bytes);
    assert_eq!(
        (prepared.world(), prepared.digest(), prepared.size()),
        (World::Mapper, Digest::of(&bytes), bytes.len())
    );
    let expected = ["weir:operator/log@0.1.0", "weir:operator/metrics@0.1.0"];
    assert!(expected.iter().all(|name| prepared.imports().iter().any(|import| import == name)));
    assert_eq!(prepared.description().inputs, ["in"]);
    assert_eq!(prepared.description().config, None);
}

#[test]
fn a_processor_says_what_it_is() {
    let prepared = load(&processor("router"));
    assert_eq!(prepared.world(), World::Processor);
    let outputs: Vec<(&str, bool)> =
        prepared.description().outputs.iter().map(|port| (port.name.as_str(), port.keeps_key)).collect();
    assert_eq!(outputs, [("large", true), ("small", false)]);
    let keys = prepared.description().config.as_ref().unwrap();
    assert_eq!((keys[0].name.as_str(), keys[0].required), ("limit", true));
    assert_eq!((keys[1].name.as_str(), keys[1].default.as_str()), ("mode", "plain"));
}

#[test]
fn a_processor_declares_inputs_state_and_timers() {
    let shape = load(&keyed(PLAIN)).description().shape();
    assert_eq!(shape.inputs, ["left", "right"]);
    let state = |name: &str, kind, version, ttl_seconds| StateDeclaration {
        name: name.into(),
        kind,
        version,
        ttl_seconds,
    };
    let states = [
        state("count", StateKind::Value, 1, 0),
        state("seen", StateKind::Map, 2, 60),
        state("log", StateKind::List, 0, 0),
    ];
    assert_eq!(shape.states, states);
    let timer = |name: &str, clock| TimerDeclaration { name: name.into(), clock };
    let timers = [timer("flush", TimerClock::EventTime), timer("beat", TimerClock::ProcessingTime)];
    assert_eq!(shape.timers, timers);
    assert!(shape.is_keyed() && !shape.migrates);
    assert!(load(&migrating()).description().shape().migrates);
    assert!(!load(&mapper("identity")).description().shape().is_keyed());
}

#[test]
fn an_endless_describe_ends_in_an_error() {
    let endless = refusal(&processor("endless_describe"));
    assert!(endless.contains("describe failed with timeout: the call took more than 2"), "{endless}");
}

#[test]
fn components_that_do_not_fit_are_refused_in_one_line() {
    let imports = refusal(&component("unknown_import"));
    assert!(imports.contains("imports acme:net/sockets@1.0.0, which no operator may have"), "{imports}");
    let lacking = refusal(&component("empty_mapping"));
    assert!(lacking.contains("without its function process"), "{lacking}");
    let wrong = refusal(&component("wrong_type"));
    assert!(wrong.contains("exports process with a type that is not the contract's"), "{wrong}");
    let plain = refusal(&module("identity.wat", "mapper.wat"));
    assert!(plain.contains("is a core module without component metadata"), "{plain}");
    assert!(refusal(&wat::parse_str("(component)").unwrap()).contains("it exports nothing"));
    let mut cut = wat::parse_str("(component (core module (func)))").unwrap();
    cut.truncate(cut.len() - 2);
    assert!(refusal(&cut).contains("is not a valid component"), "{}", refusal(&cut));
}

#[test]
fn machine_code_is_kept_and_damaged_machine_code_compiled_again() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("compiled");
    let bytes = mapper("identity");
    let file = || {
        let mut files = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        let file = files.next().unwrap();
        assert!(files.next().is_none());
        file
    };
    let load = || Engine::new(Some(directory.clone())).unwrap().load(&bytes).unwrap();
    load();
    let name = file().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with(&format!("{}-", Digest::of(&bytes))) && name.ends_with(".cwasm"), "{name}");
    let whole = std::fs::read(file()).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(file(), &damaged).unwrap();
    load();
    let mended = std::fs::read(file()).unwrap();
    assert_ne!(mended, damaged);
    assert_eq!(std::fs::metadata(file()).unwrap().permissions().mode() & 0o777, 0o600);
    let modified = std::fs::metadata(file()).unwrap().modified().unwrap();
    load();
    assert_eq!(std::fs::metadata(file()).unwrap().modified().unwrap(), modified);
}
