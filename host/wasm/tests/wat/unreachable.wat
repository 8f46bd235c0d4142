;; Traps at once.
(func $process (param i32) unreachable)
