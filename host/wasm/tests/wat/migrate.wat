;; The part of a migrating processor. By the version: 0 keeps the first entry twice, the key as its value; 1 keeps all;
;; 2 returns an err; 3 names an entry that does not exist; 4 asks for state; any other never returns.
(data (i32.const 2400) "no way")
(func (export "weir:operator/migration@0.1.0#migrate") (param $at i32) (result i32)
  (local $version i32)
  (memory.fill (i32.const 1024) (i32.const 0) (i32.const 64))
  (local.set $version (i32.load offset=8 (local.get $at)))
  (i32.store (i32.const 1028) (i32.load offset=12 (local.get $at)))
  (if (i32.eq (local.get $version) (i32.const 0)) (then
    ;; For a page of two entries: rows 0 and 0 (zeros stand at 2500), and the keys as values.
    (i32.store (i32.const 1032) (i32.const 2500)) (i32.store (i32.const 1036) (i32.const 8))
    (memory.copy (i32.const 1064) (i32.add (local.get $at) (i32.const 16)) (i32.const 24))))
  (if (i32.eq (local.get $version) (i32.const 2)) (then
    (i32.store (i32.const 1024) (i32.const 1))
    (i32.store (i32.const 1028) (i32.const 2400)) (i32.store (i32.const 1032) (i32.const 6))))
  (if (i32.eq (local.get $version) (i32.const 3)) (then
    (i32.store (i32.const 1028) (i32.const 1))
    (i32.store (i32.const 1032) (i32.const 2330)) (i32.store (i32.const 1036) (i32.const 4))))
  (if (i32.eq (local.get $version) (i32.const 4)) (then
    (call $value_get (i32.const 2060) (i32.const 5) (i32.const 2330) (i32.const 4) (i32.const 3000))))
  (if (i32.gt_u (local.get $version) (i32.const 4)) (then (loop $forever (br $forever))))
  (i32.const 1024))
(func (export "cabi_post_weir:operator/migration@0.1.0#migrate") (param i32)
  (global.set $next (i32.const 65536)))
