-- Runs unchanged on SQLite and PostgreSQL. Times are microseconds since the Unix epoch, booleans 0 or 1, digests
-- lower-case hex, sealed keys base64: both databases give BIGINT and TEXT back as they were given.

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    is_active BIGINT NOT NULL CHECK (is_active IN (0, 1)),
    is_admin BIGINT NOT NULL CHECK (is_admin IN (0, 1)),
    scopes TEXT NOT NULL,
    password TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    counter BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    end_reason TEXT,
    client_address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);

CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    prefix TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    owner_user TEXT REFERENCES users (id),
    owner_service TEXT,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    revoked_reason TEXT,
    CHECK ((owner_user IS NULL) <> (owner_service IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);

CREATE INDEX api_keys_by_age ON api_keys (created_at, id);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    key_use TEXT NOT NULL,
    state TEXT NOT NULL,
    sealed_private TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

-- What lets nodes that start at once agree on one key.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (key_use, algorithm) WHERE state = 'active';

-- One row that every writer of an invalidation locks until it commits, so that epochs become visible in their order.
-- A sequence would not do: its numbers appear in the order of the commits, and a reader that has seen 7 would never
-- look for the 6 that commits a moment later.
CREATE TABLE invalidation_epoch (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL
);

INSERT INTO invalidation_epoch (one, epoch) VALUES (1, 0);

-- written_at is NULL when the writer was not told the time; such an entry goes when a later one is old enough.
CREATE TABLE invalidations (
    epoch BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    written_at BIGINT
);
