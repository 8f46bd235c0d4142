;; describe never ends.
(func $describe (loop $again (br $again)))
(func $open)
