//! Manifests from generated input: what is written is read again, and what is not a manifest, or not the decided one,
//! is an error and never a panic.

use proptest::prelude::*;
use std::ops::Range;
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::key_group::{GroupOrder, KeyGroups};
use weir_protocol::manifest::{
    KeyedStates, Manifest, ManifestError, ManifestHash, OperatorState, PreparedHandle, SourcePosition,
    SourceWatermark, VERSION,
};
use weir_protocol::position::{Partition, Position};
use weir_protocol::state::{StateDeclaration, StateFile, StateKind, StatePart, TimerClock, TimerDeclaration};

/// A few of them.
const FEW: Range<usize> = 0..4;

/// The name of a file, or of a directory.
const FILE_NAME: &str = "[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,8}";

/// Any text, also with line feeds, quotes and characters of several bytes.
fn text() -> impl Strategy<Value = String> {
    "(?s).{0,12}"
}

fn id() -> impl Strategy<Value = CheckpointId> {
    (any::<u64>(), "[0-9A-Z]{26}").prop_map(|(epoch, incarnation)| CheckpointId {
        epoch: Epoch(epoch),
        incarnation: Incarnation::parse(&incarnation).expect("a generated one"),
    })
}

fn partition() -> impl Strategy<Value = Partition> {
    (text(), any::<i32>()).prop_map(|(topic, number)| Partition::new(topic, number))
}

fn position() -> impl Strategy<Value = SourcePosition> {
    (text(), partition(), any::<i64>(), any::<i32>()).prop_map(|(source, partition, offset, leader_epoch)| {
        SourcePosition { source, partition, position: Position { offset, leader_epoch } }
    })
}

fn watermark() -> impl Strategy<Value = SourceWatermark> {
    (text(), partition(), any::<i64>()).prop_map(|(source, partition, highest_ms)| SourceWatermark {
        source,
        partition,
        highest_ms,
    })
}

fn groups() -> impl Strategy<Value = KeyGroups> {
    prop_oneof![
        (1u32..=32_768).prop_map(KeyGroups::plain),
        (1u32..=32, 1u32..=1024).prop_map(|(partitions, share)| KeyGroups {
            max_parallelism: partitions * share,
            order: GroupOrder::CoPartitioned { partitions },
        }),
    ]
}

fn declarations() -> impl Strategy<Value = OperatorState> {
    let kind = prop_oneof![Just(StateKind::Value), Just(StateKind::Map), Just(StateKind::List)];
    let state = (text(), kind, any::<u32>(), any::<u32>())
        .prop_map(|(name, kind, version, ttl_seconds)| StateDeclaration { name, kind, version, ttl_seconds });
    let clock = prop_oneof![Just(TimerClock::EventTime), Just(TimerClock::ProcessingTime)];
    let timer = (text(), clock).prop_map(|(name, clock)| TimerDeclaration { name, clock });
    (prop::collection::vec(state, FEW), prop::collection::vec(timer, FEW))
        .prop_map(|(states, timers)| OperatorState { states, timers })
}

fn part(groups: KeyGroups) -> impl Strategy<Value = StatePart> {
    let file = (FILE_NAME, any::<u64>(), text()).prop_map(|(name, size, checksum)| StateFile {
        name,
        size,
        checksum,
    });
    let ordinals = (0..=groups.max_parallelism, 0..=groups.max_parallelism);
    let files = prop::collection::vec(file, FEW);
    (FILE_NAME, any::<usize>(), ordinals, any::<u64>(), files).prop_map(
        |(operator, subtask, (one, other), next_list_position, files)| StatePart {
            operator,
            subtask,
            ordinal_start: one.min(other),
            ordinal_end: one.max(other),
            next_list_position,
            files,
        },
    )
}

fn keyed() -> impl Strategy<Value = KeyedStates> {
    let of = |groups: KeyGroups| {
        let operators = prop::collection::btree_map(text(), declarations(), FEW);
        (Just(groups), operators, prop::collection::vec(part(groups), FEW))
    };
    let keyed = groups().prop_flat_map(of);
    keyed.prop_map(|(groups, operators, parts)| KeyedStates { groups, operators, parts })
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let prepared = (text(), text()).prop_map(|(sink, handle)| PreparedHandle { sink, handle });
    let first = (
        1..=VERSION,
        text(),
        id(),
        prop::option::of(id()),
        prop::collection::vec(position(), FEW),
        any::<i64>(),
        prop::collection::btree_map(text(), text(), FEW),
        prop::collection::vec(prepared, FEW),
        any::<u32>(),
    );
    let second = (
        prop::collection::vec(watermark(), FEW),
        prop::option::of(keyed()),
        any::<bool>(),
        prop::option::of(id()),
        prop::option::of(text()),
        prop::collection::btree_map(text(), any::<i64>(), FEW),
        prop::option::of(text()),
    );
    (first, second).prop_map(|(first, second)| {
        let (version, pipeline, id, parent, positions, now_ms, operators, prepared, slots) = first;
        let (watermarks, keyed, finished, started_from, savepoint, operator_watermarks, written_by) = second;
        Manifest {
            version,
            pipeline,
            id,
            parent,
            positions,
            now_ms,
            operators,
            prepared,
            slots,
            watermarks,
            keyed,
            finished,
            started_from,
            savepoint,
            operator_watermarks,
            written_by,
        }
    })
}

