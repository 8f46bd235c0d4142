;; Claims rows of four gigabytes.
(func $process (param i32)
  (i32.store offset=8 (i32.const 1024) (i32.const 0))
  (i32.store offset=12 (i32.const 1024) (i32.const -1)))
