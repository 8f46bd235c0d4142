;; One value whose offsets go past its data.
(data (i32.const 2048) "\00\00\00\00\ff\00\00\00")
(func $process (param $batch i32)
  (call $everything (local.get $batch))
  (i32.store offset=56 (i32.const 1024) (i32.const 2048))
  (i32.store offset=60 (i32.const 1024) (i32.const 8))
  (i32.store offset=64 (i32.const 1024) (i32.const 2048))
  (i32.store offset=68 (i32.const 1024) (i32.const 3)))
