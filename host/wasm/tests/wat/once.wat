;; The first call of an instance succeeds, the second traps.
(global $called (mut i32) (i32.const 0))
(func $process (param $batch i32)
  (if (global.get $called) (then unreachable))
  (global.set $called (i32.const 1))
  (call $everything (local.get $batch)))
