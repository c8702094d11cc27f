-- Runs once, on an empty volume: a role that owns its database and nothing else. The superuser keeps no password, so that
-- nobody is that over the network.
\getenv password POSTGRES_PASSWORD
CREATE ROLE portcullis LOGIN PASSWORD :'password';
CREATE DATABASE portcullis OWNER portcullis ENCODING 'UTF8' TEMPLATE template0;
ALTER ROLE CURRENT_USER PASSWORD NULL;
