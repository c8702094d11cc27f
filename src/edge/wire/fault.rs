//! What can be wrong with the client's bytes.

use crate::domain::denial::Denial;

/// Why a request does not reach Pingora.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireFault {
    RequestLine,
    Method,
    Connect,
    Target,
    TargetTooLong,
    Version,
    Field,
    FieldsTooLarge,
    TooManyFields,
    AliasedField,
    Connection,
    ContentLength,
    TransferEncoding,
    ConflictingFraming,
    Host,
    HeadTimeout,
    Chunk,
    Trailer,
    TrailersTooLarge,
}

impl WireFault {
    pub const ALL: [Self; 19] = [
        Self::RequestLine,
        Self::Method,
        Self::Connect,
        Self::Target,
        Self::TargetTooLong,
        Self::Version,
        Self::Field,
        Self::FieldsTooLarge,
        Self::TooManyFields,
        Self::AliasedField,
        Self::Connection,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::ConflictingFraming,
        Self::Host,
        Self::HeadTimeout,
        Self::Chunk,
        Self::Trailer,
        Self::TrailersTooLarge,
    ];

    pub const fn denial(self) -> Denial {
        match self {
            Self::Target => Denial::BadPath,
            Self::TargetTooLong => Denial::TargetTooLong,
            Self::Host => Denial::BadHost,
            Self::Connect => Denial::MethodUnsupported,
            Self::Version => Denial::VersionUnsupported,
            Self::FieldsTooLarge | Self::TooManyFields | Self::TrailersTooLarge => Denial::HeaderTooLarge,
            Self::AliasedField => Denial::ReservedHeader,
            Self::HeadTimeout => Denial::HeadTimeout,
            Self::RequestLine
            | Self::Method
            | Self::Field
            | Self::Connection
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::ConflictingFraming
            | Self::Chunk
            | Self::Trailer => Denial::BadRequest,
        }
    }

    pub const fn status(self) -> u16 {
        match self.denial() {
            Denial::TargetTooLong => 414,
            Denial::MethodUnsupported => 405,
            Denial::VersionUnsupported => 505,
            Denial::HeaderTooLarge => 431,
            Denial::HeadTimeout => 408,
            _ => 400,
        }
    }

    pub(super) const fn reason_phrase(self) -> &'static str {
        match self.status() {
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            414 => "URI Too Long",
            431 => "Request Header Fields Too Large",
            505 => "HTTP Version Not Supported",
            _ => "Bad Request",
        }
    }

    /// The sentence for the client. It goes into JSON as it is: no quotes, no backslashes.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::RequestLine => "The request line is malformed.",
            Self::Method => "The method is malformed.",
            Self::Connect => "CONNECT is not supported.",
            Self::Target => "The request target is malformed.",
            Self::TargetTooLong => "The request target is too long.",
            Self::Version => "This version of HTTP is not supported.",
            Self::Field => "A header field is malformed.",
            Self::FieldsTooLarge => "The header fields are too large.",
            Self::TooManyFields => "There are too many header fields.",
            Self::AliasedField => "A header field has the disguised name of a reserved one.",
            Self::Connection => "The Connection field is malformed or names a protected field.",
            Self::ContentLength => "The Content-Length field is malformed or repeated.",
            Self::TransferEncoding => "The Transfer-Encoding field is not exactly chunked.",
            Self::ConflictingFraming => "Content-Length and Transfer-Encoding exclude each other.",
            Self::Host => "The Host field is missing, repeated or malformed.",
            Self::HeadTimeout => "The request took too long to arrive.",
            Self::Chunk => "The chunked body is malformed.",
            Self::Trailer => "A trailer field is malformed.",
            Self::TrailersTooLarge => "The trailer fields are too large.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_need_no_escaping() {
        for fault in WireFault::ALL {
            assert!(fault.detail().bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\'), "{fault:?}");
        }
    }

    #[test]
    fn statuses_are_errors_of_the_client_or_its_version() {
        for fault in WireFault::ALL {
            assert!(matches!(fault.status(), 400 | 405 | 408 | 414 | 431 | 505), "{fault:?}");
        }
    }
}
