//! Mail as files, for trying out and for whoever fetches them from there: one `.eml` for each message.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Error as IoError, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Composer, UnusableMail};
use crate::domain::clock::Timestamp;
use crate::domain::mail::{MailId, Message};
use crate::storage::mail_carrier::{CarryError, MailCarrier};

pub struct DirectoryCarrier {
    composer: Composer,
    directory: PathBuf,
}

impl DirectoryCarrier {
    /// Makes the directory if there is none, for its owner only.
    pub fn new(directory: PathBuf, composer: Composer) -> Result<Self, UnusableMail> {
        let unusable = |cause: IoError| UnusableMail::Directory { path: directory.clone(), cause: cause.to_string() };
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(unusable)?;
        Ok(Self { composer, directory })
    }
}

#[async_trait]
impl MailCarrier for DirectoryCarrier {
    /// A whole file or none, also when the power goes; one that is there already is replaced.
    async fn carry(&self, message: &Message, id: &MailId, date: Timestamp) -> Result<(), CarryError> {
        let bytes = self.composer.compose(message, id, date)?.formatted();
        let failed = |error: IoError| {
            CarryError::Temporary(format!("the directory {} cannot be written: {error}", self.directory.display()))
        };
        // Short, and on the runtime of the jobs, which no request waits for.
        write(&self.directory, id, &bytes).map_err(failed)
    }
}

fn write(directory: &Path, id: &MailId, bytes: &[u8]) -> Result<(), IoError> {
    let unfinished = directory.join(format!(".{id}.tmp"));
    let finished = directory.join(format!("{id}.eml"));
    // What an attempt before this one left half written.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes).and_then(|()| file.sync_all())?;
    fs::rename(&unfinished, &finished)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::domain::mail::Subject;
    use crate::domain::secret::Secret;
    use crate::domain::user::Email;

    const DATE: Timestamp = Timestamp::from_secs(1_795_408_500);

    fn message(text: &str) -> Message {
        Message {
            to: Email::parse("anna@example.org").unwrap(),
            subject: Subject::new("Hello"),
            text: Secret::new(text.to_owned()),
            html: None,
        }
    }

    fn carrier(directory: PathBuf) -> DirectoryCarrier {
        DirectoryCarrier::new(directory, Composer::new("portcullis@localhost").unwrap()).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn each_message_is_one_private_file() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("some/mail");
        let carrier = carrier(directory.clone());
        assert_eq!(mode(&directory), 0o700);
        let id = MailId::parse("first").unwrap();
        // An attempt that was cut off, and that somebody opened to all.
        fs::write(directory.join(".first.tmp"), "half").unwrap();
        fs::set_permissions(directory.join(".first.tmp"), fs::Permissions::from_mode(0o666)).unwrap();
        carrier.carry(&message("one"), &id, DATE).await.unwrap();
        carrier.carry(&message("two"), &MailId::parse("second").unwrap(), DATE).await.unwrap();
        carrier.carry(&message("one again"), &id, DATE).await.unwrap();
        let mut names: Vec<_> = fs::read_dir(&directory).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["first.eml", "second.eml"]);
        for name in names {
            assert_eq!(mode(&directory.join(name)), 0o600);
        }
        let text = fs::read_to_string(directory.join("first.eml")).unwrap();
        assert!(text.ends_with("\r\n\r\none again") || text.ends_with("\r\n\r\none again\r\n"), "{text:?}");
    }

    #[tokio::test]
    async fn a_directory_that_is_gone_is_no_reason_to_give_up() {
        let place = tempfile::tempdir().unwrap();
        let carrier = carrier(place.path().join("mail"));
        fs::remove_dir(place.path().join("mail")).unwrap();
        let failed = carrier.carry(&message("one"), &MailId::parse("a").unwrap(), DATE).await;
        assert!(matches!(failed, Err(CarryError::Temporary(text)) if text.contains("mail cannot be written")));
    }

    #[test]
    fn a_file_in_its_place_is_a_fault() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "").unwrap();
        let composer = Composer::new("portcullis@localhost").unwrap();
        assert!(matches!(DirectoryCarrier::new(path, composer), Err(UnusableMail::Directory { .. })));
    }
}
