use std::num::NonZeroU32;

use super::*;
use crate::domain::second_factor::{Digits, TotpAlgorithm};

const KEY: &str = "0102030405060708090a0b0c0d0e0f1011121314";

/// Issuer, user name, key in hex, digits and period, and what `TOTPDevice.config_url` of django-otp 1.7.5 makes of them.
type Case = (Option<&'static str>, &'static str, &'static str, u8, u32, &'static str);

const WRITTEN_BY_DJANGO_OTP: &[Case] = &[
    (
        Some("Portcullis"),
        "alice",
        KEY,
        6,
        30,
        "otpauth://totp/Portcullis%3Aalice?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        None,
        "alice",
        KEY,
        6,
        30,
        "otpauth://totp/alice?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30",
    ),
    (
        Some(""),
        "alice",
        KEY,
        6,
        30,
        "otpauth://totp/alice?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30",
    ),
    (
        Some("Example Corp"),
        "alice@example.test",
        KEY,
        6,
        30,
        "otpauth://totp/Example%20Corp%3Aalice%40example.test?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=Example%20Corp",
    ),
    (
        Some("A:B::C"),
        "alice",
        KEY,
        6,
        30,
        "otpauth://totp/ABC%3Aalice?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=ABC",
    ),
    (
        Some(":"),
        "alice",
        KEY,
        6,
        30,
        "otpauth://totp/%3Aalice?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=",
    ),
    (
        Some("Portcullis"),
        "mail.name+tag@example.test",
        KEY,
        6,
        30,
        "otpauth://totp/Portcullis%3Amail.name%2Btag%40example.test?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "zoë.ångström",
        KEY,
        6,
        30,
        "otpauth://totp/Portcullis%3Azo%C3%AB.%C3%A5ngstr%C3%B6m?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("Grüße & Söhne"),
        "密码🔑",
        KEY,
        6,
        30,
        "otpauth://totp/Gr%C3%BC%C3%9Fe%20%26%20S%C3%B6hne%3A%E5%AF%86%E7%A0%81%F0%9F%94%91?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=Gr%C3%BC%C3%9Fe%20%26%20S%C3%B6hne",
    ),
    (
        Some("a/b"),
        "c/d",
        KEY,
        6,
        30,
        "otpauth://totp/a/b%3Ac/d?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=a/b",
    ),
    (
        Some("a+b=c?d#e%f"),
        "g&h i+j",
        KEY,
        6,
        30,
        "otpauth://totp/a%2Bb%3Dc%3Fd%23e%25f%3Ag%26h%20i%2Bj?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=a%2Bb%3Dc%3Fd%23e%25f",
    ),
    (
        Some("~tilde*star(paren)!'\"$,;"),
        "~_.-*()!'\"$,;[]{}|\\^`<>@",
        KEY,
        6,
        30,
        "otpauth://totp/~tilde%2Astar%28paren%29%21%27%22%24%2C%3B%3A~_.-%2A%28%29%21%27%22%24%2C%3B%5B%5D%7B%7D%7C%5C%5E%60%3C%3E%40?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=~tilde%2Astar%28paren%29%21%27%22%24%2C%3B",
    ),
    (
        None,
        "with: colon",
        KEY,
        6,
        30,
        "otpauth://totp/with%3A%20colon?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30",
    ),
    (
        Some("Portcullis"),
        "user:name",
        KEY,
        6,
        30,
        "otpauth://totp/Portcullis%3Auser%3Aname?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("R&D"),
        "a%20b",
        KEY,
        6,
        30,
        "otpauth://totp/R%26D%3Aa%2520b?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=R%26D",
    ),
    (
        Some("Ünï"),
        "e\u{301}",
        KEY,
        6,
        30,
        "otpauth://totp/%C3%9Cn%C3%AF%3Ae%CC%81?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=%C3%9Cn%C3%AF",
    ),
    (
        Some("Portcullis"),
        "alice",
        "36d1dcd9f060d7736600",
        6,
        30,
        "otpauth://totp/Portcullis%3Aalice?secret=G3I5ZWPQMDLXGZQA&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "alice",
        "ffffffffffffffffffffffffffffffff",
        6,
        30,
        "otpauth://totp/Portcullis%3Aalice?secret=77777777777777777777777774%3D%3D%3D%3D%3D%3D&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "alice",
        "36d1dcd9f060d7736601010101",
        6,
        30,
        "otpauth://totp/Portcullis%3Aalice?secret=G3I5ZWPQMDLXGZQBAEAQC%3D%3D%3D&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "alice",
        "abababababababababababababababababababababababababababababababababababababababab",
        6,
        30,
        "otpauth://totp/Portcullis%3Aalice?secret=VOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5L&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "alice",
        "ababababababababababababababababababababab",
        6,
        30,
        "otpauth://totp/Portcullis%3Aalice?secret=VOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVM%3D%3D%3D%3D%3D%3D&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "alice",
        "ababababababababababababababababababababababababababababababababab",
        6,
        30,
        "otpauth://totp/Portcullis%3Aalice?secret=VOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOV2W%3D%3D%3D&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "alice",
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        6,
        30,
        "otpauth://totp/Portcullis%3Aalice?secret=BMFQWCYLBMFQWCYLBMFQWCYLBMFQWCYLBMFQWCYLBMFQWCYLBMFQ%3D%3D%3D%3D&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "alice",
        KEY,
        8,
        30,
        "otpauth://totp/Portcullis%3Aalice?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=8&period=30&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "alice",
        KEY,
        6,
        60,
        "otpauth://totp/Portcullis%3Aalice?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=60&issuer=Portcullis",
    ),
    (
        Some("Portcullis"),
        "a\u{7f}b\u{202e}",
        KEY,
        6,
        30,
        "otpauth://totp/Portcullis%3Aa%7Fb%E2%80%AE?secret=AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&algorithm=SHA1&digits=6&period=30&issuer=Portcullis",
    ),
];

fn secret(hex: &str) -> Secret<Vec<u8>> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    Secret::new(hex.as_bytes().chunks(2).map(digits).collect())
}

#[test]
fn the_uri_is_that_of_django_otp() {
    for (issuer, username, key, digits, period, expected) in WRITTEN_BY_DJANGO_OTP {
        let parameters = TotpParameters {
            digits: Digits::new(*digits).unwrap(),
            period: NonZeroU32::new(*period).unwrap(),
            ..TotpParameters::default()
        };
        let uri = provisioning_uri(*issuer, username, &secret(key), &parameters);
        assert_eq!(uri.expose(), expected);
    }
}

#[test]
fn it_names_the_algorithm() {
    let parameters = TotpParameters { algorithm: TotpAlgorithm::Sha512, ..TotpParameters::default() };
    let uri = provisioning_uri(None, "alice", &secret(KEY), &parameters);
    assert!(uri.expose().contains("&algorithm=SHA512&"));
}

#[test]
fn a_secret_is_typed_without_padding() {
    assert_eq!(base32(&secret(KEY)).expose(), "AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU");
    assert_eq!(base32(&secret("ffffffffffffffffffffffffffffffff")).expose(), "77777777777777777777777774");
}
