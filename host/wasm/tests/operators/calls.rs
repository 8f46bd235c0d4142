//! Calls that succeed.

use crate::guests::{CONTEXT, batch, call, limits, load, mapper, options, processor, start};
use weir_protocol::connector::{FailureKind, Operator};
use weir_protocol::plan::OperatorLimits;
use weir_protocol::slots::Slots;

#[test]
fn what_a_mapper_leaves_out_is_inherited_from_the_source_rows() {
    let (mut operator, _) = start(&mapper("identity"), limits());
    for rows in [1, 3, 4096] {
        let output = call(&mut operator, rows).unwrap();
        assert_eq!(output.len(), rows);
        assert_eq!(output.apply(batch(rows)), batch(rows));
    }
}

#[test]
fn a_batch_without_rows_is_not_handed_to_the_guest() {
    let (mut operator, _) = start(&mapper("unreachable"), limits());
    assert!(call(&mut operator, 0).unwrap().is_empty());
}

#[test]
fn a_rejection_has_one_line_of_reason() {
    let (mut operator, _) = start(&mapper("rejection"), limits());
    let output = call(&mut operator, 1).unwrap();
    assert_eq!((output.rejections[0].row, output.rejections[0].reason.as_str()), (0, "a b c"));
}

#[test]
fn an_instance_with_much_memory_is_replaced_between_calls() {
    let recycled = OperatorLimits { memory_recycle_bytes: 1 << 20, ..limits() };
    let (mut operator, _) = start(&mapper("growing"), recycled);
    assert_eq!(call(&mut operator, 2).unwrap().len(), 2);
    assert_eq!(operator.memory_bytes(), 0);
    assert_eq!(call(&mut operator, 2).unwrap().len(), 2);

    let (mut operator, _) = start(&mapper("growing"), limits());
    assert_eq!(call(&mut operator, 2).unwrap().len(), 2);
    assert!(operator.memory_bytes() > 1 << 20);
    assert_eq!(call(&mut operator, 2).unwrap().len(), 0);
}

#[test]
fn metrics_of_a_failed_call_are_forgotten_and_its_log_lines_kept() {
    let (mut operator, recorder) = start(&mapper("talkative"), limits());
    let failure = call(&mut operator, 2).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Trap);
    assert!(failure.message.starts_with("two rows are too many (wasm trap: wasm `unreachable`"), "{failure}");
    call(&mut operator, 1).unwrap();
    assert_eq!(recorder.lines(), ["Error two rows are too many", "rows +1"]);
}

#[test]
fn a_processor_without_state_runs_and_is_opened_once_per_instance() {
    let prepared = load(&processor("router"));
    let (mut with_config, _) = options(limits());
    with_config.config.insert("limit".into(), "5".into());
    let mut operator = prepared.operator(with_config).unwrap();
    let output = operator.call(&batch(1), &Slots::default(), CONTEXT);
    // The first port keeps the key, and no key is emitted.
    assert_eq!(output.unwrap().len(), 1);
}

#[test]
fn an_operator_that_refuses_to_open_is_found_before_the_first_record() {
    let prepared = load(&processor("router"));
    let (mut with_config, _) = options(limits());
    with_config.config.insert("limit".into(), "5".into());
    with_config.config.insert("mode".into(), "broken".into());
    let refusal = prepared.operator(with_config).err().unwrap().to_string();
    assert_eq!(refusal, "operator guest refused to open: broken mode");
}

#[test]
fn a_wrong_configuration_is_found_before_the_first_record() {
    let prepared = load(&processor("router"));
    let (mut with_config, _) = options(limits());
    with_config.config.insert("mod".into(), "5".into());
    let refusal = prepared.operator(with_config).err().unwrap().to_string();
    let expected = "operator guest: mod is no key of this operator, did you mean mode? (known: limit, mode); limit is required";
    assert_eq!(refusal, expected);
}
