;; Every column is the same twelve megabytes: each alone is within the limit.
(func $process (param i32)
  (local $field i32)
  (drop (memory.grow (i32.const 192)))
  (loop $again
    (i32.store offset=1036 (local.get $field) (i32.const 12582912))
    (local.set $field (i32.add (local.get $field) (i32.const 8)))
    (br_if $again (i32.lt_u (local.get $field) (i32.const 96)))))
