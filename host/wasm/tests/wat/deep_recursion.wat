;; Calls itself until the stack is full.
(func $process (param $depth i32) (call $process (i32.add (local.get $depth) (i32.const 1))))
