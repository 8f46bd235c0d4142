;; Never ends.
(func $process (param i32) (loop $again (br $again)))
