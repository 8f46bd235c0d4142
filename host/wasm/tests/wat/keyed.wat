;; A processor with state and timers: inputs "left" and "right", output "out", the states "count" (value), "seen" (map),
;; "log" (list), the timers "flush" and "beat". Joined with a text that defines $in_describe and $open, and perhaps
;; `migrate`. `process` does what the batch's `now` says; slots, values and timestamps of the batch are the arguments:
;;   0 passes on   1 emits the values of "count", then puts the batch's   2 puts into "seen" under the values, appends
;;   to "log"   3 emits a scan of "seen"   4 emits a scan of "log"   5 emits "seen" under the values   6 clears "seen"
;;   7 clears "log"   8 sets, 9 deletes "flush" at the timestamps   10 puts to slot 7   11 puts to the state "out"
;;   12 puts, then traps   13 puts, then returns an err
(import "weir:operator/value-state@0.1.0" "get-many" (func $value_get (param i32 i32 i32 i32 i32)))
(import "weir:operator/value-state@0.1.0" "put-many"
  (func $value_put (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "weir:operator/map-state@0.1.0" "get-many"
  (func $map_get (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "weir:operator/map-state@0.1.0" "put-many"
  (func $map_put (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "weir:operator/map-state@0.1.0" "scan" (func $map_scan (param i32 i32)))
(import "weir:operator/map-state@0.1.0" "clear-many" (func $map_clear (param i32 i32 i32 i32)))
(import "weir:operator/list-state@0.1.0" "append-many"
  (func $list_append (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "weir:operator/list-state@0.1.0" "scan"
  (func $list_scan (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "weir:operator/list-state@0.1.0" "clear-many" (func $list_clear (param i32 i32 i32 i32)))
(import "weir:operator/timers@0.1.0" "register-many" (func $timers_register (param i32 i32 i32 i32 i32 i32)))
(import "weir:operator/timers@0.1.0" "delete-many" (func $timers_delete (param i32 i32 i32 i32 i32 i32)))
(memory (export "memory") 4)
(global $next (mut i32) (i32.const 65536))
(data (i32.const 2048) "leftrightoutcountseenlogflushbeat")
(data (i32.const 2200) "\00\08\00\00\04\00\00\00\04\08\00\00\05\00\00\00")
(data (i32.const 2220) "\09\08\00\00\03\00\00\00\01\00\00\00")
(data (i32.const 2240)
  "\0c\08\00\00\05\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00"
  "\11\08\00\00\04\00\00\00\01\00\00\00\02\00\00\00\3c\00\00\00"
  "\15\08\00\00\03\00\00\00\02\00\00\00\00\00\00\00\00\00\00\00")
(data (i32.const 2300) "\18\08\00\00\05\00\00\00\00\00\00\00\1d\08\00\00\04\00\00\00\01\00\00\00")
(data (i32.const 2330) "\07\00\00\00")
(func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
  (global.set $next (i32.add (local.get $at) (local.get $size)))
  (local.get $at))
(func (export "weir:operator/processing@0.1.0#describe") (result i32)
  (call $in_describe)
  (i32.store (i32.const 512) (i32.const 2200)) (i32.store (i32.const 516) (i32.const 2))
  (i32.store (i32.const 520) (i32.const 2220)) (i32.store (i32.const 524) (i32.const 1))
  (i32.store (i32.const 528) (i32.const 2240)) (i32.store (i32.const 532) (i32.const 3))
  (i32.store (i32.const 536) (i32.const 2300)) (i32.store (i32.const 540) (i32.const 2))
  (i32.const 512))
(func (export "weir:operator/processing@0.1.0#open") (result i32) (call $open) (i32.const 800))
(func (export "weir:operator/processing@0.1.0#process") (param $batch i32) (result i32)
  (memory.fill (i32.const 1024) (i32.const 0) (i32.const 112))
  (call $handle (local.get $batch) (i32.wrap_i64 (i64.load offset=8 (local.get $batch))))
  (i32.const 1024))
(func (export "cabi_post_weir:operator/processing@0.1.0#process") (param i32)
  (global.set $next (i32.const 65536)))
;; Emits, for each timer, the "count" of its key; without values where `now` is 1. The batch stands behind the name.
(func (export "weir:operator/processing@0.1.0#on-timers") (param $at i32) (result i32)
  (memory.fill (i32.const 1024) (i32.const 0) (i32.const 112))
  (call $emit_rows (i32.add (local.get $at) (i32.const 8)))
  (if (i64.ne (i64.load offset=16 (local.get $at)) (i64.const 1)) (then
    (call $count_of (i32.add (local.get $at) (i32.const 8)) (i32.const 1080))))
  (i32.const 1024))
(func $emit_rows (param $batch i32)
  (i32.store (i32.const 1028) (i32.load offset=4 (local.get $batch))))
;; Writes the column of "count" by row to $to.
(func $count_of (param $batch i32) (param $to i32)
  (call $value_get (i32.const 2060) (i32.const 5)
    (i32.load offset=108 (local.get $batch)) (i32.load offset=112 (local.get $batch)) (local.get $to)))
(func $put_count (param $batch i32) (param $name i32) (param $bytes i32) (param $slots i32) (param $slots_bytes i32)
  (call $value_put (local.get $name) (local.get $bytes) (local.get $slots) (local.get $slots_bytes)
    (i32.load offset=56 (local.get $batch)) (i32.load offset=60 (local.get $batch))
    (i32.load offset=64 (local.get $batch)) (i32.load offset=68 (local.get $batch))
    (i32.load offset=72 (local.get $batch)) (i32.load offset=76 (local.get $batch))))
(func $put_values (param $batch i32)
  (call $put_count (local.get $batch) (i32.const 2060) (i32.const 5)
    (i32.load offset=108 (local.get $batch)) (i32.load offset=112 (local.get $batch))))
;; The page at 3000 becomes the output: its ranges are numbers of slots, one per row here.
(func $emit_page
  (i32.store (i32.const 1028) (i32.shr_u (i32.load (i32.const 3004)) (i32.const 2)))
  (i32.store (i32.const 1032) (i32.load (i32.const 3000)))
  (i32.store (i32.const 1036) (i32.load (i32.const 3004)))
  (memory.copy (i32.const 1080) (i32.const 3032) (i32.const 24)))
(func $handle (param $batch i32) (param $what i32)
  (local $slots i32) (local $slots_bytes i32) (local $o i32) (local $ol i32) (local $d i32) (local $dl i32)
  (local $n i32) (local $nl i32)
  (local.set $slots (i32.load offset=108 (local.get $batch)))
  (local.set $slots_bytes (i32.load offset=112 (local.get $batch)))
  (local.set $o (i32.load offset=56 (local.get $batch))) (local.set $ol (i32.load offset=60 (local.get $batch)))
  (local.set $d (i32.load offset=64 (local.get $batch))) (local.set $dl (i32.load offset=68 (local.get $batch)))
  (local.set $n (i32.load offset=72 (local.get $batch))) (local.set $nl (i32.load offset=76 (local.get $batch)))
  (if (i32.eq (local.get $what) (i32.const 0)) (then (call $emit_rows (local.get $batch))))
  (if (i32.eq (local.get $what) (i32.const 1)) (then
    (call $emit_rows (local.get $batch))
    (call $count_of (local.get $batch) (i32.const 1080))
    (call $put_values (local.get $batch))))
  (if (i32.eq (local.get $what) (i32.const 2)) (then
    (call $map_put (i32.const 2065) (i32.const 4) (local.get $slots) (local.get $slots_bytes)
      (local.get $o) (local.get $ol) (local.get $d) (local.get $dl) (local.get $n) (local.get $nl)
      (local.get $o) (local.get $ol) (local.get $d) (local.get $dl) (local.get $n) (local.get $nl))
    (call $list_append (i32.const 2069) (i32.const 3) (local.get $slots) (local.get $slots_bytes)
      (local.get $o) (local.get $ol) (local.get $d) (local.get $dl) (local.get $n) (local.get $nl))))
  (if (i32.eq (local.get $what) (i32.const 3)) (then
    ;; Seventeen numbers do not fit the arguments, so they stand in memory: the name, the slots, no starts, no ends,
    ;; no limit.
    (memory.fill (i32.const 2800) (i32.const 0) (i32.const 72))
    (i32.store (i32.const 2800) (i32.const 2065)) (i32.store (i32.const 2804) (i32.const 4))
    (i32.store (i32.const 2808) (local.get $slots)) (i32.store (i32.const 2812) (local.get $slots_bytes))
    (call $map_scan (i32.const 2800) (i32.const 3000))
    (call $emit_page)))
  (if (i32.eq (local.get $what) (i32.const 4)) (then
    (call $list_scan (i32.const 2069) (i32.const 3) (local.get $slots) (local.get $slots_bytes)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 3000))
    (call $emit_page)))
  (if (i32.eq (local.get $what) (i32.const 5)) (then
    (call $emit_rows (local.get $batch))
    (call $map_get (i32.const 2065) (i32.const 4) (local.get $slots) (local.get $slots_bytes)
      (local.get $o) (local.get $ol) (local.get $d) (local.get $dl) (local.get $n) (local.get $nl)
      (i32.const 1080))))
  (if (i32.eq (local.get $what) (i32.const 6)) (then
    (call $map_clear (i32.const 2065) (i32.const 4) (local.get $slots) (local.get $slots_bytes))))
  (if (i32.eq (local.get $what) (i32.const 7)) (then
    (call $list_clear (i32.const 2069) (i32.const 3) (local.get $slots) (local.get $slots_bytes))))
  (if (i32.eq (local.get $what) (i32.const 8)) (then
    (call $timers_register (i32.const 2072) (i32.const 5) (local.get $slots) (local.get $slots_bytes)
      (i32.load offset=24 (local.get $batch)) (i32.load offset=28 (local.get $batch)))))
  (if (i32.eq (local.get $what) (i32.const 9)) (then
    (call $timers_delete (i32.const 2072) (i32.const 5) (local.get $slots) (local.get $slots_bytes)
      (i32.load offset=24 (local.get $batch)) (i32.load offset=28 (local.get $batch)))))
  (if (i32.eq (local.get $what) (i32.const 10)) (then
    (call $put_count (local.get $batch) (i32.const 2060) (i32.const 5) (i32.const 2330) (i32.const 4))))
  (if (i32.eq (local.get $what) (i32.const 11)) (then
    (call $put_count (local.get $batch) (i32.const 2057) (i32.const 3) (local.get $slots) (local.get $slots_bytes))))
  (if (i32.eq (local.get $what) (i32.const 12)) (then (call $put_values (local.get $batch)) unreachable))
  (if (i32.eq (local.get $what) (i32.const 13)) (then
    (call $put_values (local.get $batch))
    (i32.store (i32.const 1024) (i32.const 1)))))
