-- What lets nodes that announce a signing key at once agree on one. Conventions as in 0001.

-- They did not before this; a key that waits has signed nothing.
DELETE FROM signing_keys WHERE state = 'next' AND EXISTS (
    SELECT 1 FROM signing_keys AS earlier
    WHERE earlier.state = 'next' AND earlier.key_use = signing_keys.key_use AND earlier.algorithm = signing_keys.algorithm
        AND (earlier.created_at < signing_keys.created_at
            OR (earlier.created_at = signing_keys.created_at AND earlier.kid < signing_keys.kid))
);

CREATE UNIQUE INDEX signing_keys_next ON signing_keys (key_use, algorithm) WHERE state = 'next';
