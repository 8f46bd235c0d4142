;; Its allocator answers an address far outside its memory.
;; A core module of the world `mapper`, without component metadata.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    i32.const 0x7fff0000)
  ;; process(batch) -> a pointer to result<output, string>; the batch is passed as a pointer, having too many fields
  (func (export "weir:operator/mapping@0.1.0#process") (param i32) (result i32)
    i32.const 1024)
)
