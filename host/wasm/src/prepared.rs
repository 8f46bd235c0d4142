//! An operator that is compiled, checked, linked and described, ready to be started any number of times.

use crate::abi::LiftedDescription;
use crate::artefact::{self, NotAnOperator};
use crate::config_check;
use crate::description::{ConfigKey, Description};
use crate::digest::Digest;
use crate::engine::{Engine, LoadError};
use crate::guest_sink::{GuestSink, SilentGuestSink};
use crate::instance::Instance;
use crate::linking;
use crate::migrator::WasmMigrator;
use crate::operator::{OperatorError, OperatorOptions, WasmOperator};
use crate::state_access::Activity;
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
    /// `on-timers`, in a processor.
    pub on_timers: Option<ComponentExportIndex>,
    /// `migrate`, in a processor that exports `migration`.
    pub migrate: Option<ComponentExportIndex>,
}

impl Exports {
    /// `interface` and `migration` are full names of exports.
    fn find(
        component: &Component,
        world: World,
        interface: &str,
        migration: Option<&str>,
    ) -> Result<Exports, NotAnOperator> {
        let find = |interface: &str, name: &str| {
            let instance = component.get_export_index(None, interface);
            instance
                .and_then(|instance| component.get_export_index(Some(&instance), name))
                .ok_or_else(|| NotAnOperator(format!("exports {interface} without its function {name}")))
        };
        let process = find(interface, "process")?;
        Ok(match world {
            World::Mapper => Exports { process, open: None, describe: None, on_timers: None, migrate: None },
            World::Processor => Exports {
                process,
                open: Some(find(interface, "open")?),
                describe: Some(find(interface, "describe")?),
                on_timers: Some(find(interface, "on-timers")?),
                migrate: migration.map(|migration| find(migration, "migrate")).transpose()?,
            },
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
        let export_names = || shape.exports(engine.wasmtime()).map(|(name, _)| name);
        let (world, interface) = world::detect(export_names())?;
        let migration = world::find_migration(export_names())?;
        world::check_imports(imports.iter().map(String::as_str))?;
        let unlinkable =
            |error: wasmtime::Error| NotAnOperator(artefact::sentence("does not fit this host: ", &error));
        let pre = linking::linker(engine.wasmtime(), &component)
            .and_then(|linker| linker.instantiate_pre(&component))
            .map_err(unlinkable)?;
        let exports = Exports::find(&component, world, &interface, migration.as_deref())?;
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

    /// Its ports, its configuration keys, and what it keeps per key.
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

    /// What brings state of an older version up to the declared one, for the operator `name` of the pipeline. `None`
    /// where the component exports no `migration`. Its instance is made when the first page comes.
    pub fn migrator(
        &self,
        name: &str,
        limits: OperatorLimits,
        guest: Arc<dyn GuestSink>,
    ) -> Option<WasmMigrator> {
        WasmMigrator::new(self, name, limits, guest)
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
    let data = StoreData::new(Arc::default(), voice, None, &limits);
    let mut instance = Instance::start(pre, exports, data, &limits)
        .map_err(|failure| NotAnOperator(format!("cannot be started: {failure}")))?;
    instance.check_types().map_err(|(function, error)| {
        let lead = format!("exports {function} with a type that is not the contract's: ");
        NotAnOperator(artefact::sentence(&lead, &error))
    })?;
    let Some(describe) = exports.describe else { return Ok(Description::of_mapper()) };
    let said: LiftedDescription = instance
        .ask(describe, Activity::Describing, DESCRIBE_TIME)
        .map_err(|failure| NotAnOperator(format!("cannot be described: describe failed with {failure}")))?;
    Ok(Description::of_processor(said, exports.migrate.is_some())?)
}
