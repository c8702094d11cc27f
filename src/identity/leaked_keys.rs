//! Keys that were found where they should not be: whoever holds one may end it.

use std::sync::Arc;

use super::api_keys::{KeyAdministration, KeyError};
use super::notices::{Notice, Notices};
use crate::crypto::key_digest::digest_of;
use crate::domain::api_key::ApiKey;
use crate::domain::audit::Initiator;
use crate::domain::presented_key::PresentedKey;
use crate::storage::api_keys::ApiKeys;

pub struct LeakedKeys {
    pub store: Arc<dyn ApiKeys>,
    pub keys: KeyAdministration,
    pub notices: Arc<Notices>,
}

impl LeakedKeys {
    pub async fn find(&self, key: &PresentedKey) -> Result<Option<Arc<ApiKey>>, KeyError> {
        Ok(self.store.find_by_digest(&digest_of(key)).await?)
    }

    /// Revokes a key that somebody has shown whole, whoever they are, and tells its owner. A key that is expired or that
    /// would not be accepted from where they are is revoked as well: it may be accepted again, or elsewhere.
    pub async fn revoke(&self, key: &ApiKey, by: &Initiator) -> Result<(), KeyError> {
        if key.revoked.is_some() {
            return Ok(());
        }
        // What they have shown is the key, and of themselves nothing.
        let by = Initiator { key_id: Some(key.id.clone()), ..by.clone() };
        let mail = match key.owner.user() {
            Some(owner) => {
                let notice = Notice::KeyReported { name: key.name.clone(), prefix: format!("pk_{}", key.prefix) };
                self.notices.about_user(owner, notice, &by).await?
            }
            None => Vec::new(),
        };
        self.keys.withdraw_reported(key, &by, mail).await.map(|_| ())
    }
}
