;; Adds a number that is none to a counter.
(import "weir:operator/metrics@0.1.0" "add" (func $add (param i32 i32 f64)))
(data (i32.const 2048) "rows")
(func $process (param i32) (call $add (i32.const 2048) (i32.const 4) (f64.const nan)))
