//! Tries this crate by hand on a real broker: `roundtrip HOST:PORT`. Creates nothing; topics `rt.in` (4 partitions)
//! and `rt.out` must exist. Each step prints what it saw and fails loudly.

use std::error::Error;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_kafka::{CheckedTopics, ClusterOptions, DecisionForm, KafkaCluster};
use weir_protocol::batch::{Batch, push_header};
use weir_protocol::connector::{
    BatchLimits, DecisionLog, ErrorKind, Polled, SinkWriter, Source, StartPolicy, Written,
};
use weir_protocol::decision::{Decision, DecisionRecord, Metadata, Owner};
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::manifest::ManifestHash;
use weir_protocol::plan::{ClusterSpec, Guarantee, SinkTimestamp};
use weir_protocol::position::Positions;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const LIMITS: BatchLimits = BatchLimits { rows_max: 4096, bytes_max: 1 << 20 };
const WAIT: Duration = Duration::from_millis(100);

fn cluster(brokers: &str, pipeline: &str, guarantee: Guarantee) -> Result<KafkaCluster> {
    let spec = ClusterSpec { brokers: brokers.to_owned(), ..ClusterSpec::default() };
    Ok(KafkaCluster::connect(ClusterOptions {
        name: "main".to_owned(),
        spec,
        pipeline: pipeline.to_owned(),
        id_prefix: "weir.".to_owned(),
        guarantee,
        checkpoint_interval: Duration::from_secs(1),
        checkpoint_timeout: Duration::from_secs(30),
        prefetch_bytes_max: 32 << 20,
        producer_bytes_max: 64 << 20,
    })?)
}

fn decision(pipeline: &str, epoch: u64, positions: &Positions) -> Decision {
    let incarnation = Incarnation::parse("01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").expect("a ULID");
    Decision {
        record: DecisionRecord {
            owner: Owner::of("weir.", pipeline),
            id: CheckpointId { epoch: Epoch(epoch), incarnation },
            manifest: ManifestHash::of(&epoch.to_le_bytes()),
        },
        offsets: positions.iter().map(|(partition, position)| (partition.clone(), *position)).collect(),
    }
}

