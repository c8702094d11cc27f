-- How much of their quotas keys have used. Conventions as in 0001.

-- One row for each key and day or month; period is day or month, and started_at when it began.
CREATE TABLE key_quotas (
    key_id TEXT NOT NULL,
    period TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (key_id, period, started_at)
);

CREATE INDEX key_quotas_by_start ON key_quotas (started_at);
