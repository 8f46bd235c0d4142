;; A component whose process takes nothing.
(component
  (core module $module (func (export "process")))
  (core instance $instance (instantiate $module))
  (func $process (canon lift (core func $instance "process")))
  (instance $mapping (export "process" (func $process)))
  (export "weir:operator/mapping@0.1.0" (instance $mapping)))
