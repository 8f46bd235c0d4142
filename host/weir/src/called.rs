//! How a person calls a pipeline, for the commands in refusals: by its file here, by its name on a server.

use crate::commands::PipelineOptions;
use crate::prepared_pipeline;
use std::path::Path;
use weir_protocol::plan::{Plan, SinkKind, SourceKind};
use weir_protocol::remedy::Called;

/// The data directory of a command line that names none.
const DEFAULT_DATA_DIR: &str = "weir-data";

/// One whose file was named. Its name is told by its plan, and until then by the file's.
pub fn on_the_command_line(options: &PipelineOptions, data_dir: &Path) -> Called {
    let data_dir = data_dir.display().to_string();
    let stem = options.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Called {
        pipeline: stem.unwrap_or_default(),
        file: Some(options.file.display().to_string()),
        data_dir: Some(data_dir).filter(|data_dir| data_dir != DEFAULT_DATA_DIR),
        set: options.overrides.clone(),
        server: None,
        cluster: None,
        keyed: false,
    }
}

/// The same for what has failed without telling its plan: the name is read from the file.
pub fn by_its_file(options: &PipelineOptions, data_dir: &Path) -> Called {
    let mut called = on_the_command_line(options, data_dir);
    if let Ok(file) = prepared_pipeline::read_file(&options.file, &options.overrides) {
        called.pipeline = file.spec.name;
    }
    called
}

/// One of a server.
pub fn on_a_server(plan: &Plan, server: &str) -> Called {
    let mut called = Called { server: Some(server.to_owned()), ..Called::default() };
    by_its_plan(&mut called, plan);
    called
}

/// What only the plan knows.
pub fn by_its_plan(called: &mut Called, plan: &Plan) {
    called.pipeline.clone_from(&plan.spec.name);
    called.keyed = plan.is_keyed();
    let sink = plan.spec.sinks.iter().find_map(|sink| match &sink.kind {
        SinkKind::Kafka { cluster, .. } => Some(cluster.clone()),
        _ => None,
    });
    called.cluster = sink.or_else(|| {
        plan.spec.sources.iter().find_map(|source| match &source.kind {
            SourceKind::Kafka { cluster, .. } => Some(cluster.clone()),
            _ => None,
        })
    });
}
