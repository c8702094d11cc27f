use proptest::prelude::*;

use super::*;

const COST: Cost = Cost { memory_kib: 64, iterations: 2, parallelism: 1 };

fn verifies(text: &str, password: &str) -> bool {
    let hash = DjangoHash::read(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    hash.verifies(&Secret::new(password.to_owned()), COST, &mut Memory::default())
}

/// Written by the named releases of Django.
const WRITTEN: [(&str, &str, Format); 12] = [
    (
        "Old-a-2.2-pbkdf2_sha256",
        "pbkdf2_sha256$150000$eZUPr9X3DiGy$jZJVntebpNVbj4ik0upuD96FMSz1XjkkUbvGyjnNy1A=",
        Format::Pbkdf2Sha256,
    ),
    (
        "Old-a-2.2-argon2",
        "argon2$argon2i$v=19$m=512,t=2,p=2$d0N3Y1BoYm1ONDJw$sxlw1/jEgaT5QcAq4bSPK7hSMloVXj2TBc0ic0IxM7g",
        Format::Argon2,
    ),
    (
        "Old-a-2.2-bcrypt_sha256",
        "bcrypt_sha256$$2b$12$OD9zRkB0EPTsFzhYVn1piuFPHyihlrre3dZZ.NSwRQ7AO1LIiAA3.",
        Format::BcryptSha256,
    ),
    ("Old-a-2.2-bcrypt", "bcrypt$$2b$12$OQ4iHFu6LHCPP8sClhOok.AN2AJQMpkDPh3BVsYNsDae8ekvF39tC", Format::Bcrypt),
    ("Old-a-2.2-md5", "md5$jEdaabipx95U$19d02267becc0f463e21a38267b5fde3", Format::SaltedMd5),
    ("Old-a-2.2-sha1", "sha1$mJw3AO1dtXe6$d227f8ec3490eeb025bab4947c5971699f009808", Format::Sha1),
    ("Old-a-2.2-unsalted_sha1", "sha1$$7efe03f5e95cf50e5438ebafd84d0dde234384e5", Format::UnsaltedSha1),
    ("Old-a-2.2-unsalted_md5", "21a63140a9ffa6cbc31ed87ad6017d7b", Format::UnsaltedMd5),
    ("Old-a-2.2-unsalted_md5", "md5$$21a63140a9ffa6cbc31ed87ad6017d7b", Format::UnsaltedMd5),
    (
        "Old-a-4.2-pbkdf2_sha1",
        "pbkdf2_sha1$600000$4G3ZEhwnTyywmrJJhHX6PQ$Hk/U2Cftms4XGVNIZj0OJhbGhZo=",
        Format::Pbkdf2Sha1,
    ),
    (
        "Old-a-4.2-argon2",
        "argon2$argon2id$v=19$m=102400,t=2,p=8$dHlxbFMycEZlRzFzdjhqNE42aTU5aw$qcESwgHaNlSGXmXl2bb1ASJ/W02eRfSxgL0LMO36mu8",
        Format::Argon2,
    ),
    (
        "Old-a-4.2-scrypt",
        "scrypt$16384$DCWtgpgpZa5RAn6YO9gsc2$8$1$pyk5mkon7lbppUF5U3iE90fTo3AgsLuVn5Ker53HYZcz75ycxCXYmjYf+TM1Jd1pufiKuYjZqN/nsmaibvt56A==",
        Format::Scrypt,
    ),
];

#[test]
fn whatever_django_has_written_is_verified() {
    for (password, text, format) in WRITTEN {
        assert_eq!(DjangoHash::read(text).unwrap().format(), format);
        assert!(verifies(text, password), "{text}");
        assert!(!verifies(text, "Old-a-2.2"), "{text}");
    }
}

#[test]
fn plain_bcrypt_looks_at_no_part_of_a_password() {
    let crypt = format!("bcrypt${}", bcrypt::hash("x".repeat(72), 4).unwrap());
    assert!(verifies(&crypt, &"x".repeat(72)));
    assert!(!verifies(&crypt, &"x".repeat(73)));
    assert!(!verifies(&crypt, &format!("{}\0", "x".repeat(71))));
}

#[test]
fn what_cannot_be_verified_says_why() {
    use Unreadable::{Damaged, DesCrypt, Empty, Excessive, Unknown, Unusable};
    let kind = |text: &str| match DjangoHash::read(text).map(|hash| hash.format()) {
        Ok(format) => panic!("{text}: {format:?}"),
        Err(Damaged(_)) => Damaged(""),
        Err(Excessive(_)) => Excessive(""),
        Err(other) => other,
    };
    let ok = STANDARD.encode([7; 32]);
    for (text, fault) in [
        (String::new(), Empty),
        ("!".to_owned(), Unusable),
        ("!abc".to_owned(), Unusable),
        ("plain".to_owned(), Unknown),
        ("$2b$12$x".to_owned(), Unknown),
        ("bcrypt_sha512$x".to_owned(), Unknown),
        ("crypt$$abc".to_owned(), DesCrypt),
        ("pbkdf2_sha256$150000$eZUPr9X3DiGy$jZJVntebp".to_owned(), Damaged("")),
        ("pbkdf2_sha256$150000$salt".to_owned(), Damaged("")),
        (format!("pbkdf2_sha256$0$salt${ok}"), Damaged("")),
        (format!("pbkdf2_sha256$+1$salt${ok}"), Damaged("")),
        (format!("pbkdf2_sha256$10000001$salt${ok}"), Excessive("")),
        (format!("pbkdf2_sha256$99999999999$salt${ok}"), Damaged("")),
        ("argon2$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHRzYWx0$AAAA".to_owned(), Damaged("")),
        ("argon2$argon2id".to_owned(), Damaged("")),
        ("bcrypt$$2b$31$OQ4iHFu6LHCPP8sClhOok.AN2AJQMpkDPh3BVsYNsDae8ekvF39tC".to_owned(), Excessive("")),
        ("bcrypt$$2b$03$OQ4iHFu6LHCPP8sClhOok.AN2AJQMpkDPh3BVsYNsDae8ekvF39tC".to_owned(), Damaged("")),
        ("bcrypt$$2b$12$OQ4iHFu6LHCPP8sCl".to_owned(), Damaged("")),
        ("scrypt$1073741824$salt$8$1$AAAA".to_owned(), Excessive("")),
        ("scrypt$16384$salt$8$1000$AAAA".to_owned(), Excessive("")),
        ("scrypt$16383$salt$8$1$AAAA".to_owned(), Damaged("")),
        ("scrypt$16384$salt$8$1$AAAA".to_owned(), Damaged("")),
        ("md5$salt$19d02267becc0f463e21a38267b5fdeg".to_owned(), Damaged("")),
        ("sha1$salt$d227".to_owned(), Damaged("")),
        ("x".repeat(513), Damaged("")),
    ] {
        assert_eq!(kind(&text), fault, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        name in prop::sample::select(vec!["pbkdf2_sha256", "argon2", "bcrypt", "bcrypt_sha256", "scrypt", "md5", "sha1", ""]),
        rest in "[$a-z0-9=,./é]{0,80}",
    ) {
        let _ = DjangoHash::read(&format!("{name}${rest}"));
        let _ = DjangoHash::read(&rest);
    }
}
