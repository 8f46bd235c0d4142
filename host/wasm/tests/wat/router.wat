;; Imports state as bindings do, declares none; two outputs, a required key "limit" and a key "mode" with a default;
;; refuses to open where mode is "broken".
(import "weir:operator/value-state@0.1.0" "get-many" (func $get_many (param i32 i32 i32 i32 i32)))
(import "weir:operator/config@0.1.0" "get" (func $config (param i32 i32 i32)))
(data (i32.const 2300) "largesmalllimitmodeplainbroken mode")
(data (i32.const 2400) "\fc\08\00\00\05\00\00\00\01\00\00\00\01\09\00\00\05\00\00\00\00\00\00\00")
(data (i32.const 2500)
  "\06\09\00\00\05\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
  "\0b\09\00\00\04\00\00\00\00\00\00\00\0f\09\00\00\05\00\00\00\00\00\00\00\00\00\00\00")
(func $describe
  (call $one_input)
  (i32.store (i32.const 520) (i32.const 2400)) (i32.store (i32.const 524) (i32.const 2))
  (i32.store (i32.const 544) (i32.const 2500)) (i32.store (i32.const 548) (i32.const 2)))
(func $open
  (call $config (i32.const 2315) (i32.const 4) (i32.const 2600))
  ;; "plain" has five bytes, "broken" six
  (if (i32.eq (i32.load offset=8 (i32.const 2600)) (i32.const 6)) (then
    (i32.store8 (i32.const 800) (i32.const 1))
    (i32.store offset=4 (i32.const 800) (i32.const 2324))
    (i32.store offset=8 (i32.const 800) (i32.const 11)))))
