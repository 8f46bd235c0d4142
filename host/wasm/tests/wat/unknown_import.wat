;; A component that wants the network.
(component
  (import "acme:net/sockets@1.0.0" (instance (export "open" (func))))
  (instance $mapping)
  (export "weir:operator/mapping@0.1.0" (instance $mapping)))