/// Bytes with one change: a byte that is another, is gone, or has come in, or a piece that stands twice.
fn changed(bytes: &[u8], change: u8, at: prop::sample::Index, byte: u8) -> Vec<u8> {
    let (at, mut changed) = (at.index(bytes.len()), bytes.to_vec());
    match change {
        0 => changed[at] = byte,
        1 => drop(changed.remove(at)),
        2 => changed.insert(at, byte),
        _ => changed.extend_from_slice(&bytes[at..]),
    }
    changed
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(manifest in manifest()) {
        let bytes = manifest.encode();
        prop_assert_eq!(Manifest::decode(&bytes), Ok(manifest.clone()));
        prop_assert_eq!(Manifest::decode_decided(&bytes, &manifest.hash()), Ok(manifest.clone()));
        prop_assert_eq!(Manifest::decode(&bytes).unwrap().encode(), bytes);
    }

    #[test]
    fn bytes_with_another_hash_are_never_the_decided_manifest(
        manifest in manifest(), change in 0u8..4, at: prop::sample::Index, byte: u8
    ) {
        let bytes = manifest.encode();
        let changed = changed(&bytes, change, at, byte);
        prop_assume!(changed != bytes);
        let read = Manifest::decode_decided(&changed, &manifest.hash());
        let refused = matches!(read, Err(ManifestError::Hash { .. } | ManifestError::Future { .. }));
        prop_assert!(refused, "{:?}", read);
    }

    #[test]
    fn what_is_read_of_changed_bytes_is_sound(
        manifest in manifest(), change in 0u8..4, at: prop::sample::Index, byte: u8
    ) {
        let changed = changed(&manifest.encode(), change, at, byte);
        let Ok(read) = Manifest::decode(&changed) else { return Ok(()) };
        prop_assert!(read.version <= VERSION);
        if let Some(keyed) = &read.keyed {
            prop_assert!(keyed.groups.is_sound());
            prop_assert!(keyed.parts.iter().all(|part| part.is_sound(&keyed.groups)));
        }
        // Its name is that of a directory.
        prop_assert_eq!(CheckpointId::parse(&read.id.to_string()), Some(read.id.clone()));
        prop_assert_eq!(Manifest::decode(&read.encode()), Ok(read));
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Manifest::decode(&bytes).is_err());
        let hash = ManifestHash::of(&bytes);
        prop_assert!(Manifest::decode_decided(&bytes, &hash).is_err());
    }

    #[test]
    fn arbitrary_json_is_refused(
        key in "version|pipeline|epoch|keyed|x", value in "[0-9\\[\\]{}\",:a-z-]{0,40}"
    ) {
        let text = format!("{{\"version\": 1, \"{key}\": {value}}}");
        prop_assert!(Manifest::decode(text.as_bytes()).is_err());
    }
}

#[test]
fn the_name_of_an_incarnation_is_never_a_path() {
    let text = include_str!("../golden/manifest-v1.json");
    let incarnation = "01J9ZQ3W5X7Y8Z9A0B1C2D3E4F";
    assert!(text.contains(incarnation));
    for wrong in ["../../../../../../../../etc", "", "01j9zq3w5x7y8z9a0b1c2d3e4f"] {
        let read = Manifest::decode(text.replace(incarnation, wrong).as_bytes());
        assert!(matches!(read, Err(ManifestError::Damaged(_))), "{wrong:?}: {read:?}");
    }
}

#[test]
fn a_part_of_the_state_lies_where_parts_lie() {
    let text = include_str!("../golden/manifest-v2.json");
    let changes = [
        ("\"operator\": \"sum\"", "\"operator\": \"..\""),
        ("\"operator\": \"sum\"", "\"operator\": \"a/b\""),
        ("\"name\": \"000012.sst\"", "\"name\": \"../../../manifest.json\""),
        ("\"ordinal_start\": 2880", "\"ordinal_start\": 5761"),
        ("\"ordinal_end\": 5760", "\"ordinal_end\": 5761"),
    ];
    for (right, wrong) in changes {
        assert!(text.contains(right), "{right}");
        let read = Manifest::decode(text.replace(right, wrong).as_bytes());
        assert!(matches!(read, Err(ManifestError::Damaged(_))), "{wrong}: {read:?}");
    }
}

#[test]
fn a_document_as_deep_as_it_is_long_is_refused() {
    for (open, close) in [("[", "]"), ("{\"version\":", "}")] {
        let text = open.repeat(100_000) + "1" + &close.repeat(100_000);
        assert!(matches!(Manifest::decode(text.as_bytes()), Err(ManifestError::Damaged(_))));
    }
}
