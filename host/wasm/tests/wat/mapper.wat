;; The part that all mappers of these tests share, appended to a file that defines $process. Memory is handed out
;; upwards from 64 KiB and taken back when the call's result has been read. The result stands at 1024:
;; 0 the case, 4 count, 8 rows, 16 ports, 24 timestamps, 32 keys, 56 values, 80 headers, 104 rejections.
(memory (export "memory") 2)
(global $next (mut i32) (i32.const 65536))
(func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
  (global.set $next (i32.add (local.get $at) (local.get $size)))
  (block $enough (loop $grow
    (br_if $enough (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
    (br_if $grow (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))
    unreachable))
  (local.get $at))
(func (export "weir:operator/mapping@0.1.0#process") (param $batch i32) (result i32)
  (memory.fill (i32.const 1024) (i32.const 0) (i32.const 112))
  (call $process (local.get $batch))
  (i32.const 1024))
(func (export "cabi_post_weir:operator/mapping@0.1.0#process") (param i32)
  (global.set $next (i32.const 65536)))
;; Emits every row as it came.
(func $everything (param $batch i32)
  (i32.store offset=4 (i32.const 1024) (i32.load offset=4 (local.get $batch))))
