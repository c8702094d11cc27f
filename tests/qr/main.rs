//! The QR codes of an enrolment, read by a reader that is not ours (zbar).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::api::qr_code::{NoQrCode, QrCode};
use portcullis::domain::otpauth::provisioning_uri;
use portcullis::domain::second_factor::TotpParameters;
use portcullis::domain::secret::Secret;
use portcullis::domain::user::Username;
use tempfile::TempDir;

/// In bytes, the longest issuer that may be configured; tests/config holds the settings to it.
const LONGEST_ISSUER: usize = 64;

/// Runs a program to its end and gives what it printed.
fn run(program: &str, arguments: &[&Path]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the one code in a picture says.
fn scan(picture: &Path) -> String {
    let said = run("zbarimg", &[Path::new("--quiet"), Path::new("--raw"), picture]);
    said.strip_suffix('\n').unwrap().to_owned()
}

fn png(code: &QrCode) -> Vec<u8> {
    let uri = code.png_data_uri().unwrap();
    STANDARD.decode(uri.expose().strip_prefix("data:image/png;base64,").unwrap()).unwrap()
}

fn written(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Reads both pictures of a text back, each on its own way.
#[track_caller]
fn both_say(uri: &str) {
    let (code, dir) = (QrCode::of(&Secret::new(uri.to_owned())).unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(scan(&written(&dir, "code.png", &png(&code))), uri);
    let (svg, drawn) = (written(&dir, "code.svg", code.svg().expose().as_bytes()), dir.path().join("drawn.png"));
    run("rsvg-convert", &[Path::new("--output"), &drawn, &svg]);
    assert_eq!(scan(&drawn), uri);
}

fn enrolment(issuer: Option<&str>, username: &str) -> Secret<String> {
    Username::parse(username).unwrap();
    let secret = Secret::new((1..=20).collect());
    provisioning_uri(issuer, username, &secret, &TotpParameters::default())
}

#[test]
fn a_reader_finds_the_uri_in_both_pictures() {
    for (issuer, username) in
        [(Some("Portcullis"), "alice"), (None, "bob"), (Some("Grüße & Söhne"), "zoë.ångström@example.test")]
    {
        both_say(enrolment(issuer, username).expose());
    }
}

#[test]
fn the_longest_names_that_are_possible_fit() {
    // Three escaped bytes for each byte, and four bytes a character.
    let issuer = "密".repeat(LONGEST_ISSUER / "密".len());
    let username = "🔑".repeat(150);
    both_say(enrolment(Some(&issuer), &username).expose());
}

#[test]
fn what_no_qr_code_holds_is_an_error() {
    for length in [2_900, 2_953, 2_954, 3_000, 100_000] {
        let made = QrCode::of(&Secret::new("a".repeat(length)));
        match made {
            Ok(code) => assert!(length <= 2_953 && !png(&code).is_empty(), "{length}"),
            Err(NoQrCode::TooLong) => assert!(length > 2_953, "{length}"),
            Err(other) => panic!("{length}: {other}"),
        }
    }
}

#[test]
fn the_svg_stands_alone() {
    let svg = QrCode::of(&enrolment(None, "alice")).unwrap().svg();
    let svg = svg.expose();
    assert!(svg.contains("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.contains(" viewBox=\"0 0 "), "{svg}");
    assert_eq!(svg.matches("http").count(), 1, "the name of the namespace is the only address in it");
    for foreign in ["href", "<image", "<script", "<style", "<!", "url("] {
        assert!(!svg.contains(foreign), "{foreign}");
    }
}

#[test]
fn the_png_has_one_bit_a_pixel_and_is_large_enough_for_a_camera() {
    for username in ["alice", &"x".repeat(150)] {
        let bytes = png(&QrCode::of(&enrolment(Some("Portcullis"), username)).unwrap());
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let info = reader.info();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::One));
        assert!(info.width >= 250 && info.width == info.height, "{} x {}", info.width, info.height);
        // Four light modules of at least two pixels on every side.
        let (width, line) = (info.width as usize, info.raw_row_length() - 1);
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let light = |x: usize, y: usize| pixels[y * line + x / 8] >> (7 - x % 8) & 1 == 1;
        let margin = (0..width).take_while(|at| light(*at, *at)).count();
        assert!(margin >= 8, "{margin}");
        for at in 0..width {
            for edge in (0..margin).chain(width - margin..width) {
                assert!(light(at, edge) && light(edge, at), "{at}, {edge}");
            }
        }
        assert!(!light(margin, margin), "the corner of the finder pattern");
    }
}
