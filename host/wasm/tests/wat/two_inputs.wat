;; Two input ports.
(data (i32.const 2300) "otherin")
(data (i32.const 2400) "\fc\08\00\00\05\00\00\00\01\09\00\00\02\00\00\00")
(func $describe
  (i32.store (i32.const 512) (i32.const 2400)) (i32.store (i32.const 516) (i32.const 2)))
(func $open)
