;; Declares the state "count".
(data (i32.const 2300) "count")
(data (i32.const 2400) "\fc\08\00\00\05\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00")
(func $describe
  (call $one_input)
  (i32.store (i32.const 528) (i32.const 2400)) (i32.store (i32.const 532) (i32.const 1)))
(func $open)
