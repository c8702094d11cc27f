//! Finds out how many users still have a password that another installation has hashed.

use std::sync::Arc;

use crate::identity::decoys::Decoys;
use crate::storage::Result;
use crate::storage::users::Users;

pub struct SurveyPasswords {
    pub users: Arc<dyn Users>,
    pub decoys: Arc<Decoys>,
}

impl SurveyPasswords {
    pub async fn run_once(&self) -> Result<()> {
        self.decoys.learn(self.users.foreign_passwords().await?);
        Ok(())
    }
}