fn write_all(writer: &mut dyn SinkWriter, batch: &Batch) -> Result<()> {
    let mut from = 0;
    while let Written::Until(row) = writer.write(batch, from)? {
        from = row;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn decided(log: &mut dyn DecisionLog, source: &mut dyn Source) -> Result<(Option<u64>, Positions)> {
    let partitions = source.partitions()?;
    let committed = log.read(&partitions)?;
    let epoch = committed.iter().find_map(|c| match &c.metadata {
        Metadata::Decision(record) => Some(record.id.epoch.0),
        _ => None,
    });
    let positions = committed.into_iter().filter_map(|c| Some((c.partition, c.position?))).collect();
    Ok((epoch, positions))
}

fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let done = work();
    println!("  {what}: {:?}", start.elapsed());
    done
}

/// Fills the input: `count` records in one transaction of another pipeline's name.
fn fill(brokers: &str, pipeline: &str, count: u64) -> Result<()> {
    let feeder = format!("{pipeline}-feeder");
    let cluster = cluster(brokers, &feeder, Guarantee::ExactlyOnce)?;
    let mut sink = cluster.sink("feed", "rt.in", SinkTimestamp::Record, true)?;
    let mut log = cluster.decision_log(DecisionForm::StandIn { topic: "rt.in".to_owned() });
    timed("fence", || Ok(log.fence()?))?;
    log.begin(Epoch(0))?;
    let mut writer = sink.writer(0)?;
    writer.begin(Epoch(0))?;
    let mut batch = Batch::default();
    let mut entry = Vec::new();
    push_header(&mut entry, "trace", Some(b"7"));
    push_header(&mut entry, "none", None);
    for number in 0..count {
        let key = format!("key-{number}");
        let value = format!("{number:>100}");
        let value = (number % 1000 != 3).then_some(value.as_bytes());
        let headers = (number % 100_000 == 5).then_some(entry.as_slice());
        batch.push(1_700_000_000_000 + number as i64, Some(key.as_bytes()), value, headers);
        if batch.rows == 4096 {
            write_all(writer.as_mut(), &batch)?;
            batch.clear();
        }
    }
    write_all(writer.as_mut(), &batch)?;
    timed("flush", || Ok(log.flush(Epoch(0))?))?;
    let stand_in = log.covered(&[]).remove(0);
    let positions = Positions::from([(stand_in, weir_protocol::position::Position::at(0))]);
    timed("decide", || Ok(log.decide(&decision(&feeder, 0, &positions))?))?;
    assert_eq!(log.read(&[])?[0].position.map(|position| position.offset), Some(0));
    Ok(())
}

/// Copies until the ends, an epoch every `rows` rows. `stop_before` leaves that epoch undecided, as a crash would.
fn copy(
    brokers: &str,
    pipeline: &str,
    rows: usize,
    stop_before: Option<u64>,
    batch_call: bool,
) -> Result<u64> {
    let cluster = cluster(brokers, pipeline, Guarantee::ExactlyOnce)?;
    let mut source = cluster.source("in", &["rt.in".to_owned()]);
    let timestamp = if batch_call { SinkTimestamp::ProduceTime } else { SinkTimestamp::Record };
    let mut sink = cluster.sink("out", "rt.out", timestamp, !batch_call)?;
    println!("  record_bytes_max {:?}, promise {:?}", sink.record_bytes_max(), sink.promise());
    let mut log = cluster.decision_log(DecisionForm::SourcePartitions);
    println!("  look: {:?}", log.look(&source.partitions()?)?.first().map(|c| c.metadata.clone()));
    timed("fence", || Ok(log.fence()?))?;
    let (last, mut positions) = timed("read", || decided(log.as_mut(), source.as_mut()))?;
    let partitions = source.partitions()?;
    let mut epoch = match last {
        Some(last) => last + 1,
        None => {
            positions = source.resolve(&partitions, StartPolicy::Earliest)?;
            log.begin(Epoch(0))?;
            log.flush(Epoch(0))?;
            log.decide(&decision(pipeline, 0, &positions))?;
            log.retire(Epoch(0))?;
            1
        }
    };
    println!("  starts epoch {epoch} at {:?}", positions.values().map(|p| p.offset).collect::<Vec<_>>());
    let ends = source.ends(&partitions)?;
    let mut reader = source.reader(&positions, Some(&ends))?;
    let mut writer = sink.writer(0)?;
    let (mut batch, mut copied, mut in_epoch) = (Batch::default(), 0, 0);
    log.begin(Epoch(epoch))?;
    writer.begin(Epoch(epoch))?;
    let (start, mut decide_time) = (Instant::now(), Duration::ZERO);
    loop {
        batch.clear();
        let polled = reader.poll(&mut batch, LIMITS, WAIT)?;
        write_all(writer.as_mut(), &batch)?;
        copied += batch.rows as u64;
        in_epoch += batch.rows;
        if in_epoch >= rows || polled == Polled::End {
            if stop_before == Some(epoch) {
                println!("  stops before deciding epoch {epoch}, {in_epoch} rows written");
                log.flush(Epoch(epoch))?;
                return Ok(copied);
            }
            let at = reader.positions();
            let began = Instant::now();
            log.flush(Epoch(epoch))?;
            if polled != Polled::End {
                log.begin(Epoch(epoch + 1))?;
                writer.begin(Epoch(epoch + 1))?;
            }
            log.decide(&decision(pipeline, epoch, &at))?;
            log.retire(Epoch(epoch))?;
            decide_time += began.elapsed();
            (epoch, in_epoch) = (epoch + 1, 0);
            if polled == Polled::End {
                break;
            }
        }
    }
    let took = start.elapsed();
    let rate = copied as f64 / took.as_secs_f64();
    println!(
        "  copied {copied} in {took:?} ({rate:.0}/s), {epoch} epochs, in decisions {decide_time:?}, lag {:?}",
        reader.lag()
    );
    Ok(copied)
}

/// Counts what a reader of committed data sees in the output.
fn count(brokers: &str, pipeline: &str) -> Result<(u64, u64, u64)> {
    let cluster = cluster(brokers, pipeline, Guarantee::ExactlyOnce)?;
    let mut source = cluster.source("check", &["rt.out".to_owned()]);
    let partitions = source.partitions()?;
    let start = source.resolve(&partitions, StartPolicy::Earliest)?;
    let ends = source.ends(&partitions)?;
    let mut reader = source.reader(&start, Some(&ends))?;
    let (mut rows, mut tombstones, mut with_headers) = (0, 0, 0);
    let mut batch = Batch::default();
    while reader.poll(&mut batch, LIMITS, WAIT)? != Polled::End || batch.rows > 0 {
        rows += batch.rows as u64;
        for row in 0..batch.rows {
            tombstones += u64::from(batch.values.is_null(row));
            with_headers += u64::from(!batch.headers.is_absent() && !batch.headers.bytes(row).is_empty());
        }
        batch.clear();
    }
    let offsets = |positions: &Positions| positions.values().map(|p| p.offset).collect::<Vec<_>>();
    assert_eq!(offsets(&reader.positions()), offsets(&ends), "a bounded reader ends at the ends");
    Ok((rows, tombstones, with_headers))
}

/// A second incarnation fences the first: every call of the first says so.
fn fencing(brokers: &str, pipeline: &str) -> Result<()> {
    let (first, second) = (
        cluster(brokers, pipeline, Guarantee::ExactlyOnce)?,
        cluster(brokers, pipeline, Guarantee::ExactlyOnce)?,
    );
    let mut sink = first.sink("out", "rt.out", SinkTimestamp::Record, true)?;
    let mut log = first.decision_log(DecisionForm::SourcePartitions);
    log.fence()?;
    log.begin(Epoch(1000))?;
    let mut writer = sink.writer(0)?;
    writer.begin(Epoch(1000))?;
    let mut batch = Batch::default();
    batch.push(0, None, Some(b"zombie"), None);
    write_all(writer.as_mut(), &batch)?;
    timed("fence against an open transaction", || {
        Ok(second.decision_log(DecisionForm::SourcePartitions).fence()?)
    })?;
    write_all(writer.as_mut(), &batch)?;
    let error = log.flush(Epoch(1000)).expect_err("a zombie's flush fails");
    println!("  zombie: {error}");
    assert_eq!(error.kind, ErrorKind::Fenced);
    Ok(())
}

/// At least once: written by a plain producer, decided by a plain commit, in the same form, behind the same fence.
fn at_least_once(brokers: &str, pipeline: &str) -> Result<()> {
    let cluster = cluster(brokers, pipeline, Guarantee::AtLeastOnce)?;
    let mut source = cluster.source("in", &["rt.in".to_owned()]);
    let mut sink = cluster.sink("out", "rt.out", SinkTimestamp::Record, true)?;
    let mut log = cluster.decision_log(DecisionForm::SourcePartitions);
    timed("fence", || Ok(log.fence()?))?;
    let partitions = source.partitions()?;
    let start = source.resolve(&partitions, StartPolicy::Earliest)?;
    let mut reader = source.reader(&start, None)?;
    let mut writer = sink.writer(0)?;
    let (mut batch, mut rows) = (Batch::default(), 0);
    log.begin(Epoch(0))?;
    writer.begin(Epoch(0))?;
    while rows < 10_000 {
        batch.clear();
        reader.poll(&mut batch, LIMITS, WAIT)?;
        write_all(writer.as_mut(), &batch)?;
        rows += batch.rows;
    }
    timed("prepare", || Ok(writer.prepare(Epoch(0))?))?;
    log.flush(Epoch(0))?;
    timed("decide", || Ok(log.decide(&decision(pipeline, 0, &reader.positions()))?))?;
    let (epoch, positions) = decided(log.as_mut(), source.as_mut())?;
    println!("  {rows} rows, decided {epoch:?} at {:?}, lag {:?}", positions.len(), reader.lag());
    assert_eq!((epoch, positions), (Some(0), reader.positions()));
    Ok(())
}

/// What a person reads when something is wrong.
fn errors(brokers: &str, pipeline: &str) -> Result<()> {
    let said = |what: &str, kind: ErrorKind, message: &str| println!("  {what}: {kind:?}: {message}");
    let cluster = cluster(brokers, pipeline, Guarantee::ExactlyOnce)?;
    let unknown = cluster.source("in", &["rt.missing".to_owned()]).partitions().expect_err("no such topic");
    said("source", unknown.kind, &unknown.message);
    let unknown =
        cluster.sink("out", "rt.missing", SinkTimestamp::Record, true).err().ok_or("no such topic")?;
    said("sink", unknown.kind, &unknown.message);
    let mut source = cluster.source("in", &["rt.in".to_owned()]);
    let partitions = source.partitions()?;
    let mut start = source.resolve(&partitions, StartPolicy::Latest)?;
    start.values_mut().for_each(|position| position.offset += 1_000_000);
    let mut reader = source.reader(&start, None)?;
    let lost = loop {
        if let Err(error) = reader.poll(&mut Batch::default(), LIMITS, WAIT) {
            break error;
        }
    };
    said("position", lost.kind, &lost.message);
    let at = source.resolve(&partitions, StartPolicy::Timestamp(1_700_000_000_100))?;
    println!("  timestamp: {:?}", at.values().map(|position| position.offset).collect::<Vec<_>>());
    for wrong in ["127.0.0.1:1", "no-such-host.invalid:9092"] {
        if let Err(error) = self::cluster(wrong, pipeline, Guarantee::ExactlyOnce) {
            println!("  {wrong}: {error}");
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let brokers = std::env::args()
        .nth(1)
        .ok_or("usage: roundtrip HOST:PORT [RECORDS | errors | copy PIPELINE ROWS]")?;
    match std::env::args().nth(2).as_deref() {
        Some("errors") => {
            let pipeline = "rt-errors";
            at_least_once(&brokers, pipeline)?;
            return errors(&brokers, pipeline);
        }
        Some("count") => {
            println!("{:?}", count(&brokers, "rt-count")?);
            return Ok(());
        }
        Some("copy") => {
            let pipeline = std::env::args().nth(3).ok_or("PIPELINE")?;
            let rows = std::env::args().nth(4).ok_or("ROWS")?.parse()?;
            copy(&brokers, &pipeline, rows, None, false)?;
            return Ok(());
        }
        _ => {}
    }
    let records = std::env::args().nth(2).map_or(Ok(200_000), |text| text.parse())?;
    let pipeline = format!("rt{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    let before = count(&brokers, &pipeline)?;
    println!("fill");
    fill(&brokers, &pipeline, records)?;
    println!("checks");
    let topics = CheckedTopics {
        read: vec![("in".to_owned(), "rt.in".to_owned())],
        written: vec![("out".to_owned(), "rt.out".to_owned()), ("dead".to_owned(), "rt.none".to_owned())],
    };
    for finding in cluster(&brokers, &pipeline, Guarantee::ExactlyOnce)?.checks(&topics) {
        println!("  {:?}: {}", finding.level, finding.message);
    }
    println!("copy, ending undecided");
    copy(&brokers, &pipeline, 40_000, Some(3), false)?;
    println!("copy, the rest");
    copy(&brokers, &pipeline, 40_000, None, false)?;
    let after = count(&brokers, &pipeline)?;
    println!("output: {before:?} before, {after:?} now");
    println!("fencing");
    fencing(&brokers, &pipeline)?;
    println!("throughput, one call per record");
    let once = copy(&brokers, &format!("{pipeline}a"), usize::MAX, None, false)?;
    println!("throughput, one call per batch");
    copy(&brokers, &format!("{pipeline}b"), usize::MAX, None, true)?;
    let end = count(&brokers, &pipeline)?;
    assert_eq!(end.0, after.0 + 2 * once, "each pass adds the whole input once, the zombie nothing");
    println!("ok: {end:?}");
    Ok(())
}
