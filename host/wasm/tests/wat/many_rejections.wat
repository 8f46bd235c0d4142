;; A million rejections that all lie in the same zeroed memory.
(func $process (param i32)
  (drop (memory.grow (i32.const 192)))
  (i32.store offset=104 (i32.const 1024) (i32.const 131072))
  (i32.store offset=108 (i32.const 1024) (i32.const 1000000)))
