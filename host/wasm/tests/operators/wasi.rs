//! Guests with a WASI runtime inside.

use crate::guests::{CONTEXT, batch, call, limits, mapper, module, start};
use weir_protocol::connector::{CallContext, Operator};
use weir_protocol::slots::Slots;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A mapper whose world also imports WASI 0.2.
fn wasi_guest() -> Vec<u8> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut resolve = Resolve::new();
    resolve.push_dir(format!("{root}/../../wit")).unwrap();
    let package = resolve.push_source("wasi_stubs.wit", &crate::guests::wat_text("wasi_stubs.wit")).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let mut module = module("wasi_stubs.wat", "mapper.wat");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

#[test]
fn a_preview_1_module_imports_nothing_but_the_contract_once_it_is_wrapped() {
    let (mut operator, recorder) = start(&mapper("preview1"), limits());
    assert_eq!(call(&mut operator, 2).unwrap().len(), 2);
    assert_eq!(recorder.lines(), ["Warn from wasi"]);
    let prepared = crate::guests::load(&mapper("preview1"));
    assert!(
        prepared.imports().iter().all(|name| name.starts_with("weir:operator/")),
        "{:?}",
        prepared.imports()
    );
}

#[test]
fn wasi_0_2_is_answered_by_stubs() {
    let (mut operator, recorder) = start(&wasi_guest(), limits());
    for _ in 0..3 {
        assert_eq!(call(&mut operator, 2).unwrap().len(), 2);
    }
    assert_eq!(recorder.lines(), ["Warn from wasi 0.2"; 3]);
}

#[test]
fn what_the_stubs_do_not_have_traps_with_its_name() {
    let (mut operator, _) = start(&wasi_guest(), limits());
    let failure =
        operator.call(&batch(1), &Slots::default(), CallContext { port: 1, ..CONTEXT }).unwrap_err();
    assert!(failure.to_string().contains("wasi:filesystem/preopens#open-everything was called"), "{failure}");
}
