//! The form for work with state and timers per key, and for several input ports.

/// Declares an operator with state and timers per key, several inputs, several outputs: a function over one record and
/// the state of its key.
///
/// ```
/// weir_sdk::keyed! {
///     state count: Value<u64>;
///
///     fn process(record, emit) {
///         let n = count.get().unwrap_or(0) + 1;
///         count.set(n);
///         emit.write_value(|out| out.put_decimal(n));
///     }
/// }
/// # fn main() {}
/// ```
///
/// | declaration | means |
/// |---|---|
/// | `state name: Value<T>;` | one value per key: [`Value`](crate::Value) |
/// | `state name: Map<K, V>;` | a sorted map per key: [`Map`](crate::Map) |
/// | `state name: List<T>;` | a growing sequence per key: [`List`](crate::List) |
/// | `state … { ttl = "1h", version = 2 };` | entries vanish an hour after their last write; version of the encoding, 1 if not said |
/// | `timer name: EventTime;`, `ProcessingTime` | timers per key: [`Timer`](crate::Timer) |
/// | `input name;` | an input port; one named `in` if none is declared |
/// | `output name;`, `output name keeps_key;` | an output port; one named `out` if none is declared |
/// | `config required "name": "what for";`, `config optional "name" = "default": "what for";` | a configuration key |
/// | `open name = expression;` | a function that runs once per instance; every function sees a reference to its result as `name` |
///
/// | function | handles |
/// |---|---|
/// | `fn process(record, emit) { … }` | the [`Record`](crate::Record)s, where no input is declared |
/// | `fn left(record, emit) { … }` | the records of the input `left` |
/// | `fn on_timer name(timer, emit) { … }` | [`FiredTimer`](crate::FiredTimer)s of that name; what it emits needs a value |
/// | `fn read_ahead name(record) { … }` | says which subkey of the map `name` a record will ask for (an `Option`), so that the host is asked once per call |
/// | `fn migrate name(from_version, entry) { … }` | makes an [`OldEntry`](crate::OldEntry) of the state `name` one of the declared version |
///
/// A function may say what it returns (`-> Result<(), String>`); an `Err` refuses the record, and takes back what was
/// emitted, written and set for it. Inside a function the states and timers are values of the types named above; a
/// helper borrows them: `fn add(count: &weir_sdk::Value<u64>)`.
///
/// What is done per record reaches the host per call: one read and one write for each state and timer.
///
/// A declaration without its function, and a function without its declaration, do not compile:
///
/// ```compile_fail
/// weir_sdk::keyed! {
///     timer flush: EventTime;
///
///     fn process(record, _emit) {
///         flush.set(record.timestamp());
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! keyed {
    ($($items:tt)+) => {
        $crate::__keyed! {
            @item [] [settings = $crate::instance::nothing] [] [] [] [] [] [] [] [] $($items)+
        }
    };
}

