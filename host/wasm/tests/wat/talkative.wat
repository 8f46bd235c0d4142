;; Logs, counts, and traps if the batch has more than one row.
(import "weir:operator/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(import "weir:operator/metrics@0.1.0" "add" (func $add (param i32 i32 f64)))
(data (i32.const 2048) "two rows\0aare too manyrows")
(func $process (param $batch i32)
  (call $add (i32.const 2069) (i32.const 4) (f64.convert_i32_u (i32.load offset=4 (local.get $batch))))
  (if (i32.gt_u (i32.load offset=4 (local.get $batch)) (i32.const 1)) (then
    (call $log (i32.const 3) (i32.const 2048) (i32.const 21))
    unreachable))
  (call $everything (local.get $batch)))
