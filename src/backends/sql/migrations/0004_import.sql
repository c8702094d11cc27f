-- What was taken over from another installation. Conventions as in 0001.

-- Slow hashes of API keys, each until its key is first used. The digest of such a key is of this hash, and no key's.
CREATE TABLE slow_api_keys (
    key_id TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id) ON DELETE CASCADE,
    hash TEXT NOT NULL
);

-- Which row here came of which row there, and what it was when it was last taken over: so an import can be repeated, and
-- tells what has changed there from what has changed here.
CREATE TABLE imported (
    kind TEXT NOT NULL,
    original_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (kind, original_id)
);

CREATE INDEX imported_by_age ON imported (kind, seen_at);
