-- Which weirs have served with this store, and when. Belongs to feature level 2.

CREATE TABLE weirs (
    version TEXT PRIMARY KEY,
    first_start_at INTEGER NOT NULL,
    last_start_at INTEGER NOT NULL
) STRICT;
