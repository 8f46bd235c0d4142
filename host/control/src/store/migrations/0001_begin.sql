-- Times are milliseconds since 1970. Texts of several values are JSON.

CREATE TABLE operators (
    name TEXT PRIMARY KEY,
    -- numbers are not given twice, whatever is deleted
    next_version INTEGER NOT NULL
) STRICT;

CREATE TABLE versions (
    operator TEXT NOT NULL REFERENCES operators (name),
    version INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    world TEXT NOT NULL,
    imports TEXT NOT NULL,
    describe TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (operator, version),
    UNIQUE (operator, sha256)
) STRICT;

CREATE INDEX versions_by_digest ON versions (sha256);

CREATE TABLE pipelines (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    -- rises with every change of the draft or of what is applied
    generation INTEGER NOT NULL,
    draft TEXT NOT NULL,
    -- the revision that runs, or would
    applied INTEGER,
    desired TEXT NOT NULL CHECK (desired IN ('running', 'stopped')),
    -- how the next start begins, until it has begun
    start TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

CREATE UNIQUE INDEX pipelines_alive ON pipelines (name) WHERE deleted_at IS NULL;

CREATE TABLE revisions (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    toml TEXT NOT NULL,
    plan_hash TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (pipeline, revision)
) STRICT;

CREATE TABLE swaps (
    id TEXT PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    operator TEXT NOT NULL,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    from_sha256 TEXT NOT NULL,
    to_sha256 TEXT NOT NULL,
    from_toml TEXT NOT NULL,
    to_toml TEXT NOT NULL,
    -- where the draft does not name the new version already: it is written there when the swap is completed
    into_draft INTEGER NOT NULL,
    plan_hash TEXT,
    state TEXT NOT NULL,
    cancel_asked INTEGER NOT NULL,
    reason TEXT,
    samples TEXT NOT NULL,
    epoch_before INTEGER,
    epoch_completed INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    ended_at INTEGER
) STRICT;

CREATE UNIQUE INDEX swaps_open ON swaps (pipeline) WHERE state IN ('preparing', 'prepared', 'probation');
CREATE INDEX swaps_by_pipeline ON swaps (pipeline, id);

CREATE TABLE rejected (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    operator TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (pipeline, operator, sha256)
) STRICT;

CREATE TABLE events (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (pipeline, seq)
) STRICT;

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'deployer', 'admin')),
    -- SHA-256 of the whole token
    digest BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    digest TEXT,
    plan_hash TEXT,
    outcome TEXT NOT NULL
) STRICT;
