//! How RocksDB is set up, and the memory and the cutoff that all databases of a process share.

use crate::ordered::ValueCodec;
use rocksdb::compaction_filter::{CompactionFilter, Decision};
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};
use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DataBlockIndexType, InfoLogger, LogLevel, Options,
    WriteBufferManager,
};
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Smaller blocks than RocksDB's 4 KiB cost memory for the index, larger ones a cold read more work: 4 KiB was a fifth
/// cheaper than 16 KiB with ten million keys.
const BLOCK_BYTES: usize = 4 << 10;
/// Bloom filter bits per key: one false answer in a hundred.
const FILTER_BITS: f64 = 10.0;
/// A memtable holds what maps, lists and timers wrote in an epoch; values go around it.
const MEMTABLE_BYTES: usize = 16 << 20;
/// Files of a level: small enough that a compaction rewrites little, large enough that a checkpoint links few.
const FILE_BYTES: u64 = 32 << 20;
/// Threads for flushes and compactions, of all databases together.
const BACKGROUND_JOBS: i32 = 2;
/// A checkpoint copies RocksDB's own manifest, so it is kept short.
const ROCKSDB_MANIFEST_BYTES: usize = 1 << 20;

/// What all databases of a process share.
#[derive(Clone)]
pub(crate) struct Tuning {
    block_cache: Cache,
    write_buffers: WriteBufferManager,
    /// The highest processing time of a decided checkpoint.
    pub(crate) decided_ms: Arc<AtomicI64>,
}

impl Tuning {
    /// Divides the memory that is not for write-back caches: the blocks that are read, memtables charged to them.
    pub(crate) fn new(bytes: usize) -> Tuning {
        let block_cache = Cache::new_hyper_clock_cache(bytes, 0);
        let write_buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(bytes / 2, false, block_cache.clone());
        Tuning { block_cache, write_buffers, decided_ms: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// The same memory, for checkpoints of another pipeline.
    pub(crate) fn of_another_pipeline(&self) -> Tuning {
        Tuning { decided_ms: Arc::new(AtomicI64::new(i64::MIN)), ..self.clone() }
    }

    /// Options of a database.
    pub(crate) fn database_options(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_background_jobs(BACKGROUND_JOBS);
        options.set_write_buffer_manager(&self.write_buffers);
        options.set_max_manifest_file_size(ROCKSDB_MANIFEST_BYTES);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options.set_skip_stats_update_on_db_open(true);
        options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, |level, line| match level {
            LogLevel::Error | LogLevel::Fatal => tracing::warn!(target: "weir_state::rocksdb", "{line}"),
            // Also the list of all options, which has a level of its own above all others.
            _ => tracing::debug!(target: "weir_state::rocksdb", "{line}"),
        }));
        options
    }

    /// Options of a column family. `ttl_ms` 0 = entries are kept for ever.
    pub(crate) fn family_options(&self, ttl_ms: i64) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.block_cache);
        blocks.set_block_size(BLOCK_BYTES);
        blocks.set_bloom_filter(FILTER_BITS, false);
        blocks.set_optimize_filters_for_memory(true);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(MEMTABLE_BYTES);
        options.set_target_file_size_base(FILE_BYTES);
        if ttl_ms > 0 {
            options.set_compaction_filter_factory(OutlivedFactory {
                ttl_ms,
                decided_ms: self.decided_ms.clone(),
            });
        }
        options
    }
}

/// Makes a filter per compaction that drops entries whose time has run out for every reader there can be: all of them
/// start from the decided checkpoint or a later one.
struct OutlivedFactory {
    ttl_ms: i64,
    decided_ms: Arc<AtomicI64>,
}

struct Outlived {
    codec: ValueCodec,
}

const FILTER_NAME: &CStr = c"weir.outlived";

impl CompactionFilterFactory for OutlivedFactory {
    type Filter = Outlived;

    fn create(&mut self, _: CompactionFilterContext) -> Outlived {
        Outlived {
            codec: ValueCodec { ttl_ms: self.ttl_ms, now_ms: self.decided_ms.load(Ordering::Acquire) },
        }
    }

    fn name(&self) -> &CStr {
        FILTER_NAME
    }
}

impl CompactionFilter for Outlived {
    fn filter(&mut self, _: u32, _: &[u8], stored: &[u8]) -> Decision {
        match self.codec.decode(stored) {
            Ok(None) => Decision::Remove,
            // Damage is for the reader to find: it can say where.
            Ok(Some(_)) | Err(_) => Decision::Keep,
        }
    }

    fn name(&self) -> &CStr {
        FILTER_NAME
    }
}
