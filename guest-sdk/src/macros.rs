//! The forms an operator is written in. Each turns clauses and a function into a type `ThisOperator`, and exports it.

/// Changes each value. The function gets the value and a [`ValueWriter`](crate::ValueWriter) for the new one.
///
/// Key, timestamp and headers go on as they are, and so do tombstones, unseen. An `Err` refuses the record.
///
/// ```
/// weir_sdk::map_values!(|value, out| {
///     out.put("processed_");
///     out.put(value);
/// });
/// # fn main() {}
/// ```
///
/// With clauses: see the [crate's page](crate#configuration).
#[macro_export]
macro_rules! map_values {
    ($($clauses:tt)+) => { $crate::__operator! { map_values, Mapper, [keeps_key "out"], $($clauses)+ } };
}

/// Changes each value, decoded from JSON and encoded again. A value that does not decode refuses the record, and so
/// does an `Err`. Tombstones go on unseen.
///
/// ```
/// weir_sdk::map_json!(|mut order: std::collections::BTreeMap<String, u64>| {
///     *order.entry("revision".to_string()).or_default() += 1;
///     Ok(order)
/// });
/// # fn main() {}
/// ```
#[cfg(feature = "json")]
#[macro_export]
macro_rules! map_json {
    ($($clauses:tt)+) => { $crate::__operator! { map_json, Mapper, [keeps_key "out"], $($clauses)+ } };
}

/// Keeps the [`Record`](crate::Record)s for which the function says `true`. An `Err` refuses the record.
///
/// ```
/// weir_sdk::filter!(|record| record.value().is_some_and(|value| value.len() < 100));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! filter {
    ($($clauses:tt)+) => { $crate::__operator! { filter, Mapper, [keeps_key "out"], $($clauses)+ } };
}

/// Emits none, one or many records for each record. The function gets the [`Record`](crate::Record) and an
/// [`Emitter`](crate::Emitter). An `Err` refuses the record, and takes back what was emitted for it.
///
/// ```
/// weir_sdk::map!(|record, emit| {
///     for word in record.value().unwrap_or_default().split(|byte| *byte == b' ') {
///         emit.key(word).header("source", "words").value(word);
///     }
/// });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! map {
    ($($clauses:tt)+) => { $crate::__operator! { map, Mapper, ["out"], $($clauses)+ } };
}

/// As [`map!`](crate::map!), with several output ports. A port before which `keeps_key` stands promises that records emitted to it
/// keep their key, which spares the host an exchange behind it.
///
/// ```
/// weir_sdk::router! {
///     ports: [keeps_key "large", keeps_key "small"],
///     |record, emit| {
///         let large = record.value().is_some_and(|value| value.len() > 1000);
///         emit.to(if large { "large" } else { "small" }).send();
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! router {
    (ports: $($clauses:tt)+) => { $crate::__operator! { map, Processor, [], ports: $($clauses)+ } };
    (config: $config:tt, ports: $ports:tt, $($clauses:tt)+) => {
        $crate::__operator! { map, Processor, [], ports: $ports, config: $config, $($clauses)+ }
    };
}

/// Handles the columns directly: a function from a [`Batch`](crate::Batch) to an [`Output`](crate::Output). An `Err` fails the whole batch.
///
/// ```
/// use weir_sdk::{Batch, Output};
///
/// weir_sdk::map_batches!(|batch: &Batch| Ok(Output { count: batch.count, ..Output::default() }));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! map_batches {
    ($($clauses:tt)+) => { $crate::__operator! { map_batches, Mapper, ["out"], $($clauses)+ } };
}

/// Takes the clauses apart. A declaration makes the operator a processor, for a mapper cannot describe itself.
#[doc(hidden)]
#[macro_export]
macro_rules! __operator {
    ($form:ident, $world:ident, $default_ports:tt, ports: $ports:tt, $($clauses:tt)+) => {
        $crate::__operator! { $form, Processor, $ports, $($clauses)+ }
    };
    ($form:ident, $world:ident, $ports:tt, config: $config:tt, $($clauses:tt)+) => {
        $crate::__operator! { @declared $form, Processor, $ports, $config, $($clauses)+ }
    };
    ($form:ident, $world:ident, $ports:tt, $($clauses:tt)+) => {
        $crate::__operator! { @declared $form, $world, $ports, [], $($clauses)+ }
    };
    (@declared $form:ident, $world:ident, $ports:tt, $config:tt, open: $open:expr, $function:expr $(,)?) => {
        $crate::__operator! { @define $form, $world, $ports, $config, $open, $function }
    };
    (@declared $form:ident, $world:ident, $ports:tt, $config:tt, $function:expr $(,)?) => {
        $crate::__operator! {
            @define $form, $world, $ports, $config,
            $crate::instance::nothing, $crate::$form::without_settings($function)
        }
    };
    (@define $form:ident, $world:ident, $ports:tt, $config:tt, $open:expr, $function:expr) => {
        /// The operator of this crate, as `weir_sdk::testing` runs it.
        pub struct ThisOperator;

        impl $crate::Operator for ThisOperator {
            const DESCRIPTION: $crate::Description = $crate::Description {
                world: $crate::World::$world,
                inputs: $crate::DEFAULT_INPUTS,
                outputs: $crate::__output_ports! $ports,
                states: &[],
                timers: &[],
                config: $crate::__config_keys! $config,
            };

            fn open() -> ::std::result::Result<(), ::std::string::String> {
                $crate::instance::open($open)
            }

            fn process(batch: &$crate::Batch) -> ::std::result::Result<$crate::Output, ::std::string::String> {
                $crate::instance::with_settings($open, |settings| {
                    $crate::$form::run(batch, Self::DESCRIPTION.outputs, settings, $function)
                })
            }
        }

        $crate::__export! { $world }
    };
}

/// Exports `ThisOperator` as the world that it is. Only from WebAssembly: a native linker takes no such names.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (Mapper) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::mapper::export_mapper!(ThisOperator with_types_in $crate::bindings::mapper);
    };
    (Processor) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::processor::export_processor!(ThisOperator with_types_in $crate::bindings::processor);
    };
}

/// `[keeps_key "large", "small"]` as constants.
#[doc(hidden)]
#[macro_export]
macro_rules! __output_ports {
    ($($($promise:ident)? $name:literal),* $(,)?) => {
        &[$($crate::OutputPort { name: $name, keeps_key: $crate::__keeps_key!($($promise)?) }),*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __keeps_key {
    () => {
        false
    };
    (keeps_key) => {
        true
    };
}

/// `[required "a": "why", optional "b" = "default": "why"]` as constants.
#[doc(hidden)]
#[macro_export]
macro_rules! __config_keys {
    ($($kind:ident $name:literal $(= $default:literal)? : $description:literal),* $(,)?) => {
        &[$($crate::ConfigKey {
            name: $name,
            required: $crate::__required!($kind),
            default: ::std::concat!($($default)?),
            description: $description,
        }),*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __required {
    (required) => {
        true
    };
    (optional) => {
        false
    };
}
