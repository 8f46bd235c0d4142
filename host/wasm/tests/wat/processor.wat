;; The part that all processors of these tests share, appended to a file that defines $describe (writes to 512: inputs,
;; outputs, states, timers, config, a pointer and a length each) and $open (returns 0, or an error's case written to 800).
(memory (export "memory") 2)
(global $next (mut i32) (i32.const 65536))
(func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
  (global.set $next (i32.add (local.get $at) (local.get $size)))
  (local.get $at))
(func (export "weir:operator/processing@0.1.0#describe") (result i32) (call $describe) (i32.const 512))
(func (export "weir:operator/processing@0.1.0#open") (result i32) (call $open) (i32.const 800))
(func (export "weir:operator/processing@0.1.0#process") (param $batch i32) (result i32)
  (i32.store offset=4 (i32.const 1024) (i32.load offset=4 (local.get $batch)))
  (i32.const 1024))
(func (export "weir:operator/processing@0.1.0#on-timers") (param i32) (result i32) unreachable)
;; One input port "in", taken from 2100.
(func $one_input
  (i32.store (i32.const 2200) (i32.const 2100)) (i32.store (i32.const 2204) (i32.const 2))
  (i32.store (i32.const 512) (i32.const 2200)) (i32.store (i32.const 516) (i32.const 1)))
(data (i32.const 2100) "in")
