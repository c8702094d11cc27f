-- The identity side: second factors, challenges, resets, guesses, the audit, and mail. Conventions as in 0001.

ALTER TABLE users ADD COLUMN first_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN last_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN roles TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN tokens_valid_from BIGINT;
ALTER TABLE users ADD COLUMN last_sign_in_at BIGINT;

-- Whether second_factors holds a confirmed one: every request asks, of a user's row that is remembered.
ALTER TABLE users ADD COLUMN has_second_factor BIGINT NOT NULL DEFAULT 0;

-- lower() of SQLite and of PostgreSQL's C collation fold ASCII; beyond it they may differ, so the folded address is kept.
ALTER TABLE users ADD COLUMN email_folded TEXT NOT NULL DEFAULT '';
UPDATE users SET email_folded = lower(email);
CREATE INDEX users_by_email ON users (email_folded);

ALTER TABLE sessions ADD COLUMN amr TEXT NOT NULL DEFAULT 'pwd';

ALTER TABLE api_keys ADD COLUMN replaced_by TEXT;
CREATE INDEX api_keys_by_user ON api_keys (owner_user);

CREATE TABLE second_factors (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    sealed_secret TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    digits BIGINT NOT NULL,
    period BIGINT NOT NULL,
    t0 BIGINT NOT NULL,
    tolerance BIGINT NOT NULL,
    drift BIGINT NOT NULL,
    last_step BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    last_used_at BIGINT
);

CREATE INDEX second_factors_by_user ON second_factors (user_id);

CREATE TABLE recovery_codes (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    digest TEXT NOT NULL,
    used_at BIGINT
);

-- Not unique: a code that an installation has stored twice can be spent twice.
CREATE INDEX recovery_codes_by_user ON recovery_codes (user_id, digest);

CREATE TABLE challenges (
    digest TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    password_changed_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);

CREATE INDEX challenges_by_user ON challenges (user_id);
CREATE INDEX challenges_by_expiry ON challenges (expires_at);

CREATE TABLE password_resets (
    digest TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX password_resets_by_user ON password_resets (user_id);
CREATE INDEX password_resets_by_expiry ON password_resets (expires_at);

CREATE TABLE guesses (
    subject TEXT NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_failure_at BIGINT,
    blocked_until BIGINT
);

CREATE INDEX guesses_by_age ON guesses (last_failure_at);
CREATE INDEX guesses_by_block ON guesses (blocked_until);

-- No foreign keys: it outlives those it tells of.
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT,
    actor TEXT NOT NULL,
    actor_key TEXT,
    actor_session TEXT,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    request_id TEXT NOT NULL,
    user_id TEXT,
    object TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE INDEX audit_by_user ON audit (user_id, id);
CREATE INDEX audit_by_actor ON audit (actor, id);
CREATE INDEX audit_by_object ON audit (object, id);
CREATE INDEX audit_by_request ON audit (request_id);

-- Mail that waits to be sent.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_error TEXT
);

CREATE INDEX outbox_by_next_attempt ON outbox (next_attempt_at);
