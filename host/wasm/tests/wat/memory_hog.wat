;; Takes memory until there is none, and traps.
(func $process (param i32)
  (loop $again (br_if $again (i32.ne (memory.grow (i32.const 64)) (i32.const -1))))
  unreachable)
