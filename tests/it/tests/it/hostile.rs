//! Guests that misbehave: none takes the host down, and each is told by its name.

use crate::harness::guests::guest_of_text;
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::Record;

/// The operator fails at its first record, the pipeline stops, the host says why and ends by itself.
fn is_stopped(behaviour: &str, limits: &str, kind: &str) {
    let mut job = Job::new(&behaviour.replace('_', "-"));
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    let rest = format!("config = {{ behaviour = \"{behaviour}\" }}\nlimits = {{ {limits} }}");
    job.add_operator("hostile", "orders", "hostile_guests", &rest);
    job.add_kafka_sink("out", "hostile", &output);
    job.cluster.produce(&input, &Record::numbered_batch(PARTITIONS, 1));
    let mut weir = job.start();
    weir.ends_with(1);
    let said = weir.last_line();
    assert!(said.contains("operator hostile") && said.contains(kind), "{said}");
    assert!(job.cluster.read_stable(&output).is_empty());
}

macro_rules! stopped {
    ($($sentence:ident: $behaviour:literal, $limits:literal, $kind:literal;)*) => {
        $(
            #[test]
            fn $sentence() {
                is_stopped($behaviour, $limits, $kind);
            }
        )*
    };
}

stopped! {
    an_endless_loop_is_ended_by_its_time_limit: "endless_loop", "call = \"200ms\"", ": timeout: ";
    a_memory_hog_is_ended_by_its_memory_limit: "memory_hog", "memory = \"16MiB\"", ": memory: ";
    a_flood_of_output_is_ended_by_its_output_limit: "output_flood", "output = \"512KiB\"", ": output_limit: ";
    a_deep_recursion_is_a_trap: "deep_recursion", "", ": trap: ";
    an_unreachable_instruction_is_a_trap: "trap", "", ": trap: ";
    a_panic_is_a_trap_with_its_message: "panic", "", "this guest panics at every batch";
    an_error_is_told: "err", "", "this guest fails every batch";
    offsets_past_the_data_are_refused: "offsets_past_data", "", ": bad_output: ";
    a_wrong_number_of_values_is_refused: "wrong_count", "", ": bad_output: ";
    rows_that_the_batch_does_not_have_are_refused: "rows_out_of_range", "", ": bad_output: ";
    a_port_that_there_is_not_is_refused: "port_out_of_range", "", ": bad_output: ";
    a_row_that_is_emitted_and_refused_is_refused: "emitted_and_rejected", "", ": bad_output: ";
    a_row_that_is_refused_twice_is_refused: "rejected_twice", "", ": bad_output: ";
    an_operator_that_does_not_open_is_told: "open_err", "", "this guest does not open";
    an_operator_that_panics_when_it_opens_is_told: "open_panic", "", "this guest panics when it opens";
    an_operator_that_never_opens_is_ended: "open_endless", "call = \"200ms\"", ": timeout: ";
}

/// Guests that only use much of something, within their limits.
fn is_survived(behaviour: &str, rest: &str, outputs: usize) {
    let mut job = Job::new(&behaviour.replace('_', "-"));
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    job.add_operator("hostile", "orders", "hostile_guests", rest);
    job.add_kafka_sink("out", "hostile", &output);
    job.cluster.produce(&input, &Record::numbered_batch(PARTITIONS, 20));
    job.run_to_end();
    assert_eq!(job.cluster.read_committed(&output).len(), outputs);
}

#[test]
fn an_operator_that_keeps_more_memory_with_every_call_is_replaced_between_two_calls() {
    let rest = "config = { behaviour = \"memory_keep\", grow_bytes = \"4194304\" }
limits = { memory = \"32MiB\", memory_recycle = \"16MiB\", batch_rows_max = 2 }";
    is_survived("memory_keep", rest, 60);
}

#[test]
fn a_flood_of_log_lines_is_counted_and_not_kept() {
    is_survived("log_flood", "config = { behaviour = \"log_flood\" }", 60);
}

#[test]
fn an_operator_that_drops_everything_still_moves_on() {
    is_survived("drop_all", "config = { behaviour = \"drop_all\" }", 0);
}

/// It is refused before anything runs.
fn is_no_operator(guest: &str) {
    let mut job = Job::local(guest);
    job.add("[source.made]\nkind = \"generator\"\ncount = 10");
    job.add_operator("hostile", "made", guest, "");
    job.add_files_sink("files", "hostile");
    let mut weir = job.start();
    weir.ends_with(2);
    assert!(weir.log().contains("operator.hostile.component"), "{}", weir.log());
}

#[test]
fn an_operator_that_never_says_what_it_is_is_refused() {
    is_no_operator("hostile_describe_endless");
}

#[test]
fn an_operator_that_traps_when_it_is_asked_what_it_is_is_refused() {
    is_no_operator("hostile_describe_traps");
}

/// A generator into a guest made of text: it ends by itself with this code, and tells why.
fn is_survived_as_text(guest: &str, code: i32, said: &str) {
    let mut job = Job::local(&guest.replace('_', "-"));
    job.add("[source.made]\nkind = \"generator\"\ncount = 10");
    let component = guest_of_text(guest, &job.path(""));
    job.add_operator_file("hostile", "made", &component, "limits = { call = \"200ms\" }");
    job.add_files_sink("files", "hostile");
    let mut weir = job.start();
    weir.ends_with(code);
    assert!(weir.log().contains(said), "{}", weir.log());
    assert!(job.values("files").is_empty());
}

#[test]
fn an_allocator_that_traps_is_a_trap() {
    is_survived_as_text("realloc_traps", 1, ": trap: ");
}

#[test]
fn an_allocator_that_answers_an_address_outside_of_its_memory_is_told() {
    is_survived_as_text("realloc_out_of_bounds", 1, "operator hostile failed at topic made, partition 0");
}

#[test]
fn a_start_function_that_never_ends_is_ended() {
    is_survived_as_text("start_endless", 2, "operator.hostile.component");
}
