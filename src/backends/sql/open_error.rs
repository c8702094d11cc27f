//! Why a database cannot be used. Never holds a URL, which may hold a password.

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the storage URL is not understood: write sqlite://<path of a file>, without options, or \
         postgres://<role>@<host>/<database>, with %-escapes for what is not a letter or digit in a password"
    )]
    Url,
    #[error(
        "the storage URL has an option that is not known: for PostgreSQL these are sslmode, sslrootcert, sslcert, sslkey, \
         host, port, dbname, user, password, application_name and options"
    )]
    Option,
    #[error(
        "the sslmode of the storage URL is not known: write disable, allow, prefer, require, verify-ca or verify-full"
    )]
    SslMode,
    #[error("the database {place} does not exist: check storage.url, or let `portcullis migrate` create it")]
    Missing { place: String },
    #[error("the database {place} cannot be used ({cause}): see that its directory can be written and has space left")]
    Unusable { place: String, cause: String },
    #[error("{place} is not a readable SQLite database ({cause}): restore it from a backup, or name another file")]
    Unreadable { place: String, cause: String },
    #[error("the database {place} belongs to another program: name another one in storage.url")]
    Foreign { place: String },
    #[error("the file system under {place} does not support write-ahead logging: put the database on a local disk")]
    NoWal { place: String },
    #[error("the database {place} has schema version {version}, made by a newer Portcullis: run that version")]
    Newer { place: String, version: i64 },
    #[error("the schema of {place} could not be brought up to date ({cause}): nothing was changed; restore or retry")]
    Migration { place: String, cause: String },
    #[error("the database server of {place} does not answer ({cause}): see that it runs and can be reached from here")]
    Unreachable { place: String, cause: String },
    #[error(
        "the database server of {place} does not let us in ({cause}): check the role and the password in storage.url"
    )]
    NotLetIn { place: String, cause: String },
    #[error("there is no database {place}: create it with CREATE DATABASE, and name the role of storage.url its owner")]
    NoDatabase { place: String },
    #[error("the database {place} cannot be used ({cause}): see that the role of storage.url owns it and its schema")]
    Refused { place: String, cause: String },
    #[error("the database {place} keeps text in {encoding}: create it with ENCODING 'UTF8'")]
    Encoding { place: String, encoding: String },
}
