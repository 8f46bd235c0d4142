;; Refuses row 0 with a reason of several lines.
(data (i32.const 2048) "\00\00\00\00\10\08\00\00\05\00\00\00    a\0ab\0ac")
(func $process (param i32)
  (i32.store offset=104 (i32.const 1024) (i32.const 2048))
  (i32.store offset=108 (i32.const 1024) (i32.const 1)))
