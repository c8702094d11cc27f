-- What a key is limited to, and how it is used. Conventions as in 0001. Empty text: not limited.

-- Networks and methods are separated by spaces, names of routes by line feeds; labels are a JSON object.
ALTER TABLE api_keys ADD COLUMN networks TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN routes TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN methods TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN idle_days BIGINT;
ALTER TABLE api_keys ADD COLUMN rate TEXT;
ALTER TABLE api_keys ADD COLUMN quota TEXT;
ALTER TABLE api_keys ADD COLUMN labels TEXT NOT NULL DEFAULT '';

-- Nodes add what they counted every few seconds.
ALTER TABLE api_keys ADD COLUMN last_used_at BIGINT;
ALTER TABLE api_keys ADD COLUMN use_count BIGINT NOT NULL DEFAULT 0;

-- When a successor was made, and how often the key had been used by then. NULL for keys replaced before this was kept.
ALTER TABLE api_keys ADD COLUMN replaced_at BIGINT;
ALTER TABLE api_keys ADD COLUMN uses_when_replaced BIGINT;
