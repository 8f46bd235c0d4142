//! An operator that is compiled, checked, linked and described, ready to be started any number of times.

use crate::abi::LiftedDescription;
use crate::artefact::{self, NotAnOperator};
use crate::config_check;
use crate::description::{ConfigKey, Description};
use crate::digest::Digest;
use crate::engine::{Engine, LoadError};
use crate::guest_sink::SilentGuestSink;
use crate::instance::Instance;
use crate::linking;
use crate::operator::{OperatorError, OperatorOptions, WasmOperator};
use crate::store_data::{SharedVoice, StoreData};
use crate::world::{self, World};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};
use weir_protocol::plan::OperatorLimits;

/// CPU time that `describe` may take; the start of an interpreter is included.
const DESCRIBE_TIME: Duration = Duration::from_secs(2);

/// A loaded operator. A clone is the same one.
#[derive(Clone)]
pub struct Prepared {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    pre: InstancePre<StoreData>,
    exports: Exports,
    digest: Digest,
    size: usize,
    imports: Vec<String>,
    world: World,
    description: Description,
}

/// Where the functions of the contract are found in an instance.
pub struct Exports {
    /// `process`.
    pub process: ComponentExportIndex,
    /// `open`, in a processor.
    pub open: Option<ComponentExportIndex>,
    /// `describe`, in a processor.
    pub describe: Option<ComponentExportIndex>,
}

impl Exports {
    fn find(component: &Component, world: World, interface: &str) -> Result<Exports, NotAnOperator> {
        let lacking = |name: &str| NotAnOperator(format!("exports {interface} without its function {name}"));
        let instance = component.get_export_index(None, interface).ok_or_else(|| lacking("process"))?;
        let find =
            |name: &str| component.get_export_index(Some(&instance), name).ok_or_else(|| lacking(name));
        let process = find("process")?;
        Ok(match world {
            World::Mapper => Exports { process, open: None, describe: None },
            World::Processor => {
                Exports { process, open: Some(find("open")?), describe: Some(find("describe")?) }
            }
        })
    }
}

impl Prepared {
    pub(crate) fn new(
        engine: Engine,
        component: Component,
        digest: Digest,
        size: usize,
    ) -> Result<Prepared, LoadError> {
        let shape = component.component_type();
        let imports: Vec<String> =
            shape.imports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
        let (world, interface) = world::detect(shape.exports(engine.wasmtime()).map(|(name, _)| name))?;
        world::check_imports(imports.iter().map(String::as_str))?;
        let unlinkable =
            |error: wasmtime::Error| NotAnOperator(artefact::sentence("does not fit this host: ", &error));
        let pre = linking::linker(engine.wasmtime(), &component)
            .and_then(|linker| linker.instantiate_pre(&component))
            .map_err(unlinkable)?;
        let exports = Exports::find(&component, world, &interface)?;
        let description = describe(&engine, &pre, &exports)?;
        let shared = Shared { engine, pre, exports, digest, size, imports, world, description };
        Ok(Prepared { shared: Arc::new(shared) })
    }

    /// The SHA-256 of the bytes that were loaded.
    pub fn digest(&self) -> Digest {
        self.shared.digest
    }

    /// The world it belongs to.
    pub fn world(&self) -> World {
        self.shared.world
    }

    /// Its ports and configuration keys.
    pub fn description(&self) -> &Description {
        &self.shared.description
    }

    /// The names of what it imports.
    pub fn imports(&self) -> &[String] {
        &self.shared.imports
    }

    /// The number of bytes that were loaded.
    pub fn size(&self) -> usize {
        self.shared.size
    }

    /// One line per problem with a configuration: unknown keys with the nearest known one, and missing ones.
    pub fn check_config(&self, config: &BTreeMap<String, String>) -> Vec<String> {
        config_check::problems(self.config_keys(), config)
    }

    /// Starts an operator: its first instance is made here, so that one that cannot start is found before the first
    /// record.
    pub fn operator(&self, options: OperatorOptions) -> Result<WasmOperator, OperatorError> {
        WasmOperator::start(self.clone(), options)
    }

    pub(crate) fn config_keys(&self) -> Option<&[ConfigKey]> {
        self.shared.description.config.as_deref()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.shared.exports
    }

    pub(crate) fn instantiate_pre(&self) -> &InstancePre<StoreData> {
        &self.shared.pre
    }
}

/// Asks a processor what it is, in an instance of its own; a mapper is started too, which shows that it can be.
fn describe(
    engine: &Engine,
    pre: &InstancePre<StoreData>,
    exports: &Exports,
) -> Result<Description, LoadError> {
    let _ticking = engine.start_ticking()?;
    let limits = OperatorLimits { call: DESCRIBE_TIME, ..OperatorLimits::default() };
    let voice = SharedVoice::new(Arc::new(SilentGuestSink), &limits);
    let mut instance = Instance::start(pre, exports, Arc::default(), voice, &limits)
        .map_err(|failure| NotAnOperator(format!("cannot be started: {failure}")))?;
    instance.check_process().map_err(|error| {
        NotAnOperator(artefact::sentence("exports process with a type that is not the contract's: ", &error))
    })?;
    let Some(describe) = exports.describe else { return Ok(Description::of_mapper()) };
    let said: LiftedDescription = instance
        .ask(describe, DESCRIBE_TIME)
        .map_err(|failure| NotAnOperator(format!("cannot be described: describe failed with {failure}")))?;
    Ok(Description::of_processor(said)?)
}