/// Sorts the declarations: config, open, inputs, outputs, states, timers, functions over records, over timers, for
/// reading ahead, for migration. Then writes the operator.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyed {
    (@item [$($c:tt)*] $o:tt $i:tt $u:tt $s:tt $t:tt $r:tt $f:tt $a:tt $m:tt
        config $kind:ident $name:literal $(= $default:literal)? : $description:literal; $($rest:tt)*) => {
        $crate::__keyed! {
            @item [$($c)* $kind $name $(= $default)? : $description,] $o $i $u $s $t $r $f $a $m $($rest)*
        }
    };
    (@item $c:tt $o:tt $i:tt $u:tt $s:tt $t:tt $r:tt $f:tt $a:tt $m:tt
        open $settings:ident = $open:expr; $($rest:tt)*) => {
        $crate::__keyed! { @item $c [$settings = $open] $i $u $s $t $r $f $a $m $($rest)* }
    };
    (@item $c:tt $o:tt [$($i:tt)*] $u:tt $s:tt $t:tt $r:tt $f:tt $a:tt $m:tt
        input $name:ident; $($rest:tt)*) => {
        $crate::__keyed! { @item $c $o [$($i)* $name] $u $s $t $r $f $a $m $($rest)* }
    };
    (@item $c:tt $o:tt $i:tt [$($u:tt)*] $s:tt $t:tt $r:tt $f:tt $a:tt $m:tt
        output $name:ident $($promise:ident)?; $($rest:tt)*) => {
        $crate::__keyed! { @item $c $o $i [$($u)* ($name $($promise)?)] $s $t $r $f $a $m $($rest)* }
    };
    (@item $c:tt $o:tt $i:tt $u:tt [$($s:tt)*] $t:tt $r:tt $f:tt $a:tt $m:tt
        state $name:ident : $kind:ident < $($type:ty),+ $(,)? > $({ $($option:ident = $value:expr),* $(,)? })?;
        $($rest:tt)*) => {
        $crate::__keyed! {
            @item $c $o $i $u [$($s)* ($name $kind [$($type),+] [$($($option = $value),*)?])] $t $r $f $a $m $($rest)*
        }
    };
    (@item $c:tt $o:tt $i:tt $u:tt $s:tt [$($t:tt)*] $r:tt $f:tt $a:tt $m:tt
        timer $name:ident : $clock:ident; $($rest:tt)*) => {
        $crate::__keyed! { @item $c $o $i $u $s [$($t)* ($name $clock)] $r $f $a $m $($rest)* }
    };
    (@item $c:tt $o:tt $i:tt $u:tt $s:tt $t:tt $r:tt [$($f:tt)*] $a:tt $m:tt
        fn on_timer $name:ident ($timer:pat, $emit:pat $(,)?) $(-> $answer:ty)? { $($body:tt)* } $($rest:tt)*) => {
        $crate::__keyed! {
            @item $c $o $i $u $s $t $r [$($f)* ($name [|$timer, $emit| $(-> $answer)? { $($body)* }])] $a $m $($rest)*
        }
    };
    (@item $c:tt $o:tt $i:tt $u:tt $s:tt $t:tt $r:tt $f:tt [$($a:tt)*] $m:tt
        fn read_ahead $name:ident ($record:pat $(,)?) $(-> $answer:ty)? { $($body:tt)* } $($rest:tt)*) => {
        $crate::__keyed! {
            @item $c $o $i $u $s $t $r $f [$($a)* ($name [|$record| $(-> $answer)? { $($body)* }])] $m $($rest)*
        }
    };
    (@item $c:tt $o:tt $i:tt $u:tt $s:tt $t:tt $r:tt $f:tt $a:tt [$($m:tt)*]
        fn migrate $name:ident ($version:pat, $entry:pat $(,)?) $(-> $answer:ty)? { $($body:tt)* } $($rest:tt)*) => {
        $crate::__keyed! {
            @item $c $o $i $u $s $t $r $f $a [$($m)* ($name [|$version, $entry| $(-> $answer)? { $($body)* }])] $($rest)*
        }
    };
    (@item $c:tt $o:tt $i:tt $u:tt $s:tt $t:tt [$($r:tt)*] $f:tt $a:tt $m:tt
        fn $name:ident ($record:pat, $emit:pat $(,)?) $(-> $answer:ty)? { $($body:tt)* } $($rest:tt)*) => {
        $crate::__keyed! {
            @item $c $o $i $u $s $t [$($r)* ($name [|$record, $emit| $(-> $answer)? { $($body)* }])] $f $a $m $($rest)*
        }
    };
    (@item $config:tt [$settings:ident = $open:expr] [$($input:ident)*] [$(($output:ident $($promise:ident)?))*]
        [$(($state:ident $kind:ident [$($type:ty),+] [$($option:ident = $value:expr),*]))*]
        [$(($timer:ident $clock:ident))*]
        [$(($rows:ident [$($on_rows:tt)+]))*] [$(($fired:ident [$($on_fired:tt)+]))*]
        $ahead:tt [$(($migrated:ident [$($migrate:tt)+]))*]) => {
        /// The operator of this crate, as `weir_sdk::testing` runs it.
        pub struct ThisOperator;

        impl $crate::Operator for ThisOperator {
            const DESCRIPTION: $crate::Description = $crate::Description {
                world: $crate::World::Processor,
                inputs: $crate::keyed::declared_or(&[$(::std::stringify!($input)),*], $crate::DEFAULT_INPUTS),
                outputs: $crate::keyed::declared_or(&[$($crate::OutputPort {
                    name: ::std::stringify!($output),
                    keeps_key: $crate::__keeps_key!($($promise)?),
                }),*], $crate::DEFAULT_OUTPUTS),
                states: &[$(
                    $crate::StateDeclaration::new(::std::stringify!($state), $crate::StateKind::$kind)$(.$option($value))*
                ),*],
                timers: &[$($crate::TimerDeclaration {
                    name: ::std::stringify!($timer),
                    clock: $crate::TimerClock::$clock,
                }),*],
                config: $crate::__config_keys! $config,
            };

            fn open() -> ::std::result::Result<(), ::std::string::String> {
                $crate::instance::open($open)
            }

            fn process(batch: &$crate::Batch) -> ::std::result::Result<$crate::Output, ::std::string::String> {
                Self::call(::std::option::Option::None, batch)
            }

            fn on_timers(
                timer: &str,
                fired: &$crate::Batch,
            ) -> ::std::result::Result<$crate::Output, ::std::string::String> {
                Self::call(::std::option::Option::Some(timer), fired)
            }

            $crate::__keyed_migrate! { [$(($state $kind [$($type),+]))*] [$(($migrated [$($migrate)+]))*] }
        }

        const _: () = $crate::keyed::check(
            &<ThisOperator as $crate::Operator>::DESCRIPTION,
            &[$(::std::stringify!($rows)),*],
            &[$(::std::stringify!($fired)),*],
            &[$(::std::stringify!($migrated)),*],
        );

        impl ThisOperator {
            /// A call for rows, or for fired timers of this name.
            fn call(
                fired: ::std::option::Option<&str>,
                batch: &$crate::Batch,
            ) -> ::std::result::Result<$crate::Output, ::std::string::String> {
                const DESCRIPTION: $crate::Description = <ThisOperator as $crate::Operator>::DESCRIPTION;
                $crate::instance::with_settings($open, |$settings| {
                    let _ = $settings;
                    let call = $crate::keyed::Call::of(batch);
                    $(let $state = <$crate::$kind<$($type),+>>::declared(::std::stringify!($state), &call);)*
                    $(let $timer = $crate::Timer::declared(::std::stringify!($timer), &call);)*
                    let parts: &[&dyn $crate::keyed::Part] = &[$(&$state,)* $(&$timer,)*];
                    let ::std::option::Option::Some(fired) = fired else {
                        let input = $crate::keyed::input_name(&DESCRIPTION, batch)?;
                        $crate::__keyed_read_ahead! { batch $ahead }
                        $(if input == $crate::keyed::input_of(::std::stringify!($rows), DESCRIPTION.inputs) {
                            return $crate::keyed::handle_rows(batch, DESCRIPTION.outputs, &call, parts, $($on_rows)+);
                        })*
                        return ::std::result::Result::Err(::std::format!("no function handles the input port \"{input}\""));
                    };
                    $(if fired == ::std::stringify!($fired) {
                        return $crate::keyed::handle_timers(batch, DESCRIPTION.outputs, &call, parts, $($on_fired)+);
                    })*
                    ::std::result::Result::Err(::std::format!("no timer \"{fired}\" is declared"))
                })
            }
        }

        $crate::__export! { Processor }
        $crate::__export_migration! { $($migrated)* }
    };
    (@item $c:tt $o:tt $i:tt $u:tt $s:tt $t:tt $r:tt $f:tt $a:tt $m:tt $unknown:tt $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!(
            "no declaration of keyed! begins like this: `", ::std::stringify!($unknown $($rest)*), "`"
        ));
    };
}

