-- Mail that waits to be sent. Sealed content is base64, times are microseconds.

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
