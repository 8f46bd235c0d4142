;; A mapper of its own: has no memory to give.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "weir:operator/mapping@0.1.0#process") (param i32) (result i32) (i32.const 0)))