/// Asks for subkeys ahead of the rows.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyed_read_ahead {
    ($batch:ident [$(($state:ident [$($function:tt)+]))*]) => {
        $($state.read_ahead($batch, $($function)+);)*
    };
}

/// The operator's `migrate`, if it has one.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyed_migrate {
    ($states:tt []) => {};
    ([$(($state:ident $kind:ident [$($type:ty),+]))*] [$(($migrated:ident [$($function:tt)+]))+]) => {
        fn migrate(
            state: &str,
            from_version: u32,
            page: &$crate::migrate::Entries,
        ) -> ::std::result::Result<$crate::migrate::Migrated, ::std::string::String> {
            $(#[allow(non_camel_case_types, dead_code)] type $state = $crate::$kind<$($type),+>;)*
            $(if state == ::std::stringify!($migrated) {
                return $crate::migrate::page::<$migrated, _>(state, from_version, page, $($function)+);
            })+
            ::std::result::Result::Err(::std::format!(
                "this operator cannot read version {from_version} of the state \"{state}\""
            ))
        }
    };
}

/// Exports `migration` beside `processing`, if there is a function for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_migration {
    () => {};
    ($($migrated:ident)+) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::migrator::export_migrator!(ThisOperator with_types_in $crate::bindings::migrator);
    };
}
