;; Returns err.
(data (i32.const 2048) "no\0agood")
(func $process (param i32)
  (i32.store8 (i32.const 1024) (i32.const 1))
  (i32.store offset=4 (i32.const 1024) (i32.const 2048))
  (i32.store offset=8 (i32.const 1024) (i32.const 7)))
