;; A component whose mapping has no process.
(component
  (instance $mapping)
  (export "weir:operator/mapping@0.1.0" (instance $mapping)))
